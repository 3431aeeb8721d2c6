// Every state is told every kind of event, sense or nonsense: nothing asserts, and no address is
// asked for without authority, whatever comes.
#include <algorithm>
#include <functional>
#include <memory>
#include <set>

#include "core_rig.hpp"
#include "harness.hpp"
#include "sim/story.hpp"

using namespace vipd;

namespace {

const Address kVip = *Address::parse("10.0.0.9");
const Address kSecond = *Address::parse("10.0.1.9");  // of the same group, where there is one
const Address kUnknown = *Address::parse("10.0.0.77");
using rig::kOwn;
const auto kOther = static_cast<LeaseId>(0x55);
constexpr uint64_t kCluster = 1;

// A core that is judged after each step.
class Rig : public rig::AnsweredRig {
 public:
  explicit Rig(Memory former = {}, bool grouped = false) {
    settings_.cluster.fixed = 0;
    settings_.memory = std::move(former);
    settings_.memory.cluster_id = kCluster;
    settings_.vips.push_back({.name = "v1", .address = kVip, .link = "eth0"});
    if (grouped) {
      settings_.vips[0].group = "g";
      settings_.vips.push_back({.name = "v2", .address = kSecond, .link = "eth1", .group = "g"});
    }
    start(settings_);
    tell(event::EndpointNamed{.endpoint = 0, .cluster = kCluster});
  }

  void tell(const Event& event) override {
    AnsweredRig::tell(event);
    judge(event);
  }

  // False: not in many steps, or a minute.
  bool reach(const std::function<bool(const Rig&)>& there) {
    const int64_t end = now_ns + 60'000 * rig::kMs;
    for (int steps = 0; steps < 2000 && now_ns < end && !there(*this); steps++) go_on();
    return there(*this);
  }

  void other_is_there() {
    store.grant(kOther, 1, 0);
    const Value session{.valid = true,
                        .node = "n2",
                        .instance = "j",
                        .timeout = Duration::seconds(5),
                        .nonce = 4711};
    store.put({KeyKind::Session, kOther, {}}, session, kOther);
    store.put({KeyKind::Writes, kOther, {}}, {}, kOther);
    store.put({KeyKind::Candidate, kOther, kVip}, {.valid = true, .node = "n2"}, kOther);
  }

  [[nodiscard]] VipState state() const { return core->vips(now()).at(0).state; }
  [[nodiscard]] const Settings& settings() const { return settings_; }
  [[nodiscard]] const std::string& fault() const { return fault_; }

 private:
  void judge(const Event& event) {
    const MonoTime deadline = core->fencing_deadline();
    const auto wrong = [&](const char* what) {
      if (fault_.empty()) fault_ = std::string(what) + " after " + sim::describe(event);
    };
    int adds = 0;
    for (const Action& action : actions) {
      if (const auto* add = std::get_if<action::AddAddress>(&action)) {
        const Duration longest = Duration::seconds(add->lifetime_s) + Duration::milliseconds(1250);
        if (++adds > 1) wrong("two addresses at once");
        if (add->lifetime_s < 1 || now() + longest > deadline) wrong("an address too long");
        if (add->address != kVip && add->address != kSecond) wrong("a foreign address");
      }
      if (std::holds_alternative<action::SendAnnouncement>(action) && now() >= deadline) {
        wrong("an announcement without authority");
      }
    }
    for (const VipView& vip : core->vips(now())) {
      if (vip.state == VipState::Owner && vip.address_present && now() >= deadline && !removing()) {
        wrong("an owner without authority");
      }
    }
  }

  [[nodiscard]] bool removing() const {
    return std::any_of(completions.begin(), completions.end(), [](const Event& e) {
      return std::holds_alternative<event::AddressRemoved>(e);
    });
  }

