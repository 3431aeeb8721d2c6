// Services that fail and come back, and what the daemon's checks make of it. Chance has a source of
// its own here: a run without checks is what it was before there were any.
#include <array>

#include "sim/world.hpp"

namespace sim {

namespace {

constexpr int64_t kLongestLook = 2 * kS;

const char* words_of(Check check) {
  static constexpr std::array<const char*, 3> kWords = {"", "a check has not been good yet",
                                                        "a check is down"};
  return kWords[static_cast<size_t>(check)];
}

}  // namespace

void World::draw_checks() {
  const bool without = (options_.without >> static_cast<size_t>(Fault::CheckDown) & 1) != 0;
  has_checks_ = check_random_.one_in(3) && !without;
  check_gap_ = check_random_.spread(500 * kMs, 40 * kS);
  static constexpr int kWeights[] = {0, 0, 60, 255};
  check_weight_ = has_checks_ ? kWeights[options_.seed % 4] : 0;
  preempt_ = preempt_ || check_weight_ > 0;
}

bool World::keeps_away(const Node& node, int vip) const {
  return check_weight_ == 0 && node.checks[static_cast<size_t>(vip)] != Check::Up;
}

std::string World::blocked(const Node& node, int vip) const {
  return keeps_away(node, vip) ? words_of(node.checks[static_cast<size_t>(vip)]) : "";
}

void World::next_check() {
  if (!has_checks_) return;
  post(now_ + check_random_.below(2 * check_gap_), Ev::ServiceTurns, 0, 0, 0, round_);
}

// A service fails for a while, or a check is new to a daemon that runs.
void World::service_turns() {
  const auto n = static_cast<int>(check_random_.below(nodes_count_));
  const auto vip = static_cast<int>(check_random_.below(vips_count_));
  const auto v = static_cast<size_t>(vip);
  const int owner = only_owner(vip);
  Node& node = nodes_[static_cast<size_t>(owner >= 0 && check_random_.one_in(2) ? owner : n)];
  const auto who = static_cast<int>(&node - nodes_.data());
  next_check();
  tally_.count(Fault::CheckDown);
  if (check_random_.one_in(4)) return judge_service(who, vip, Check::Unknown), look(who, vip);
  node.fails[v] = true;
  SAY(who, "the service behind v%d fails", vip + 1);
  look(who, vip);
  post(now_ + check_random_.spread(50 * kMs, 40 * kS), Ev::ServiceHeals, who, vip);
}

void World::service_heals(int n, int vip) {
  nodes_[static_cast<size_t>(n)].fails[static_cast<size_t>(vip)] = false;
  look(n, vip);
}

// Its result comes later.
void World::look(int n, int vip) {
  post(now_ + check_random_.spread(kMs, kLongestLook), Ev::CheckEnds, n, vip, 0,
       nodes_[static_cast<size_t>(n)].incarnation);
}

void World::check_ends(int n, int vip, uint32_t incarnation) {
  const Node& node = nodes_[static_cast<size_t>(n)];
  if (node.incarnation != incarnation) return;
  judge_service(n, vip, node.fails[static_cast<size_t>(vip)] ? Check::Down : Check::Up);
}

void World::judge_service(int n, int vip, Check check) {
  Node& node = nodes_[static_cast<size_t>(n)];
  node.checks[static_cast<size_t>(vip)] = check;
  tell_check(n, vip);
  if (options_.groups && check_weight_ > 0) tell_checks(n);
}

// What lowers the priority belongs to the group.
void World::tell_check(int n, int vip) {
  const Node& node = nodes_[static_cast<size_t>(n)];
  const auto v = static_cast<size_t>(vip);
  bool is_down = node.checks[v] == Check::Down;
  for (int u = 0; check_weight_ > 0 && u < vips_count_; u++) {
    const auto i = static_cast<size_t>(u);
    const bool same = node.group[i] != 0 && node.group[i] == node.group[v];
    is_down = is_down || (same && node.checks[i] == Check::Down);
  }
  tell(n, {.event = vipd::event::AddressBlocked{.address = vips_[v],
                                                .reason = blocked(node, vip),
                                                .for_owner = is_down && check_weight_ == 0,
                                                .lowered = is_down ? check_weight_ : 0}});
}

// Of a process that has just started.
void World::start_checks(int n) {
  for (int v = 0; has_checks_ && v < vips_count_; v++) {
    judge_service(n, v, Check::Unknown);
    look(n, v);
  }
}

void World::tell_checks(int n) {
  for (int v = 0; has_checks_ && v < vips_count_; v++) tell_check(n, v);
}

// Some services stay as they are: others have to do without that node.
void World::heal_services() {
  if (!has_checks_) return;
  const auto bad = static_cast<int>(check_random_.below(nodes_count_ * 3));
  for (int n = 0; n < nodes_count_; n++) {
    for (int v = 0; v < vips_count_; v++) {
      nodes_[static_cast<size_t>(n)].fails[static_cast<size_t>(v)] = n == bad && stays_bad(v);
      look(n, v);
    }
  }
}

}  // namespace sim
