// What goes wrong just when a node enters, changes or leaves a term: that is when two things must
// agree, and chance alone seldom strikes there. Chance has a source of its own here.
#include <algorithm>

#include "sim/world.hpp"

namespace sim {

namespace {

enum Aim : int { CutFromEtcd, NoSpaceLeft, Stop, Sleep, LanCut, kAims };

}  // namespace

void World::draw_aimed() {
  const bool without = (options_.without >> static_cast<size_t>(Fault::TermStruck) & 1) != 0;
  if (!options_.peers || without || !aimed_random_.one_in(3)) return;
  aimed_ = static_cast<uint32_t>(aimed_random_.spread(50'000, 900'000));
}

// A txn is about to be sent that puts or deletes the peer lease of its sender. Its turn goes on
// first.
void World::aim_at(int n, const vipd::Txn& txn) {
  if (!faults_on_ || aimed_ == 0) return;
  const vipd::LeaseId own = nodes_[static_cast<size_t>(n)].core->session();
  const auto is_own = [own](const vipd::Op& op) {
    return op.key.kind == vipd::KeyKind::Peers && op.key.lease == own;
  };
  const auto op = std::find_if(txn.success.begin(), txn.success.end(), is_own);
  if (op == txn.success.end() || !aimed_random_.per_million(aimed_)) return;
  tally_.count(Fault::TermStruck);
  const vipd::PeerTerm* old = term_of(n);
  int64_t timeout = kS;
  if (old != nullptr) timeout = old->timeout.ns();
  if (op->kind == vipd::Op::Kind::Put) timeout = op->value.peers.timeout.ns();
  const auto first = static_cast<int>(aimed_random_.below(LanCut));
  const bool another = first == Sleep && aimed_random_.one_in(2);  // maybe one that grants
  const int who = another ? static_cast<int>(aimed_random_.below(nodes_count_)) : n;
  post(now_ + aimed_random_.below(timeout), Ev::Aimed, who, first, 0, round_, timeout);
  if (!aimed_random_.one_in(3)) {
    post(now_ + aimed_random_.below(timeout), Ev::Aimed, n, LanCut, 0, round_, timeout);
  }
}

void World::strike_term(const Item& item) {
  const int n = item.node;
  Node& node = nodes_[item.node];
  if (!node.up || node.paused != HostPause::None) return;
  const int64_t timeout = item.y;
  const int64_t span = aimed_random_.between(timeout / 4, timeout_ + timeout_ / 2);
  SAY(n, "**** its term is struck: %d", item.a);
  if (item.a == CutFromEtcd) {
    const auto how = static_cast<uint8_t>(aimed_random_.between(1, 4));
    for (int m = 0; m < members_count_; m++) cut(n, m, how);
    heal_after(Fault::CutAll, span, n);
  } else if (item.a == NoSpaceLeft) {
    no_space_ = no_space_once_ = true;
    heal_after(Fault::NoSpace, aimed_random_.spread(500 * kMs, 60 * kS));
  } else if (item.a == Stop && node.core != nullptr && !node.stopped) {
    node.stopped = true;
    post(now_ + span, Ev::ProcessResumes, n);
  } else if (item.a == Sleep) {
    // For about as long as a grant lasts, and nobody hears it for a while: then it matters what its
    // clock says when it wakes.
    if (aimed_random_.one_in(3)) return pause_host(n, HostPause::Suspend, span);
    pause_host(n, HostPause::Suspend, aimed_random_.between(timeout / 4, timeout + timeout / 8));
    cut_from(n, -1, 3, kAllLinks);
    post(now_ + timeout + aimed_random_.below(timeout * 2), Ev::PeerHeals, n,
         static_cast<int>(Fault::PeerCut));
  } else if (item.a == LanCut) {
    const int only =
        aimed_random_.one_in(2) ? -1 : static_cast<int>(aimed_random_.below(nodes_count_));
    cut_from(n, only, static_cast<int>(aimed_random_.between(1, 4)), kAllLinks);
    post(now_ + timeout / 2 + aimed_random_.below(timeout * 2), Ev::PeerHeals, n,
         static_cast<int>(Fault::PeerCut));
  }
}

}  // namespace sim
