// What goes wrong with etcd: its members, the cluster as a whole, and what it keeps.
#include "sim/world.hpp"

namespace sim {

// A member that leads and goes takes the leadership with it, and a majority that goes takes all.
void World::unsettle_member(int m) {
  if (m == leader_ || !quorum()) lose_leader(random_.spread(300 * kMs, 3 * kS));
}

bool World::strike_etcd(Fault fault) {
  const int m = static_cast<int>(random_.below(members_count_));
  int64_t span = random_.spread(50 * kMs, 40 * kS);
  if (strike_history(fault)) return true;
  if (!strike_one_member(fault, m) && !strike_cluster(fault, m, &span)) return false;
  heal_after(fault, span, m);
  return true;
}

bool World::strike_one_member(Fault fault, int m) {
  Member& member = members_[static_cast<size_t>(m)];
  if (fault == Fault::MemberCrash && member.up) {
    member.up = false;
    end_watches_of(m, 200 * kMs);
    unsettle_member(m);
  } else if (fault == Fault::MemberHang) {
    member.hung = true;
    unsettle_member(m);
  } else if (fault == Fault::MemberIsolated) {
    member.isolated = true;
    end_watches_of(m, 4 * kS);
    unsettle_member(m);
  } else if (fault == Fault::MemberLags) {
    member.lag = random_.spread(kMs, 5 * kS);
  } else if (fault == Fault::MemberSlow) {
    member.latency = random_.spread(kMs, 1500 * kMs);
  } else {
    return false;
  }
  return true;
}

// `span`: how long it lasts.
bool World::strike_cluster(Fault fault, int m, int64_t* span) {
  if (fault == Fault::QuorumLost) {
    for (int i = 0; i <= members_count_ / 2; i++) {
      const int each = (m + i) % members_count_;
      members_[static_cast<size_t>(each)].hung = true;
      heal_after(Fault::MemberHang, *span, each);
    }
    lose_leader(random_.spread(300 * kMs, 3 * kS));
  } else if (fault == Fault::NoSpace) {
    no_space_ = no_space_once_ = true;
    *span = random_.spread(kS, 7200 * kS);
  } else if (fault == Fault::Restore) {
    if (!has_backup_ || random_.one_in(3)) {
      backup_ = store_;
      has_backup_ = true;
      return false;
    }
    cluster_down_ = true;
    cluster_down_since_ = now_;
    for (int i = 0; i < members_count_; i++) end_watches_of(i, 100 * kMs);
    *span = random_.spread(200 * kMs, timeout_ + 20 * kS);
    if (mixed_) *span += timeout_;
  } else {
    return false;
  }
  return true;
}

// What needs no healing.
bool World::strike_history(Fault fault) {
  if (fault == Fault::LeaderChange) {
    lose_leader(random_.spread(100 * kMs, 3 * kS));
  } else if (fault == Fault::Compaction) {
    store_.compact(store_.revision - random_.below(60));
  } else if (fault == Fault::LeaseRevokedEarly || fault == Fault::LeaseRevokedByHand) {
    if (store_.leases.empty() || leaderless_) return false;
    const auto which =
        static_cast<size_t>(random_.below(static_cast<int64_t>(store_.leases.size())));
    (void)store_.revoke(store_.leases[which].id);
    committed();
  } else if (fault == Fault::ForeignWrites) {
    if (leaderless_) return false;
    store_.foreign(random_.spread(1, 300));
    committed();
  } else {
    return false;
  }
  return true;
}

void World::restore() {
  const uint64_t id = store_.cluster_id;
  store_ = backup_;
  // Whoever restores a backup under the same name keeps etcd stopped for a session timeout at least
  // (README.md, "Limits"): to a node that heard nothing after the backup was made, it looks as if
  // nothing had happened.
  const bool long_down = now_ - cluster_down_since_ > timeout_ + timeout_ / 500;
  store_.cluster_id = long_down && random_.one_in(2) ? id : id + 1;
  noted_ = store_.revision;
  cluster_down_ = false;
  restores_++;
  restored_once_ = true;
  for (Member& member : members_) member.applied = store_.revision;
  for (Node& node : nodes_) node.watch.open = node.watch.open && node.watch.strange;
  for (Store::Lease& lease : store_.leases) {
    lease.expires = now_ + lease.ttl;
    post(lease.expires, Ev::LeaseSweep, 0, 0, 0, 0, static_cast<int64_t>(lease.id));
  }
  has_backup_ = false;
  SAY(-1, "etcd: restored from a backup at r%lld, cluster %llu",
      static_cast<long long>(store_.revision), static_cast<unsigned long long>(store_.cluster_id));
  lose_leader(random_.spread(10 * kMs, kS));
}

}  // namespace sim
