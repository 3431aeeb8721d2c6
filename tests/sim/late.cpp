// What comes late. A process that is held up between the clock and its sockets, within one turn;
// and members of etcd that do not hear each other for as long as a minute and a half, and execute
// afterwards what was asked meanwhile, although its sender gave it up long ago (measured: 53.7 s,
// etcd 3.4). Chance has a source of its own here: a run without either is what it was before.
#include "sim/world.hpp"

namespace sim {

void World::draw_late() {
  const auto without = [this](Fault fault) {
    return (options_.without >> static_cast<size_t>(fault) & 1) != 0;
  };
  if (late_random_.one_in(3)) late_ = static_cast<uint32_t>(late_random_.spread(100, 20'000));
  if (late_random_.one_in(4)) outage_gap_ = late_random_.spread(10 * kS, 300 * kS);
  if (without(Fault::HeldUpBeforeReading)) late_ = 0;
  if (without(Fault::Outage)) outage_gap_ = 0;
}

// The turn has begun, with its look at the deadlines; what comes meanwhile is read in the same
// turn.
bool World::held_up_before_reading(int n) {
  if (!faults_on_ || !late_random_.per_million(late_)) return false;
  Node& node = nodes_[static_cast<size_t>(n)];
  node.busy = node.reading = true;
  tally_.count(Fault::HeldUpBeforeReading);
  const int64_t span = late_random_.spread(kMs, 3 * timeout_);
  SAY(n, "(stopped before it reads its sockets, for %lld ms)", static_cast<long long>(span / kMs));
  post(now_ + span, Ev::StallEnds, n, 0, 0, node.incarnation);
  return true;
}

void World::next_outage() {
  if (outage_gap_ == 0) return;
  post(now_ + late_random_.below(2 * outage_gap_), Ev::OutageBegins, 0, 0, 0, round_);
}

void World::outage_begins() {
  next_outage();
  tally_.count(Fault::Outage);
  SAY(-1, "**** etcd's members do not hear each other");
  outage_ = true;
  for (int m = 0; m < members_count_; m++) {
    members_[static_cast<size_t>(m)].isolated = true;
    end_watches_of(m, 4 * kS);
  }
  lose_leader(late_random_.spread(300 * kMs, 3 * kS));
  post(now_ + late_random_.spread(5 * kS, 100 * kS), Ev::OutageEnds, 0, 0, 0, round_);
}

void World::outage_ends() {
  outage_ = false;
  for (int m = 0; m < members_count_; m++) {
    members_[static_cast<size_t>(m)].isolated = false;
    post(now_ + late_random_.spread(kMs, 500 * kMs), Ev::MemberApplies, 0, m, 0, 0,
         store_.revision);
  }
}

}  // namespace sim
