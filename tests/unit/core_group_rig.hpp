// One node whose VIPs are a group, and what etcd and the kernel were asked for them.
#pragma once

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "core_rig.hpp"
#include "harness.hpp"

namespace rig {

using namespace vipd;

inline const Address kFirst = *Address::parse("10.0.0.9");
inline const Address kSecond = *Address::parse("fd00::9");
inline const Address kThird = *Address::parse("10.0.0.8");  // the lowest, and the last in order
constexpr auto kOther = static_cast<LeaseId>(0x55);
constexpr auto kForeign = static_cast<LeaseId>(0x66);
inline const std::set<Address> kNone;
inline const std::set<Address> kTwo = {kFirst, kSecond};
inline const std::set<Address> kAll = {kFirst, kSecond, kThird};

// Each VIP on a link of its own: eth0, eth1, and so on.
class Group : public rig::AnsweredRig {
 public:
  Settings settings = rig::settings();
  std::vector<Txn> txns;      // those that put or delete candidates
  std::vector<Address> adds;  // in the order in which the kernel was asked, without renewals
  std::set<Address> up;
  std::vector<Address> removes;
  std::set<Address> refused;  // by the kernel
  int probes = 0;
  bool loses_deletes = false;  // etcd does, of candidates
  bool loses_ends = false;     // likewise, of the other node's session

  void add_vip(const Address& address, const std::string& group) {
    const std::string number = std::to_string(settings.vips.size());
    VipSettings vip{.name = "v" + number, .address = address, .link = "eth" + number};
    vip.group = group;
    settings.vips.push_back(vip);
  }

  // Three members on three links.
  void start_three() {
    for (const Address& address : {kFirst, kSecond, kThird}) add_vip(address, "g");
    start();
  }

  void start() {
    AnsweredRig::start(settings);
    for (const VipSettings& vip : settings.vips) tell(event::LinkChanged{vip.link, true, true});
  }

  // Another process: what the one before it set is still there.
  void restart() {
    completions.clear();
    answers.clear();
    now_ns += 300 * kMs;
    settings.memory = memory;
    settings.instance = "j";
    start();
    for (const Address& address : up) tell(event::AddressFound{address});
  }

  void run(int64_t ms) {
    for (const int64_t end = now_ns + ms * kMs; now_ns < end;) go_on();
  }

  void reconfigure() { tell(event::Reconfigured{settings}); }

  // A reload adds one, on a link that is up.
  void reload_with(const Address& address) {
    add_vip(address, "g");
    settings.vips.back().link = "eth0";
    reconfigure();
  }

  void start_two() {
    for (const Address& address : {kFirst, kSecond}) add_vip(address, "g");
    start();
    run(10'000);
    TEST_ASSERT_TRUE(up == kTwo);
  }

  void somebody_removes(const Address& address) {
    up.erase(address);
    tell(event::AddressLost{address, false, "ip"});
  }

  // A person puts a key that is not of a node.
  void foreigner_queues(const Address& vip) {
    store.grant(kForeign, 1, 0);
    store.put({KeyKind::Candidate, kForeign, vip}, {}, kForeign);
  }

  // Another node queues for `vips`, in one txn.
  void other_queues(const std::vector<Address>& vips, Duration timeout = Duration::seconds(5)) {
    store.grant(kOther, 1, 0);
    const Value session{
        .valid = true, .node = "n2", .instance = "j", .timeout = timeout, .nonce = 4711};
    store.put({KeyKind::Session, kOther, {}}, session, kOther);
    store.put({KeyKind::Writes, kOther, {}}, {}, kOther);
    for (const Address& vip : vips) {
      store.put({KeyKind::Candidate, kOther, vip}, {.valid = true, .node = "n2"}, kOther);
    }
  }

  [[nodiscard]] VipView view(size_t i) const { return core->vips(now()).at(i); }

  // Those of its VIPs that a txn puts, or deletes.
  [[nodiscard]] static std::set<Address> places(const Txn& txn, Op::Kind kind) {
    std::set<Address> out;
    for (const Op& op : txn.success) {
      const bool is_own = op.key.kind == KeyKind::Candidate && op.key.lease == kOwn;
      if (is_own && op.kind == kind) out.insert(op.key.vip);
    }
    return out;
  }

 private:
  void act(const action::AddAddress& a) override {
    if (!up.contains(a.address)) adds.push_back(a.address);
    if (refused.contains(a.address)) {
      completions.emplace_back(event::AddressAdded{a.address, a.lifetime_s, 1});
      return;
    }
    up.insert(a.address);
    AnsweredRig::act(a);
  }
  void act(const action::RemoveAddress& a) override {
    if (up.erase(a.address) != 0) removes.push_back(a.address);
    AnsweredRig::act(a);
  }
  void act(const action::SendProbe&) override { probes++; }
  void act(const action::SendTxn& a) override {
    const bool leaves = !places(a.txn, Op::Kind::Delete).empty();
    if (leaves || !places(a.txn, Op::Kind::Put).empty()) txns.push_back(a.txn);
    const bool ends = std::any_of(a.txn.success.begin(), a.txn.success.end(), [](const Op& op) {
      return op.kind == Op::Kind::Delete && op.key.lease == kOther;
    });
    if ((leaves && loses_deletes) || (ends && loses_ends)) {
      answers.emplace_back(event::RequestFailed{a.request, "lost"});
      return;
    }
    AnsweredRig::act(a);
  }
};

}  // namespace rig
