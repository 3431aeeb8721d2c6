// Order in the queue (ARCHITECTURE.md, "Order in the queue"): priorities and transfers. Whoever is
// in the way of somebody better lets go cleanly and queues up anew; the protocol stays as it is.
#include <algorithm>
#include <cassert>

#include "core/core_impl.hpp"
#include "core/timing.hpp"

namespace vipd {

namespace {

// A new place is kept for so long: nodes that disagree must not chase each other, and a transfer
// must come to its end.
constexpr Duration kReorderPause = Duration::seconds(1);
// Nodes with different groups may cross each other for as long as they differ.
constexpr Duration kReorderLast = Duration::seconds(60);
// Above every priority of a configuration, and of two nodes hardly ever the same: equal ones would
// leave a VIP wherever it is.
constexpr int kLeastWeight = 1'000;
constexpr int kWeights = 1'000'000;
// Of a configuration. Below all weights: a node whose checks lower its priority comes behind all
// others where the order is that of weights.
constexpr int kHighestPriority = 255;

// FNV-1a, then spread: nearly equal names must not have nearly equal weights.
uint64_t weight(const std::string& text) {
  uint64_t hash = 0xcbf29ce484222325ull;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ull;
  hash = (hash ^ (hash >> 33)) * 0xff51afd7ed558ccdull;
  hash = (hash ^ (hash >> 33)) * 0xc4ceb9fe1a85ec53ull;
  return hash ^ (hash >> 33);
}

}  // namespace

// Highest random weight: each node's weight for a VIP depends on those two alone, so that VIPs
// spread evenly, and only those of a node that goes find another.
void Core::Impl::configure(Vip* vip, const VipSettings& settings) {
  vip->settings = settings;
  vip->link = &links_[settings.link];
  set_priority(vip);
}

void Core::Impl::set_priority(Vip* vip) {
  assert(vip->lowered >= 0);
  const VipSettings& settings = vip->settings;
  if (vip->lowered > 0) {
    vip->priority = std::max(0, settings.priority.value_or(kHighestPriority) - vip->lowered);
    return;
  }
  const std::string what = settings.group.empty() ? settings.address.text() : settings.group;
  const uint64_t own = weight(settings_.node + "/" + what);
  vip->priority = settings.priority.value_or(kLeastWeight + static_cast<int>(own % kWeights));
}

bool Core::Impl::priority_is_stale(const Vip& vip) const {
  const View::Candidate* own = view_.candidate(vip.settings.address, chain_.lease());
  return own != nullptr && !vip.key.is_ahead_of(view_.applied()) && own->priority != vip.priority;
}

void Core::Impl::drive_order() {
  if (!snapshot_.loaded() || !replay_.proven() || !chain_.live() || read_beats_.wanted() ||
      orders_.stopping)
    return;
  for (Vip& vip : vips_) {
    const bool is_owned = vip.address == Vip::AddressState::Present;
    const bool is_alone = vip.group == Vip::kAlone;
    if (is_owned && is_alone && vip.transfer.to == LeaseId::None && !vip.settings.preempt) continue;
    if (!wanted(vip) || !has_key(vip)) continue;
    if (vip.address == Vip::AddressState::Present) {
      vip.place.pause = Duration();
      consider_transfer(&vip);
      consider_preemption(&vip);
      consider_giving_up_part(&vip);
    } else if (vip.address == Vip::AddressState::Absent) {
      vip.transfer.to = LeaseId::None;
      consider_making_way(&vip);
    }
  }
}

// Not the owner yet: the queue should be in the order of priorities when it is needed.
void Core::Impl::consider_making_way(Vip* vip) {
  if (vip->key.is_ahead_of(view_.applied())) return;  // the view still shows a place that was left
  if (!none_is_up(*vip)) return;
  const View::Queue& queue = view_.queue(vip->settings.address);
  const int own = queue.position(chain_.lease());
  // A node that is the head of one queue of its group and waits in another holds up the next one.
  const Duration pause = own == 0 ? kReorderPause : std::max(kReorderPause, vip->place.pause);
  if (own != vip->place.number) vip->place.reorder_at = now_ + pause;
  vip->place.number = own;
  if (own < 0) return;
  // An owner that lost the VIP because etcd was away takes it again when etcd is back: until then
  // it makes no way, as no owner does.
  if (own == 0 && etcd_is_away()) vip->place.reorder_at = now_ + pause;
  const bool better = std::any_of(queue.candidates.begin() + own + 1, queue.candidates.end(),
                                  [&](const View::Candidate& c) { return outranks(c, *vip); });
  if ((!better && !is_crossed(*vip)) || !due(vip->place.reorder_at)) return;
  if (!better) vips_.each_of_group(vip, [](Vip* each) { each->place.wait_longer(kReorderLast); });
  resign(vip);
}

bool Core::Impl::outranks(const View::Candidate& candidate, const Vip& vip) const {
  const View::Session* session = view_.session(candidate.lease);
  return candidate.ours && candidate.priority > vip.priority && session != nullptr &&
         session->present;
}

// The second beats: its last heartbeat came after it got its place, and not long ago.
bool Core::Impl::second_is_ready(const View::Queue& queue) const {
  assert(queue.candidates.size() > 1);
  const View::Session* session = view_.session(queue.candidates[1].lease);
  return session != nullptr && session->present && session->last_seen >= queue.since[1] &&
         now_ - session->last_seen < session->timeout;
}

void Core::Impl::consider_preemption(Vip* vip) {
  if (!vip->settings.preempt) return;
  const View::Queue& queue = view_.queue(vip->settings.address);
  if (queue.candidates.size() < 2 || !outranks(queue.candidates[1], *vip)) return;
  // It has to wait a timeout after its first snapshot itself.
  const Duration delay =
      std::max(vip->settings.preempt_delay, timing::with_drift(settings_.timeout));
  if (!due(queue.since[1] + delay) || !second_is_ready(queue)) return;
  if (!is_second_in_all(*vip, queue.candidates[1].lease)) return;
  const View::Candidate& better = queue.candidates[1];
  hand_over(vip, better.node + " has a higher priority: " + std::to_string(better.priority) +
                     ", here it is " + std::to_string(vip->priority) +
                     (vip->lowered > 0 ? ", lowered by checks that are down" : ""));
}

void Core::Impl::hand_over(Vip* vip, const std::string& why) {
  assert(vip->address == Vip::AddressState::Present);
  report(ReportKind::HandedOver, "handed over: " + why, vip->settings.address);
  vip->transfer.to = LeaseId::None;
  resign(vip);
  step_.again(now_);  // the address goes first
}

// --- transfer

void Core::Impl::on(const event::TransferAsked& e) {
  Vip* vip = find(e.vip);
  if (vip == nullptr || vip->address != Vip::AddressState::Present) return;
  const Transfer transfer{.to = e.to, .at = now_, .by = now_ + settings_.timeout};
  vips_.each_of_group(vip, [&](Vip* each) { each->transfer = transfer; });
}

// Those between the owner and the one that is wanted lose their places, and queue up anew behind.
// Once it is the second and beats, it is a release like any other.
void Core::Impl::consider_transfer(Vip* vip) {
  if (vip->transfer.to == LeaseId::None) return;
  const View::Queue& queue = view_.queue(vip->settings.address);
  const int place = queue.position(vip->transfer.to);
  if (place == 1 && second_is_ready(queue) && is_second_in_all(*vip, vip->transfer.to)) {
    hand_over(vip, "asked by vipctl, to " + queue.candidates[1].node);
  } else if (place < 1 || due(vip->transfer.by)) {
    vip->transfer.to = LeaseId::None;
    report(ReportKind::TransferGivenUp,
           std::string("not handed over: ") + (place < 1      ? "the requested node left the queue"
                                               : !is_echoed() ? "etcd does not answer"
                                                              : "the requested node is not ready"),
           vip->settings.address);
  } else if (place > 1 && due(vip->transfer.at)) {
    vip->transfer.at = now_ + timing::request_timeout(settings_.timeout);
    due(vip->transfer.at);
    clear_the_way(*vip, queue, static_cast<size_t>(place));
  }
}

// The comparison proves that they are still behind us, so that none of them can have the address.
void Core::Impl::clear_the_way(const Vip& vip, const View::Queue& queue, size_t place) {
  assert(place > 1 && place < queue.candidates.size());
  assert(vip.address == Vip::AddressState::Present);
  const Key own{KeyKind::Candidate, chain_.lease(), vip.settings.address};
  Txn txn;
  txn.compares = {{.kind = Compare::Kind::CreatedIs, .key = own, .revision = key_created(vip)}};
  for (size_t i = 1; i < place && i <= kMaxLinkSize; i++) {
    const Key key{KeyKind::Candidate, queue.candidates[i].lease, vip.settings.address};
    txn.success.push_back({.kind = Op::Kind::Delete, .key = key});
  }
  txn.failure = {{.kind = Op::Kind::Range, .key = own}};
  emit(action::SendTxn{.request = next_request(),
                       .group = static_cast<uint64_t>(chain_.lease()),
                       .txn = std::move(txn)});
}

}  // namespace vipd
