// A host: its clock, its links, and the addresses that its kernel has, with the lateness of the
// kernel's lifetimes (notes: kernel, 1.1).
#include <algorithm>
#include <cerrno>

#include "sim/world.hpp"

namespace sim {

namespace {

constexpr int64_t kLateness = 1250 * kMs;
constexpr int64_t kEarliness = 20 * kMs;
// A call that took longer than this cannot hold what the protocol's margin assumes.
constexpr int64_t kHeldUp = 40 * kMs;
// A shorter sleep is one that no clock notices.
constexpr int64_t kLeastMeasured = 20 * kMs;

// In two parts, since the product of all is more than 64 bits have room for.
int64_t drifted(int64_t span, int64_t ppb) {
  return span + span / kS * ppb + span % kS * ppb / kS;
}

}  // namespace

// --- the clock

int64_t World::shown(const Node& node) const {
  const int64_t at = node.paused == HostPause::Unnoticed ? node.paused_at : now_;
  return node.clock.shown_at + drifted(at - node.clock.true_at, node.clock.ppb);
}

int64_t World::true_time_of(const Node& node, int64_t local) const {
  if (local > node.clock.shown_at + 100'000'000 * kS) return 200'000'000 * kS;
  const int64_t span = local - node.clock.shown_at;
  int64_t at = node.clock.true_at + drifted(span, -node.clock.ppb) - 2;
  while (node.clock.shown_at + drifted(at - node.clock.true_at, node.clock.ppb) < local) {
    at += 1 + (local - node.clock.shown_at - drifted(at - node.clock.true_at, node.clock.ppb)) / 2;
  }
  return at;
}

// --- netlink calls

// True when it was done in no time; otherwise the process is inside it.
bool World::call_kernel(int n, int vip, bool removes, int lifetime) {
  Node& node = nodes_[static_cast<size_t>(n)];
  node.call_vip = vip;
  node.call_removes = removes;
  node.call_lifetime = lifetime;
  node.call_error = 0;
  node.call_acted = false;
  node.call_shown = node.stack[node.depth - 1].shown;
  node.in_call = true;
  if (random_.per_million(refused_)) node.call_error = random_.one_in(2) ? ENOMEM : EPERM;
  if (!removes && node.is_refused[static_cast<size_t>(vip)]) node.call_error = EPERM;
  int64_t before = 0;
  node.call_back_in = 0;
  if (random_.per_million(held_up_)) {
    tally_.count(Fault::CallHeldUp);
    switch (random_.below(3)) {
      case 0:  // somebody else holds RTNL
        before = random_.below(70 * kMs);
        node.call_back_in = random_.below(5 * kMs);
        break;
      case 1:  // stopped before the call
        before = random_.spread(10 * kMs, 3 * timeout_);
        break;
      default:  // stopped after it
        node.call_back_in = random_.spread(10 * kMs, 3 * timeout_);
        break;
    }
  }
  if (before == 0 && node.call_back_in == 0) {
    kernel_acts(n, node.incarnation);
    node.in_call = false;
    const vipd::Address& address = vips_[static_cast<size_t>(vip)];
    if (removes) {
      push_step(&node, vipd::event::AddressRemoved{.address = address, .error = node.call_error});
    } else {
      push_step(&node, vipd::event::AddressAdded{
                           .address = address, .lifetime_s = lifetime, .error = node.call_error});
    }
    return true;
  }
  node.busy = true;
  SAY(n, "(the call is held up: %lld ms before, %lld ms after it takes effect)",
      static_cast<long long>(before / kMs), static_cast<long long>(node.call_back_in / kMs));
  post(now_ + before, Ev::KernelActs, n, 0, 0, node.incarnation);
  return false;
}

void World::kernel_acts(int n, uint32_t incarnation) {
  Node& node = nodes_[static_cast<size_t>(n)];
  if (incarnation != node.incarnation || !node.in_call) return;
  if (node.busy && (node.stopped || node.paused != HostPause::None) && node.core != nullptr) {
    return post(now_ + 20 * kMs, Ev::KernelActs, n, 0, 0, incarnation);
  }
  node.call_acted = true;
  const auto vip = static_cast<size_t>(node.call_vip);
  if (node.call_removes) {
    if (node.call_error == 0 || random_.one_in(3)) {
      remove_address(n, node.call_vip, Rule::AddressRemoved);
    } else {
      node.addresses[vip].stuck = true;
    }
  } else {
    if (!node.link_present[node.vip_link[vip]]) node.call_error = ENODEV;
    // A refusal may be an answer that was lost.
    if (node.call_error == 0 || (node.call_error == ENOMEM && random_.one_in(2))) {
      add_address(n, node.call_vip, node.call_lifetime);
    }
  }
  if (node.busy) post(now_ + node.call_back_in, Ev::KernelAnswers, n, 0, 0, incarnation);
}

void World::kernel_answers(int n, uint32_t incarnation) {
  Node& node = nodes_[static_cast<size_t>(n)];
  if (incarnation != node.incarnation || !node.in_call) return;
  if (node.stopped || node.paused != HostPause::None) {
    return post(now_ + 20 * kMs, Ev::KernelAnswers, n, 0, 0, incarnation);
  }
  node.busy = node.in_call = false;
  const vipd::Address& address = vips_[static_cast<size_t>(node.call_vip)];
  if (node.call_removes) {
    push_step(&node, vipd::event::AddressRemoved{.address = address, .error = node.call_error});
  } else {
    push_step(&node,
              vipd::event::AddressAdded{
                  .address = address, .lifetime_s = node.call_lifetime, .error = node.call_error});
  }
  run_turn(n);
  drain(n);
}

// --- addresses

// Between the look at the clock and the call, or the announcement.
bool World::held_up(const Node& node) const {
  const int64_t since = node.in_call ? node.call_shown : node.stack[node.depth - 1].shown;
  return shown(node) - since > kHeldUp;
}

void World::add_address(int n, int vip, int lifetime) {
  Node& node = nodes_[static_cast<size_t>(n)];
  KernelAddress& address = node.addresses[static_cast<size_t>(vip)];
  if (lifetime < 1 || lifetime > 14) fail("fencing", "a lifetime of %d s", lifetime);
  tally_.count(address.present ? Rule::AddressRenewed : Rule::AddressAdded);
  const bool fresh = !address.present;
  if (fresh) {
    address = {.present = true, .timer_at = address.timer_at};
    node.given_up.fill(false);  // some have gone, and come back one by one
    address.link = node.vip_link[static_cast<size_t>(vip)];
  } else if (address.link != node.vip_link[static_cast<size_t>(vip)]) {
    fail("ownership", "v%d is on two links of one host", vip + 1);
  }
  int64_t late = random_.between(-kEarliness, 300 * kMs);
  if (random_.one_in(4)) late = random_.between(300 * kMs, kLateness);
  if (random_.one_in(20)) late = kLateness;
  const int64_t ends = shown(node) + lifetime * kS;
  address.expires = true_time_of(node, ends + late);
  address.longest = ends + kLateness;
  if (broken(Broken::Fencing)) address.longest += 2 * kS;
  address.set_at = now_;
  address.session = node.core->session();
  address.cluster = node.used;
  address.stuck = false;
  address.unchecked = true;
  address.excused_until = -1;
  arm_expiry(n, vip);
  SAY(n, "      kernel: v%d is on the link for %d s%s", vip + 1, lifetime, fresh ? "" : " more");
  if (fresh) {
    owner_changes_++;
    owned_since_[static_cast<size_t>(vip)] = now_;
    // It knows of nobody before its start but by a release that says `held`.
    const bool is_new = node.its_settings.memory.lease == vipd::LeaseId::None;
    const bool soon = shown(node) - node.started_shown < node.its_timeout;
    if (is_new && soon) tally_.count(Rule::WaitCutShort);
  }
  if (held_up(node) && address.longest > node.deadline) {
    excuse(n, vip, Excuse::Call, address.expires);
  }
  if (fresh && strange_ == Strange::Contested) note_elsewhere(n, vip);
  if (fresh) judge(vip);
  if (fresh) check_whole(n, vip);
}

void World::remove_address(int n, int vip, Rule how) {
  KernelAddress& address = nodes_[static_cast<size_t>(n)].addresses[static_cast<size_t>(vip)];
  if (!address.present || broken(Broken::Ownership)) return;
  check_gone(n, vip);
  address.present = false;
  address.unchecked = false;
  tally_.count(how);
  Node& node = nodes_[static_cast<size_t>(n)];
  if (how == Rule::AddressGoneByOthers) node.in_part.fill(0);
  // One that was refused is tried again in another turn.
  if (how == Rule::AddressRemoved) node.given_up[static_cast<size_t>(vip)] = !address.stuck;
  node.lost[static_cast<size_t>(vip)] = how != Rule::AddressRemoved;
  owner_changes_++;
  judge(vip);
  SAY(n, "      kernel: v%d is gone (%s)", vip + 1, name_of(how));
}

void World::arm_expiry(int n, int vip) {
  KernelAddress& address = nodes_[static_cast<size_t>(n)].addresses[static_cast<size_t>(vip)];
  if (address.timer_at != 0 && address.timer_at <= address.expires) return;
  address.timer_at = address.expires;
  post(address.expires, Ev::KernelExpires, n, vip);
}

void World::kernel_expires(int n, int vip) {
  Node& node = nodes_[static_cast<size_t>(n)];
  KernelAddress& address = node.addresses[static_cast<size_t>(vip)];
  if (address.timer_at == 0 || now_ < address.timer_at) return;
  address.timer_at = 0;
  if (!address.present || node.paused != HostPause::None) return;
  if (address.expires > now_) return arm_expiry(n, vip);
  remove_address(n, vip, Rule::AddressExpired);
  notice(n, vip, true);
}

int64_t World::notice_at(Node* node) {
  const int64_t late = random_.one_in(10) ? random_.spread(kMs, 500 * kMs) : 50 * kUs;
  node->netlink_at = std::max(node->netlink_at, now_ + late);
  return node->netlink_at;
}

void World::notice(int n, int vip, bool expired) {
  Node& node = nodes_[static_cast<size_t>(n)];
  post(notice_at(&node), Ev::AddressNotice, n, vip, expired ? 1 : 0, node.incarnation);
}

void World::address_noticed(const Item& item) {
  if (item.x != nodes_[item.node].incarnation) return;
  tell(item.node,
       {.event = vipd::event::AddressLost{.address = vips_[item.a], .expired = item.b != 0}});
}

// --- links

void World::link_noticed(const Item& item) {
  const Node& node = nodes_[item.node];
  if (item.x != node.incarnation) return;
  tell(item.node, {.event = vipd::event::LinkChanged{.link = link_name(item.a),
                                                     .present = (item.b & 1) != 0,
                                                     .up = (item.b & 2) != 0,
                                                     .mac = mac_of(node.name, item.a)}});
}

void World::set_link(int n, int link, bool present, bool up) {
  Node& node = nodes_[static_cast<size_t>(n)];
  const auto i = static_cast<size_t>(link);
  if (node.link_present[i] == present && node.link_up[i] == (up && present)) return;
  node.link_present[i] = present;
  node.link_up[i] = up && present;
  SAY(n, "link eth%d: %s, %s", link, present ? "present" : "missing", up ? "up" : "down");
  for (int v = 0; v < vips_count_; v++) {
    const KernelAddress& address = node.addresses[static_cast<size_t>(v)];
    if (present || !address.present || address.link != link) continue;
    remove_address(n, v, Rule::AddressGoneByOthers);
    notice(n, v, false);
  }
  post(notice_at(&node), Ev::LinkNotice, n, link, (present ? 1 : 0) | (up && present ? 2 : 0),
       node.incarnation);
}

// --- the machine

void World::pause_host(int n, HostPause how, int64_t span) {
  Node& node = nodes_[static_cast<size_t>(n)];
  node.paused_at = now_;
  node.paused = how;
  SAY(n, "the machine is paused for %lld ms, %s", static_cast<long long>(span / kMs),
      how == HostPause::Unnoticed ? "its clocks with it"
      : how == HostPause::Suspend ? "its kernel's timers with it"
                                  : "its clocks go on");
  post(now_ + span, Ev::HostResumes, n);
  judge_all();
}

void World::resume_host(int n) {
  Node& node = nodes_[static_cast<size_t>(n)];
  const HostPause how = node.paused;
  if (how == HostPause::None || !node.up) return;
  const int64_t span = now_ - node.paused_at;
  node.paused = HostPause::None;
  if (how == HostPause::Unnoticed) node.clock.true_at += span;
  if (how == HostPause::Suspend) wake_up(&node, span);
  for (int v = 0; v < vips_count_; v++) {
    KernelAddress& address = node.addresses[static_cast<size_t>(v)];
    if (!address.present) continue;
    if (how != HostPause::Noticed) address.expires += span;
    if (how == HostPause::Unnoticed && address.excused_until >= node.paused_at) {
      address.excused_until += span;
    }
    arm_expiry(n, v);
    if (how == HostPause::Suspend) excuse(n, v, Excuse::Suspend, address.expires);
    if (how == HostPause::Noticed && address.expires <= now_) {
      excuse(n, v, Excuse::Suspend, now_);  // past its deadline, but it never answered
      remove_address(n, v, Rule::AddressExpired);
      notice(n, v, true);
    }
  }
  SAY(n, "the machine goes on");
  if (how == HostPause::Unnoticed) {
    node.pause_until = true_time_of(node, shown(node) + node.its_timeout);
  }
  judge_all();
  // The wish to wake was made in the clock as it was.
  if (runs(node)) {
    drain(n);
    if (runs(node)) arm(n);
  }
}

// The clock that went on is set by one that may count whole seconds (notes: kernel, BOOTTIME). What
// it says of the time before is worth nothing after.
void World::wake_up(Node* node, int64_t span) {
  const int64_t error = late_random_.one_in(4) ? 0 : late_random_.between(-kS, kS);
  const int64_t measured = std::max(span + error, kLeastMeasured);
  node->suspended += measured;
  node->clock.shown_at += measured - span;
  node->deadline = INT64_MIN / 4;
  node->woken_at = shown(*node);
  // What was set before is judged when the process looks.
  for (KernelAddress& address : node->addresses) address.unchecked = false;
}

void World::crash_host(int n, int64_t span) {
  Node& node = nodes_[static_cast<size_t>(n)];
  if (!node.up) return;
  SAY(n, "==== the machine crashes");
  if (node.core != nullptr) end_process(n);
  for (int v = 0; v < vips_count_; v++) remove_address(n, v, Rule::AddressGoneByOthers);
  node.up = false;
  node.paused = HostPause::None;
  if (span >= 0) post(now_ + span, Ev::HostBoots, n);
}

void World::boot_host(int n) {
  Node& node = nodes_[static_cast<size_t>(n)];
  if (node.up || node.copy) return;
  node.up = true;
  node.boot++;
  node.clock.true_at = now_;
  node.clock.shown_at = random_.between(kS, 60 * kS);
  node.suspended = 0;
  node.woken_at = INT64_MIN / 4;
  node.deadline = INT64_MIN / 4;
  node.sent.clear();
  node.pause_until = node.clone_until = node.unfenced_until = -1;
  node.fence = {.missing = node.fence.missing};
  node.reader_cloned = false;
  SAY(n, "==== the machine boots");
  post(now_ + random_.spread(10 * kMs, 5 * kS), Ev::ProcessStarts, n);
}

}  // namespace sim
