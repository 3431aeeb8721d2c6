// What people are told: the state of each VIP and the reason for it.
#include <algorithm>
#include <cassert>
#include <utility>

#include "core/core_impl.hpp"

namespace vipd {

namespace {

std::string refusal(const Vip& vip) {
  return vip.acquiring.fault.empty() ? "the kernel refused the address"
                                     : "acquire failed: " + vip.acquiring.fault;
}

std::string who_else_has_it(const Vip& vip, bool probes) {
  return "the host with " + vip.conflict.mac.text() +
         " has the address, and takes no part in the election" +
         (probes ? " (if it answers for others: conflict.probe = no)" : "");
}

std::string who_is_ahead(const View::Candidate* head, bool is_old) {
  if (head == nullptr) return "joining the queue";
  return (head->node.empty() ? "session " + lease_hex(head->lease) : head->node) +
         (is_old ? " was ahead in the queue when etcd last answered" : " is ahead in the queue");
}

}  // namespace

VipState Core::Impl::state_of(const Vip& vip, Obstacle obstacle) const {
  switch (vip.address) {
    case Vip::AddressState::Present:
      return VipState::Owner;
    case Vip::AddressState::Inherited:
    case Vip::AddressState::Adding:
    case Vip::AddressState::Removing:
      return vip.state;  // what it will be is told when the kernel has confirmed
    case Vip::AddressState::Absent:
      break;
  }
  switch (obstacle) {
    case Obstacle::NodePaused:
      return VipState::Paused;
    case Obstacle::OtherCluster:
    case Obstacle::LinkMissing:
    case Obstacle::LinkDown:
    case Obstacle::KernelRefused:
    case Obstacle::Blocked:
    case Obstacle::ForeignHost:
      return VipState::Fault;
    case Obstacle::NodeReleasing:
    case Obstacle::LinkUnknown:
    case Obstacle::Resigning:
    case Obstacle::NotQueued:
    case Obstacle::NotHead:
    case Obstacle::KeyRetired:
      return VipState::Standby;
    case Obstacle::None:
    case Obstacle::NoAuthority:
    case Obstacle::NoGrants:
    case Obstacle::PreviousOwner:
    case Obstacle::MayBeHeld:
    case Obstacle::Probing:
    case Obstacle::RemovedByOthers:
    case Obstacle::Acquiring:
    case Obstacle::OthersFirst:
      return VipState::Waiting;
  }
  return VipState::Standby;
}

std::string Core::Impl::reason_of(const Vip& vip, Obstacle obstacle, MonoTime now) const {
  switch (obstacle) {
    case Obstacle::None:
      return vip.address == Vip::AddressState::Present ? "" : "adding the address";
    case Obstacle::NodePaused:
      return "paused by vipctl";
    case Obstacle::OtherCluster:
      return "etcd: " + binding_.objection();
    case Obstacle::NodeReleasing:
      return "the daemon is stopping";
    case Obstacle::LinkUnknown:
      return "looking for link " + vip.settings.link;
    case Obstacle::LinkMissing:
      return "there is no link " + vip.settings.link;
    case Obstacle::LinkDown:
      return "link " + vip.settings.link + " is down";
    case Obstacle::KernelRefused:
      return refusal(vip) + "; next try in " + in_seconds(vip.comeback.not_before - now);
    case Obstacle::Blocked:
      return vip.blocked;
    case Obstacle::ForeignHost:
      return who_else_has_it(vip, settings_.conflict_probe);
    case Obstacle::Probing:
      return "asking whether another host has the address";
    case Obstacle::Resigning:
      return vip.dropped ? "no longer configured" : why_resigned(vip);
    case Obstacle::NotQueued:
      if (!snapshot_.loaded()) return "etcd has not answered yet";
      return chain_.live() ? "joining the queue" : "opening a session in etcd";
    case Obstacle::NotHead:
      return who_is_ahead(view_.queue(vip.settings.address).head(), etcd_shows_nothing());
    case Obstacle::KeyRetired:
      return "released, joining the queue again";
    case Obstacle::NoAuthority:
      if (hold_.said && vip.address == Vip::AddressState::Present) {
        return "kept without etcd: all other nodes agree";
      }
      return "etcd has not confirmed a heartbeat in time";
    case Obstacle::NoGrants:
      return "the other nodes have not renewed the peer lease in time";
    case Obstacle::PreviousOwner:
      if (free_at(vip).is_never()) return "waiting for more than half of the etcd endpoints";
      return "waiting " + in_seconds(free_at(vip) - now) + " for a possible former owner";
    case Obstacle::MayBeHeld:
      return may_be_held_reason(vip);
    case Obstacle::Acquiring:
      return "its acquire program is running";
    case Obstacle::RemovedByOthers:
      return "somebody removed the address from " + vip.settings.link + "; restoring it";
    case Obstacle::OthersFirst:
      return "waiting for " + vip.settings.name + ", of the same group";
  }
  return "";
}

// Without having it, a node leaves its place only for a better one, or when somebody asks.
std::string Core::Impl::why_resigned(const Vip& vip) const {
  const View::Queue& queue = view_.queue(vip.settings.address);
  const std::vector<View::Candidate>& all = queue.candidates;
  const auto better =
      std::find_if(all.begin() + std::max(queue.position(chain_.lease()), 0), all.end(),
                   [&](const View::Candidate& c) { return outranks(c, vip); });
  if (vip.state == VipState::Owner || better == all.end()) return "resigned";
  return "making way for " + better->node + ", whose priority is higher";
}

std::string Core::Impl::reason_of(const Vip& vip, const Hindrance& hindrance, MonoTime now) const {
  const auto [why, whose] = hindrance;
  const std::string reason = reason_of(*whose, why, now);
  return whose == &vip || why == Obstacle::OthersFirst ? reason
                                                       : whose->settings.name + ": " + reason;
}

std::string Core::Impl::owner_of(const Vip& vip, MonoTime now) const {
  if (vip.address == Vip::AddressState::Present) return settings_.node;
  const View::Candidate* head = view_.queue(vip.settings.address).head();
  if (head == nullptr || head->lease == chain_.lease()) return "";
  const View::Session* session = view_.session(head->lease);
  if (session == nullptr || !session->known) return head->node;
  const bool alive = session->present && now < session->last_seen + session->timeout;
  return alive ? head->node : "";
}

void Core::Impl::drive_states() {
  // A call under way ends in a step of its own, which reports what follows from it.
  if (kernel_.busy()) return;
  for (Vip& vip : vips_) {
    // By far the most frequent case, with many VIPs.
    const bool is_owned = vip.address == Vip::AddressState::Present;
    if (is_owned && vip.state == VipState::Owner) continue;
    const Hindrance why = hindrance(vip, now_);
    const VipState to = state_of(vip, why.why);
    if (to == vip.state) continue;
    const std::string reason = to == VipState::Owner ? how_taken(vip) : how_lost(vip, why);
    set_state(&vip, to, reason);
  }
}

std::string Core::Impl::how_taken(const Vip& vip) const {
  if (vip.key.was_had(headed_since(vip))) return "taken again; nobody else had it meanwhile";
  const std::string& how = view_.queue(vip.settings.address).how;
  return how.empty() ? "first in the queue" : how;
}

// What keeps it from coming back need not be what it was lost for.
std::string Core::Impl::how_lost(const Vip& vip, const Hindrance& why) const {
  const bool waits = why.why == Obstacle::NoAuthority || why.why == Obstacle::NoGrants ||
                     why.why == Obstacle::PreviousOwner || why.why == Obstacle::MayBeHeld;
  if (vip.state == VipState::Owner && waits && !said_.lost_for.empty()) return said_.lost_for;
  return reason_of(vip, why, now_) + nobody_follows(vip, why.why);
}

// Of what is let go while etcd is away.
std::string Core::Impl::nobody_follows(const Vip& vip, Obstacle why) const {
  const bool lost =
      why == Obstacle::NoAuthority || why == Obstacle::NoGrants || why == Obstacle::RemovedByOthers;
  const bool away = vip.state == VipState::Owner && !lost && chain_.live() && etcd_is_away();
  return away ? "; nobody can take it while etcd is away" : "";
}

void Core::Impl::say_differences() {
  const std::string before = std::exchange(said_.differs, differences());
  if (!said_.differs.empty() && said_.differs != before)
    report(ReportKind::NodesDiffer, said_.differs);
}

// A former process of this host is no other node. "": in none.
std::string Core::Impl::differences() const {
  for (const auto& [lease, session] : view_.sessions()) {
    if (!session.present || lease == chain_.lease()) continue;
    const bool here = std::any_of(links_.begin(), links_.end(), [&](const auto& item) {
      return item.second.mac == session.host.mac;
    });
    if (here || !session.host.known()) continue;
    if (session.node == settings_.node) {
      return "another node is called " + settings_.node + ", too; give each its own node.name";
    }
    if (session.timeout != settings_.timeout) {
      return session.node + " has a session.timeout of " + in_seconds(session.timeout) +
             ", this node of " + in_seconds(settings_.timeout) + "; give all nodes the same";
    }
  }
  return "";
}

void Core::Impl::set_state(Vip* vip, VipState to, const std::string& reason) {
  assert(to != vip->state);
  // Ownership is reached only from the queue.
  assert(to != VipState::Owner || vip->state == VipState::Standby ||
         vip->state == VipState::Waiting);
  const Revision headed = headed_since(*vip);
  const bool again = to == VipState::Owner && vip->key.was_had(headed);
  if (to == VipState::Owner) vip->key.had(headed);
  emit(action::ReportState{.address = vip->settings.address,
                           .from = vip->state,
                           .to = to,
                           .reason = reason,
                           .cause = view_.queue(vip->settings.address).cause,
                           .again = again});
  vip->state = to;
}

}  // namespace vipd