  Settings settings_ = rig::settings();
  std::string fault_;
};

struct State {
  const char* name;
  std::function<std::unique_ptr<Rig>()> make;  // nullptr when it cannot be reached
};

using There = std::function<bool(const Rig&)>;

std::unique_ptr<Rig> rig_at(const There& there, bool other = false, bool link = true) {
  auto rig = std::make_unique<Rig>();
  if (other) rig->other_is_there();
  if (link) rig->tell(event::LinkChanged{"eth0", true, true});
  return rig->reach(there) ? std::move(rig) : nullptr;
}

bool is_owner(const Rig& rig) {
  return rig.state() == VipState::Owner;
}

// An owner that was then told something, and where that led.
std::unique_ptr<Rig> after(const Event& event, const There& there) {
  std::unique_ptr<Rig> rig = rig_at(is_owner);
  if (rig == nullptr) return nullptr;
  rig->tell(event);
  return rig->reach(there) ? std::move(rig) : nullptr;
}

template <typename T>
bool asks(const Rig& rig) {
  return rig.wanted<T>() != nullptr;
}

// Two VIPs that belong together; what is told concerns one of them.
std::unique_ptr<Rig> group_at(const There& there) {
  auto rig = std::make_unique<Rig>(Memory(), true);
  rig->tell(event::LinkChanged{"eth0", true, true});
  rig->tell(event::LinkChanged{"eth1", true, true});
  return rig->reach(there) ? std::move(rig) : nullptr;
}

bool owns_both(const Rig& rig) {
  const std::vector<VipView> vips = rig.core->vips(rig.now());
  return std::all_of(vips.begin(), vips.end(),
                     [](const VipView& vip) { return vip.state == VipState::Owner; });
}

// One of its members is up.
bool owns_one(const Rig& rig) {
  return rig.core->vips(rig.now()).at(0).address_present && !owns_both(rig);
}

std::unique_ptr<Rig> part_removed() {
  std::unique_ptr<Rig> rig = group_at(owns_both);
  if (rig != nullptr) rig->tell(event::AddressLost{kSecond, false});
  return rig;
}

std::unique_ptr<Rig> inherited() {
  const std::unique_ptr<Rig> former = rig_at(is_owner);
  if (former == nullptr) return nullptr;
  auto rig = std::make_unique<Rig>(former->memory);
  rig->tell(event::AddressFound{kVip});
  return rig;
}

std::unique_ptr<Rig> no_space() {
  std::unique_ptr<Rig> rig = rig_at(is_owner);
  if (rig == nullptr) return nullptr;
  rig->full = true;
  return rig->reach(asks<action::ReadPrefix>) ? std::move(rig) : nullptr;
}

std::unique_ptr<Rig> fenced() {
  std::unique_ptr<Rig> rig = rig_at(is_owner);
  if (rig == nullptr || !rig->store.revoke(kOwn)) return nullptr;
  return rig->reach(asks<action::GrantLease>) ? std::move(rig) : nullptr;
}

std::vector<State> states() {
  const auto in = [](VipState state) {
    return [state](const Rig& rig) { return rig.state() == state; };
  };
  const There live = [](const Rig& rig) { return rig.core->node_state() == NodeState::Running; };
  const There now = [](const Rig&) { return true; };
  return {
      {"reading", [=] { return rig_at(now, false, false); }},
      {"granting", [=] { return rig_at(asks<action::GrantLease>); }},
      {"opening", [=] { return rig_at(asks<action::SendTxn>); }},
      {"live", [=] { return rig_at(live); }},
      {"waiting", [=] { return rig_at(in(VipState::Waiting)); }},
      {"fault",
       [=] {
         return after(event::LinkChanged{"eth0", false, false}, in(VipState::Fault));
       }},
      {"behind_another", [=] { return rig_at(live, true); }},
      {"adding", [=] { return rig_at(asks<action::AddAddress>); }},
      {"owner", [=] { return rig_at(is_owner); }},
      {"removing", [=] { return after(event::PauseAsked{}, asks<action::RemoveAddress>); }},
      {"paused", [=] { return after(event::PauseAsked{}, in(VipState::Paused)); }},
      {"releasing", [=] { return after(event::ResignAsked{{kVip}}, asks<action::SendTxn>); }},
      {"stopping", [=] { return after(event::StopAsked{}, now); }},
      {"finished", [=] { return after(event::StopAsked{}, asks<action::Finish>); }},
      {"no_space", no_space},
      {"fenced", fenced},
      {"inherited", inherited},
      {"group", [=] { return group_at(owns_both); }},
      {"group_adding", [=] { return group_at(owns_one); }},
      {"group_part_removed", part_removed},
  };
}

Change put(const Key& key, Revision revision, const Value& value = {}) {
  return {.entry = {.key = key, .value = value, .created = revision, .modified = revision}};
}

Change deleted(const Key& key, Revision revision) {
  return {.deleted = true, .entry = {.key = key, .modified = revision}};
}

// What etcd may say, of requests that were made (the last one) and of others.
void add_etcd_events(const Rig& rig, std::vector<Event>* all) {
  const Header header = rig.store.header();
  const Revision next = header.revision + 1;
  const Header later{kCluster, next};
  const Key session{KeyKind::Session, kOwn, {}};
  const Value scribble{.valid = true, .node = "x", .timeout = Duration::seconds(5), .nonce = 9};
  const Entry stranger = put(session, next, scribble).entry;
  for (const RequestId request : {RequestId{0}, RequestId{1}, rig.last_request, ~RequestId{0}}) {
    for (const Header& h : {header, later, Header{kCluster, 0}, Header{2, next}, Header{}}) {
      all->emplace_back(event::LeaseGranted{request, h, kOther});
      all->emplace_back(event::TxnAnswered{request, h, true, {}});
      all->emplace_back(event::TxnAnswered{request, h, false, {}});
      all->emplace_back(event::TxnAnswered{request, h, false, {stranger}});
      all->emplace_back(event::PrefixRead{request, h, {}});
      all->emplace_back(event::PrefixRead{request, h, {stranger}});
    }
    all->emplace_back(event::LeaseRevoked{request});
    all->emplace_back(event::RequestFailed{request, "failed"});
    all->emplace_back(event::RequestFailed{request, "full", true});
  }
  for (const LeaseId lease : {LeaseId::None, kOwn, kOther, static_cast<LeaseId>(-5)}) {
    all->emplace_back(event::LeaseKept{lease, true});
    all->emplace_back(event::LeaseKept{lease, false});
    for (const Revision r : {Revision{0}, Revision{1}, next, next + 1000}) {
      for (const KeyKind kind : {KeyKind::Session, KeyKind::Writes, KeyKind::Candidate}) {
        const Key key{kind, lease, kVip};
        all->emplace_back(event::WatchAdvanced{later, {put(key, r)}});
        all->emplace_back(event::WatchAdvanced{later, {put(key, r, scribble)}});
        all->emplace_back(event::WatchAdvanced{later, {deleted(key, r)}});
        all->emplace_back(event::WatchAdvanced{later, {deleted(key, r), put(key, r)}});
      }
      all->emplace_back(
          event::WatchAdvanced{later, {put({KeyKind::Candidate, lease, kUnknown}, r)}});
    }
  }
  for (const Header& h : {header, later, Header{kCluster, 0}, Header{2, next}, Header{}}) {
    all->emplace_back(event::WatchCreated{h});
    all->emplace_back(event::WatchAdvanced{h, {}});
  }
  all->emplace_back(event::WatchEnded{false, "ended"});
  all->emplace_back(event::WatchEnded{true, "compacted"});
}

void add_host_events(std::vector<Event>* all) {
  all->emplace_back(event::Ticked{});
  all->emplace_back(event::HostChanged{});
  for (const size_t endpoint : {size_t{0}, size_t{1}, ~size_t{0}}) {
    for (const uint64_t cluster : {kCluster, uint64_t{2}, uint64_t{0}}) {
      all->emplace_back(event::EndpointNamed{.endpoint = endpoint, .cluster = cluster});
      all->emplace_back(
          event::EndpointNamed{.endpoint = endpoint, .cluster = cluster, .agreed = false});
    }
  }
  for (const char* link : {"eth0", "eth7", ""}) {
    for (const bool up : {false, true}) {
      all->emplace_back(event::LinkChanged{link, false, up});
      all->emplace_back(event::LinkChanged{link, true, up});
    }
  }
  for (const Address& address : {kVip, kUnknown, Address()}) {
    all->emplace_back(event::AddressFound{address});
    for (const int error : {0, 1, -1}) {
      all->emplace_back(event::AddressRemoved{address, error});
      for (const int lifetime : {-1, 0, 1, 14, 1'000'000}) {
        all->emplace_back(event::AddressAdded{address, lifetime, error});
      }
    }
    all->emplace_back(event::AddressLost{address, true});
    all->emplace_back(event::AddressLost{address, false});
    all->emplace_back(event::AddressBlocked{address, "in the way"});
    all->emplace_back(event::AddressBlocked{address, "a check is down", true});
    all->emplace_back(event::AddressBlocked{address, ""});
    all->emplace_back(event::AddressBlocked{.address = address, .reason = "", .lowered = 60});
    all->emplace_back(event::AcquireEnded{address, 0, ""});
    all->emplace_back(event::AcquireEnded{address, 0, "failed"});
    all->emplace_back(event::HostChanged{{
        event::LinkChanged{"eth0", true, false},
        event::AddressFound{address},
        event::AddressLost{address, true},
        event::AddressBlocked{address, "in the way"},
        event::LinkChanged{"eth0", true, true},
    }});
    all->emplace_back(event::ForeignClaim{address, {}});
    all->emplace_back(event::ResignAsked{{address, address}});
    for (const LeaseId to : {LeaseId::None, kOwn, kOther}) {
      all->emplace_back(event::TransferAsked{address, to});
      all->emplace_back(event::TakeAsked{address});
    }
  }
}

void add_peer_events(std::vector<Event>* all) {
  for (const bool in_force : {false, true}) all->emplace_back(event::FenceChanged{in_force});
  for (const PeerFrame::Kind kind :
       {PeerFrame::Kind::Renew, PeerFrame::Kind::Grant, PeerFrame::Kind::Expired}) {
    for (const char* link : {"eth0", "eth7"}) {
      all->emplace_back(
          event::PeerFrameReceived{.frame = {.kind = kind, .term = 1, .from = 2}, .link = link});
    }
  }
}

void add_people_events(const Rig& rig, std::vector<Event>* all) {
  all->emplace_back(event::ResignAsked{});
  all->emplace_back(event::PauseAsked{});
  all->emplace_back(event::ResumeAsked{});
  all->emplace_back(event::StopAsked{});
  Settings other = rig.settings();
  all->emplace_back(event::Reconfigured{other});
  other.cluster = {.fixed = 2, .endpoints = {"another"}};
  all->emplace_back(event::Reconfigured{other});
  other.vips[0].acquires = true;
  all->emplace_back(event::Reconfigured{other});
  other.vips[0].link = "eth1";
  other.timeout = Duration::seconds(8);
  all->emplace_back(event::Reconfigured{other});
  other.vips.clear();
  all->emplace_back(event::Reconfigured{other});
}

std::vector<Event> every_event(const Rig& rig) {
  std::vector<Event> all;
  add_etcd_events(rig, &all);
  add_host_events(&all);
  add_peer_events(&all);
  add_people_events(rig, &all);
  return all;
}

State walked;  // the one that is told everything

void survives_every_event() {
  const std::unique_ptr<Rig> first = walked.make();
  TEST_ASSERT_MESSAGE(first != nullptr, "not reached");
  std::set<size_t> kinds;
  for (const Event& event : every_event(*first)) {
    kinds.insert(event.index());
    const std::unique_ptr<Rig> rig = walked.make();
    rig->tell(event);
    for (int steps = 0; steps < 60; steps++) rig->go_on();
    TEST_ASSERT_MESSAGE(rig->fault().empty(), rig->fault());
  }
  TEST_ASSERT_EQUAL_INT(std::variant_size_v<Event>, kinds.size());
}

}  // namespace

int main() {
  UNITY_BEGIN();
  for (const State& state : states()) {
    walked = state;
    harness::run_test(survives_every_event, state.name, __LINE__);
  }
  return UNITY_END();
}
