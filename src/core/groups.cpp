// Groups: VIPs that a node owns all of, or none (ARCHITECTURE.md, "Groups"). Each has a queue of
// its own all the same, so that its address is safe whatever the others are configured for. A node
// joins all queues of a group in one transaction, so they all have one order.
#include <algorithm>

#include "core/core_impl.hpp"

namespace vipd {

namespace {

// Where the queues of a group have different orders, nodes that own nothing of it queue up anew. A
// node that owns a part waits for that so long.
constexpr Duration kPartKept = Duration::seconds(3);

bool is_up(const Vip& vip) {
  return vip.address != Vip::AddressState::Absent;
}

}  // namespace

// An obstacle of one member keeps all away.
bool Core::Impl::wanted(const Vip& vip) const {
  return vips_.all_of_group(vip, [this](const Vip& each) { return wanted_alone(each); });
}

bool Core::Impl::none_is_up(const Vip& vip) const {
  return vips_.all_of_group(vip, [](const Vip& each) { return !is_up(each); });
}

// A reload may name a link that nobody has looked at yet: no reason to lose the rest of a group.
bool Core::Impl::link_not_seen_yet(const Vip& vip) const {
  return vip.group != Vip::kAlone && !link_of(vip).known && !none_is_up(vip);
}

// A member that is not installed yet, or that somebody removed, is no reason to lose the others.
bool Core::Impl::may_keep(const Vip& vip) const {
  return wanted(vip) && vips_.all_of_group(vip, [&](const Vip& each) {
    return (&each != &vip && !is_up(each)) || may_keep_alone(each);
  });
}

bool Core::Impl::is_still_ours(const Vip& vip) const {
  return wanted(vip) && vips_.all_of_group(vip, [&](const Vip& each) {
    if (&each == &vip) return is_still_ours_alone(each);
    // While it is being removed its own record is gone; its key still shows that it was waited out.
    const bool goes = each.address == Vip::AddressState::Removing;
    return !is_up(each) || (goes ? each.key.usable(headed_since(each)) : is_still_ours_alone(each));
  });
}

// [safety] A release says that the address is gone, so the kernel must have confirmed it, and none
// of its programs runs. A key under which the VIP is never installed again goes as well.
bool Core::Impl::to_leave(const Vip& vip) const {
  if (is_up(vip) || !has_key(vip)) return false;
  // A former process may have set it, and nobody here looks after it.
  const bool is_stranger = vip.dropped && vip.settings.link.empty();
  if (is_stranger && now_ < session_.strangers_gone_at) return false;
  if (is_spent(vip.key, key_created(vip)) && !vip.acquiring.runs) return true;
  const bool is_in_use = !vips_.all_of_group(
      vip, [](const Vip& each) { return !is_up(each) && !each.acquiring.runs; });
  if (is_in_use) return false;
  return !wanted(vip) || has_spent_key(vip);
}

bool Core::Impl::has_spent_key(const Vip& vip) const {
  return !vips_.all_of_group(vip, [this](const Vip& each) {
    return !has_key(each) || !is_spent(each.key, key_created(each));
  });
}

// All that lack a key join at once, once none has to leave first.
bool Core::Impl::to_join(const Vip& vip) const {
  return !is_up(vip) && !has_key(vip) && !has_spent_key(vip);
}

// It was ours under the very key that it has, and is missing from those that stayed: it goes back
// to them, unless another node has a part, or may have one although its key is gone.
bool Core::Impl::goes_back(const Vip& vip) const {
  return !none_is_up(vip) && vip.key.was_held(headed_since(vip)) &&
         vips_.all_of_group(vip, [this](const Vip& each) {
           const View::Candidate* head = view_.queue(each.settings.address).head();
           const bool none = head == nullptr || head->lease == chain_.lease() || !head->ours;
           return none && (is_up(each) || now_ >= free_at(each));
         });
}

// The first obstacle is reported, in the order in which they are looked for: others follow from it.
Hindrance Core::Impl::hindrance(const Vip& vip, MonoTime now) const {
  Hindrance first{obstacle(vip, now), &vip};
  if (vip.address == Vip::AddressState::Present) return first;
  if (vip.group == Vip::kAlone || first.why < Obstacle::NotQueued || goes_back(vip)) return first;
  const Vip* before = nullptr;  // that is to be there before it
  bool in_order = true;
  (void)vips_.all_of_group(vip, [&](const Vip& each) {
    in_order = in_order && &each != &vip;
    if (&each == &vip) return true;
    const bool is_there = each.address == Vip::AddressState::Present;
    if (each.address == Vip::AddressState::Removing || (in_order && !is_there)) before = &each;
    if (is_up(each)) return true;
    const Obstacle why = obstacle(each, now);
    if (why < first.why) first = {why, &each};
    return true;
  });
  if (first.why == Obstacle::None && before != nullptr) return {Obstacle::OthersFirst, before};
  return first;
}

void Core::Impl::resign(Vip* vip) {
  vips_.each_of_group(vip, [](Vip* each) { each->resigning = true; });
}

bool Core::Impl::is_head_of_all(const Vip& vip) const {
  return vips_.all_of_group(vip, [this](const Vip& each) { return headed_since(each) != 0; });
}

bool Core::Impl::is_second_in_all(const Vip& vip, LeaseId lease) const {
  return vips_.all_of_group(vip, [&](const Vip& each) {
    return view_.queue(each.settings.address).position(lease) == 1;
  });
}

// --- queues of another order

// Somebody is before us here and behind us there: each would wait for the other. All places are
// given up at once, so afterwards we are behind in all of them.
bool Core::Impl::is_crossed(const Vip& vip) const {
  const View::Queue& queue = view_.queue(vip.settings.address);
  const int own = queue.position(chain_.lease());
  if (vip.group == Vip::kAlone || own < 0) return false;
  const auto is_before = [&](const Vip& other, const View::Candidate& candidate) {
    const View::Queue& its = view_.queue(other.settings.address);
    const int place = its.position(candidate.lease);
    return place >= 0 && place < its.position(chain_.lease());
  };
  return std::any_of(queue.candidates.begin() + own + 1, queue.candidates.end(),
                     [&](const View::Candidate& candidate) {
                       return !vips_.all_of_group(
                           vip, [&](const Vip& each) { return !is_before(each, candidate); });
                     });
}

// It is alive, and stands in all queues.
bool Core::Impl::may_get_all(const Vip& vip, const View::Candidate& candidate) const {
  const View::Session* session = view_.session(candidate.lease);
  if (session == nullptr || !session->present) return false;
  if (session->writes && now_ - session->last_seen >= session->timeout) return false;
  return vips_.all_of_group(vip, [&](const Vip& each) {
    return view_.queue(each.settings.address).position(candidate.lease) >= 0;
  });
}

// Two nodes may each own a part, where the VIPs were not a group before. All agree on whose part
// grows: that of the head of the lowest address.
void Core::Impl::consider_giving_up_part(Vip* vip) {
  if (vip->group == Vip::kAlone || vip->resigning) return;
  const Vip* lowest = vip;
  bool all_up = true;
  (void)vips_.all_of_group(*vip, [&](const Vip& each) {
    all_up = all_up && is_up(each);
    if (each.settings.address < lowest->settings.address) lowest = &each;
    return true;
  });
  const View::Queue& queue = view_.queue(lowest->settings.address);
  const bool is_behind =
      !lowest->key.is_ahead_of(view_.applied()) && queue.position(chain_.lease()) > 0;
  if (all_up || !is_behind || !may_get_all(*vip, *queue.head())) {
    vip->place.part_until = MonoTime::never();
    return;
  }
  if (vip->place.part_until.is_never()) vip->place.part_until = now_ + kPartKept;
  if (!due(vip->place.part_until)) return;
  vips_.each_of_group(vip, [](Vip* each) { each->place.part_until = MonoTime::never(); });
  hand_over(vip, queue.head()->node + " is ahead in the queue of " + lowest->settings.name +
                     ", of the same group");
}

}  // namespace vipd
