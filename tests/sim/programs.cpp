// Programs that must succeed before an address is set, and the rules for them: none may run beyond
// what the echoed heartbeats allow, none when its place in the queue is said to be left, and no
// address is set without one. Chance has a source of its own here, as for checks.
#include "sim/world.hpp"

namespace sim {

namespace {

constexpr uint64_t kEach = 5;  // one run in so many has programs

}  // namespace

void World::draw_programs() {
  has_programs_ = options_.seed % kEach == 3;
}

// The create revision of its key, as etcd has it; 0: there is none.
vipd::Revision World::queued_since(const Node& node, int vip) const {
  const Store::Stored* key = store_.find(
      {vipd::KeyKind::Candidate, node.core->session(), vips_[static_cast<size_t>(vip)]});
  return key == nullptr ? 0 : key->entry.created;
}

void World::act(int n, const vipd::action::Acquire& a) {
  Node& node = nodes_[static_cast<size_t>(n)];
  const int vip = index_of(a.address);
  Program& program = node.programs[static_cast<size_t>(vip)];
  // The machine slept since the core said so: the core ends it when it looks.
  const bool slept = node.stack[node.depth - 1].shown < node.woken_at;
  if (a.until.ns() > node.deadline && !slept) {
    fail("acquire", "n%d runs a program for v%d for %.3f s more than it has authority", n + 1,
         vip + 1, static_cast<double>(a.until.ns() - node.deadline) / 1e9);
  }
  const bool has_ended = !program.runs || program.run != a.run;
  if (a.goes_on && has_ended) return;  // which the core has not heard yet
  program.until = a.until.ns();
  post(true_time_of(node, program.until), Ev::ProgramEnds, n, vip, 2, node.incarnation,
       static_cast<int64_t>(a.run));
  if (a.goes_on) return;
  program.run = a.run;
  program.runs = true;
  program.good = false;
  program.under = queued_since(node, vip);
  const int64_t takes = check_random_.spread(kMs, faults_on_ ? 4 * kS : 500 * kMs);
  const bool good = !faults_on_ || !check_random_.one_in(4);
  post(now_ + takes, Ev::ProgramEnds, n, vip, good ? 1 : 0, node.incarnation,
       static_cast<int64_t>(a.run));
}

void World::act(int n, const vipd::action::EndAcquire& a) {
  const Node& node = nodes_[static_cast<size_t>(n)];
  post(now_ + check_random_.spread(10 * kUs, 200 * kMs), Ev::ProgramEnds, n, index_of(a.address), 0,
       node.incarnation, static_cast<int64_t>(a.run));
}

// b: 1 it succeeds, 0 it fails or is killed, 2 its time may be over.
void World::program_ends(const Item& item) {
  Node& node = nodes_[item.node];
  Program& program = node.programs[item.a];
  const bool is_this = program.runs && program.run == static_cast<uint64_t>(item.y);
  if (!is_this || item.x != node.incarnation || node.core == nullptr) return;
  if (item.b == 2 && shown(node) < program.until) return;
  program.runs = false;
  program.good = item.b == 1;
  if (!program.good) refused_once_ = true;
  tell(item.node,
       {.event = vipd::event::AcquireEnded{
            .address = vips_[item.a], .run = program.run, .fault = program.good ? "" : "failed"}});
}

// Those of a process end with it; those of a copy are ended, since nobody runs them.
void World::end_programs(int n) {
  Node& node = nodes_[static_cast<size_t>(n)];
  node.programs = {};
}

void World::copy_programs(int from, int to) {
  Node& copy = nodes_[static_cast<size_t>(to)];
  copy.programs = nodes_[static_cast<size_t>(from)].programs;
  for (int v = 0; v < vips_count_; v++) {
    const Program& program = copy.programs[static_cast<size_t>(v)];
    if (!program.runs) continue;
    post(now_ + kMs, Ev::ProgramEnds, to, v, 0, copy.incarnation,
         static_cast<int64_t>(program.run));
  }
}

void World::check_acquired(int n, int vip) {
  const Node& node = nodes_[static_cast<size_t>(n)];
  const auto v = static_cast<size_t>(vip);
  const Program& program = node.programs[v];
  // A key that is gone is not known to be so yet; an older one is of a backup that was restored.
  const vipd::Revision since = queued_since(node, vip);
  const bool is_same = since <= program.under || program.under == 0;
  if (!has_programs_ || node.addresses[v].present || (program.good && is_same)) return;
  if (node.addresses[v].set_at >= node.started_at) return;  // it was there, and was lost
  if (node.lost[v]) return;  // of a former process, and the loss is not told yet
  fail("acquire", "n%d sets v%d, and no program has succeeded for it", n + 1, vip + 1);
}

// A place in the queue is left: whoever is next may run its own.
void World::check_left(int n, const vipd::Txn& txn) {
  const Node& node = nodes_[static_cast<size_t>(n)];
  for (const vipd::Op& op : txn.success) {
    const bool leaves = op.kind == vipd::Op::Kind::Delete &&
                        op.key.kind == vipd::KeyKind::Candidate &&
                        op.key.lease == node.core->session();
    if (!leaves) continue;
    check_left_together(n, index_of(op.key.vip));
    const Program& program = node.programs[static_cast<size_t>(index_of(op.key.vip))];
    if (program.runs) fail("acquire", "n%d leaves a queue while a program runs", n + 1);
  }
}

}  // namespace sim
