#include "vipd/core.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

#include "core/core_impl.hpp"
#include "core/timing.hpp"
#include "vipd/peer_view.hpp"

namespace vipd {

namespace {

#define VIPD_TEXT(value, text) text,
constexpr std::string_view kVipStates[] = {VIPD_VIP_STATES(VIPD_TEXT)};
constexpr std::string_view kNodeStates[] = {VIPD_NODE_STATES(VIPD_TEXT)};
constexpr std::string_view kTermStates[] = {VIPD_TERM_STATES(VIPD_TEXT)};
constexpr std::string_view kTakeoverCauses[] = {VIPD_TAKEOVER_CAUSES(VIPD_TEXT)};
#undef VIPD_TEXT

template <size_t kCount, typename T>
std::string_view text_of(const std::string_view (&texts)[kCount], T value) {
  assert(static_cast<size_t>(value) < kCount);
  return texts[static_cast<size_t>(value)];
}

}  // namespace

std::string_view name_of(VipState state) {
  return text_of(kVipStates, state);
}

std::string_view name_of(NodeState state) {
  return text_of(kNodeStates, state);
}

std::string_view name_of(TermState state) {
  return text_of(kTermStates, state);
}

std::string_view name_of(TakeoverCause cause) {
  return text_of(kTakeoverCauses, cause);
}

Core::Core(Settings settings, const Input& input, Actions* actions)
    : impl_(std::make_unique<Impl>(std::move(settings), input.now)) {
  impl_->begin(input, actions);
}

Core::~Core() = default;

void Core::step(const Input& input, const Event& event, Actions* actions) {
  impl_->step(input, event, actions);
}

MonoTime Core::next_deadline() const {
  return impl_->step_.next();
}

LeaseId Core::session() const {
  return impl_->chain_.lease();
}

Duration Core::timeout() const {
  return impl_->settings_.timeout;
}

MonoTime Core::fencing_deadline() const {
  return impl_->deadline();
}

MonoTime Core::confirmed() const {
  const MonoTime deadline = impl_->chain_.deadline();
  return deadline == MonoTime::long_ago() ? deadline : deadline - impl_->settings_.timeout;
}

std::string Core::owner(const Address& address, MonoTime now) const {
  const Vip* vip = impl_->vips_.at(address);
  return vip == nullptr ? "" : impl_->owner_of(*vip, now);
}

std::string Core::how(const Address& address) const {
  return impl_->view_.queue(address).how;
}

Revision Core::revision() const {
  return impl_->view_.applied();
}

bool Core::is_remembered() const {
  const bool has_session = impl_->chain_.live() && !impl_->session_.is_revoked();
  return impl_->compare_waits(has_session) == Impl::Waits::Same;
}

ClusterView Core::cluster() const {
  return {.id = impl_->binding_.cluster(), .objection = impl_->binding_.objection()};
}

const std::string& Core::differences() const {
  return impl_->said_.differs;
}

const Heartbeats& Core::heartbeats() const {
  return impl_->session_.heartbeats;
}

PeersView Core::peers(MonoTime now) const {
  return impl_->peers_view(now);
}

NodeState Core::node_state() const {
  if (impl_->orders_.stopping) return NodeState::Releasing;
  if (impl_->orders_.paused) return NodeState::Paused;
  return impl_->chain_.live() ? NodeState::Running : NodeState::Starting;
}

std::vector<VipView> Core::vips(MonoTime now) const {
  std::vector<VipView> views;
  for (const Vip& vip : impl_->vips_) views.push_back(impl_->view_of(vip, now));
  return views;
}

std::optional<VipView> Core::vip(const Address& address, MonoTime now) const {
  const Vip* vip = impl_->vips_.at(address);
  if (vip == nullptr) return std::nullopt;
  return impl_->view_of(*vip, now);
}

VipView Core::Impl::view_of(const Vip& vip, MonoTime now) const {
  VipView view;
  view.address = vip.settings.address;
  view.state = vip.state;
  view.reason = reason_of(vip, hindrance(vip, now), now);
  view.owner = owner_of(vip, now);
  view.address_present = vip.address != Vip::AddressState::Absent;
  for (const View::Candidate& c : view_.queue(view.address).candidates) {
    const View::Session* session = view_.session(c.lease);
    view.queue.push_back({.node = c.node,
                          .priority = c.priority,
                          .lease = c.lease,
                          .has_session = c.ours && session != nullptr && session->present});
  }
  view.transfer_to = vip.transfer.to;
  view.may_be_held = may_be_held(vip) != nullptr;
  return view;
}

Core::Impl::Impl(Settings settings, MonoTime now)
    : settings_(std::move(settings)),
      orders_{.paused = settings_.paused},
      binding_(settings_.cluster, settings_.memory, settings_.timeout, now),
      memory_(settings_.memory) {
  hold_.former = settings_.memory.incarnations;
  assert(settings_.timeout >= Duration::seconds(3));
  assert(settings_.peer_timeout == Duration() ||
         settings_.peer_timeout >= Duration::milliseconds(100));
  assert(settings_.heartbeat > Duration() && settings_.heartbeat * 4 <= settings_.timeout);
  for (const VipSettings& vip : settings_.vips) {
    configure(vips_.add(), vip);
  }
  vips_.group(settings_.vips);
}

void Core::Impl::step(const Input& input, const Event& event, Actions* actions) {
  assert(input.now >= now_);
  now_ = input.now;
  // An owner of many VIPs announces each of them several times. Such a claim decides nothing, not
  // even after a stall: claims that waited with it answer no probe of this step.
  if (is_idle_claim(event) || is_part_of_answer(event)) return;
  const MonoTime wanted = step_.next();
  const auto [slept, before, stalled] = step_.begin(input, actions);
  said_.stood_still = stalled && slept == Duration() ? now_ - wanted : Duration();
  if (orders_.finished || (slept == Duration() && !stalled && went_as_wanted(event))) return;
  step_.nothing_due();
  step_.looks(now_, vips_.size());
  if (now_ - before > timing::interrupted_after(settings_.timeout)) binding_.interrupted(now_);
  // The fence comes before the event, whatever the event is; the address that was just set first,
  // since its lifetime alone may be too long.
  fence_if_late(event);
  // [safety] What was counted before a suspend sets no lifetime, not even that of an inherited
  // address.
  if (slept > Duration()) host_slept(before, slept);
  drive_fence();
  if (stalled) resume_after_stall();
  take(event);
  refresh_peer_deadline();
  step_.nothing_due();
  drive();
  check_invariants();
}

void Core::Impl::take(const Event& event) {
  if (is_of_other_cluster(event)) return;
  std::visit([this](const auto& e) { on(e); }, event);
}

// The order matters: addresses go before etcd is told that they went, and they are installed by
// what the watch has shown before anything new is asked for.
void Core::Impl::drive() {
  drive_link_debounce();
  drive_cluster();
  drive_fence();
  drive_acquiring();
  drive_removals();
  drive_term();  // before anything is set for as long as a term would allow
  update_fence();
  drive_hold();
  drive_renewals();
  drive_conflicts();
  drive_installs();
  drive_announcements();
  drive_connection();
  drive_watch();
  drive_session();
  drive_memory();  // what is let go is forgotten before it is said
  drive_order();
  drive_peers();
  drive_links();
  drive_no_space();
  drive_takeovers();
  drive_grants();
  drive_words();
  drive_marks();
  drive_stop();
  drive_states();
}

void Core::Impl::check_invariants() const {
  for (const Vip& vip : vips_) {
    // Whatever is on the link is covered by authority, or on its way out.
    const bool up =
        vip.address == Vip::AddressState::Present || vip.address == Vip::AddressState::Adding;
    assert(!up || now_ < deadline());
    assert(!up || vip.key.usable(headed_since(vip)));
  }
  assert((chain_.lease() != LeaseId::None) == (session_.incarnation() != 0));
  assert(chain_.lease() != LeaseId::None || !peer_lease_.obeys());
  assert(session_.has_lease() || chain_.lease() == LeaseId::None);
}

void Core::Impl::on(const event::PauseAsked&) {
  orders_.paused = true;
}

void Core::Impl::on(const event::ResumeAsked&) {
  orders_.paused = false;
}

void Core::Impl::on(const event::ResignAsked& e) {
  for (const Address& address : e.vips) {
    if (Vip* vip = find(address)) resign(vip);
  }
}

void Core::Impl::on(const event::StopAsked&) {
  if (orders_.stopping) return;
  orders_.stopping = true;
  stop_goes_on();
}

// Long enough for a few tries at an etcd that answers; the others wait out the timeout otherwise.
// Thousands of removals, and the links that tell of them, take longer: as long as one follows the
// other, there is no reason to give up.
void Core::Impl::stop_goes_on() {
  if (orders_.stopping) orders_.stop_by = now_ + Duration::seconds(2);
}

void Core::Impl::on(const event::Reconfigured& e) {
  if (e.settings.cluster != settings_.cluster) binding_.configure(e.settings.cluster, now_);
  const Settings before = std::exchange(settings_, e.settings);
  // These stay as the session and the process began with them.
  settings_.node = before.node;
  settings_.instance = before.instance;
  settings_.timeout = before.timeout;
  settings_.heartbeat = before.heartbeat;
  settings_.memory = before.memory;
  settings_.paused = before.paused;
  if (before.conflict_probe && !settings_.conflict_probe) asks_no_more();
  for (Vip& vip : vips_) vip.dropped = true;
  for (const VipSettings& wanted : e.settings.vips) {
    Vip* vip = find(wanted.address);
    if (vip == nullptr) {
      vip = vips_.add();
      configure(vip, wanted);
    }
    vip->dropped = false;
    // It must not queue up first.
    const bool is_absent = vip->address == Vip::AddressState::Absent;
    if (is_absent && vip->blocked.empty()) vip->blocked = wanted.blocked;
    const bool moved = vip->settings.link != wanted.link;
    // The adapter removes an address from where it was added.
    if (moved && vip->address != Vip::AddressState::Absent) remove(vip);
    configure(vip, wanted);
  }
  vips_.group(settings_.vips);
}

}  // namespace vipd
