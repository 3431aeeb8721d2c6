// One core and its clock, for the tests that look at it from outside. Rig: the test itself says
// what happens. AnsweredRig: a world that does at once all that the core asks for.
#pragma once

#include <algorithm>
#include <deque>
#include <memory>
#include <string>
#include <utility>

#include "sim/ignored.hpp"
#include "sim/store.hpp"
#include "vipd/core.hpp"

namespace rig {

constexpr int64_t kUs = 1'000;
constexpr int64_t kMs = 1'000 * kUs;
constexpr auto kOwn = static_cast<vipd::LeaseId>(0x77);  // the lease that the core is granted

// A node of cluster 1, without VIPs.
inline vipd::Settings settings() {
  vipd::Settings settings;
  settings.node = "me";
  settings.instance = "i";
  settings.timeout = vipd::Duration::seconds(5);
  settings.heartbeat = vipd::Duration::milliseconds(625);
  settings.cluster = {.fixed = 1, .endpoints = {"e"}};
  return settings;
}

class Rig {
 public:
  Rig() = default;
  virtual ~Rig() = default;
  Rig(const Rig&) = delete;
  Rig& operator=(const Rig&) = delete;

  void start(const vipd::Settings& settings) {
    actions.clear();
    core = std::make_unique<vipd::Core>(settings, input(), &actions);
  }

  // One step; `actions` is what followed.
  void tell(const vipd::Event& event) {
    actions.clear();
    core->step(input(), event, &actions);
  }

  [[nodiscard]] vipd::MonoTime now() const { return vipd::MonoTime::from_ns(now_ns); }

  // The first action of a kind in the last step, or nullptr.
  template <typename T>
  [[nodiscard]] const T* wanted() const {
    const int at = place<T>();
    return at < 0 ? nullptr : std::get_if<T>(&actions[static_cast<size_t>(at)]);
  }

  // Its index, or -1: for what must come before what.
  template <typename T>
  [[nodiscard]] int place() const {
    for (size_t i = 0; i < actions.size(); i++) {
      if (std::holds_alternative<T>(actions[i])) return static_cast<int>(i);
    }
    return -1;
  }

  std::unique_ptr<vipd::Core> core;
  vipd::Actions actions;
  int64_t now_ns = 1'000'000 * kMs;
  vipd::Duration slept;
  bool turn_is_spent = false;

 private:
  vipd::Input input() {
    return {.now = now(), .random = ++random_, .suspended = slept, .turn_is_spent = turn_is_spent};
  }

  uint64_t random_ = 0;
};

// Etcd answers, then the watch shows what was committed; the kernel obeys before anything else
// happens. A test overrides what it counts or wants to be otherwise.
class AnsweredRig : public Rig {
 public:
  void start(const vipd::Settings& settings) {
    shown_ = 0;
    Rig::start(settings);
    perform();
  }

  virtual void tell(const vipd::Event& event) {
    Rig::tell(event);
    now_ns += cost(event);
    perform();
  }

  // The next thing that happens by itself.
  void go_on() {
    for (auto* const queue : {&completions, &answers}) {
      if (queue->empty()) continue;
      const vipd::Event event = std::move(queue->front());
      queue->pop_front();
      return tell(event);
    }
    const vipd::MonoTime next = core->next_deadline();
    now_ns = std::max(now_ns + kMs, next.is_never() ? 0 : next.ns());
    tell(vipd::event::Ticked{});
  }

  sim::Store store;
  bool full = false;  // etcd takes no writes
  std::deque<vipd::Event> completions;
  std::deque<vipd::Event> answers;
  vipd::Memory memory;
  vipd::RequestId last_request = 0;

 protected:
  // What the step took, in ns.
  [[nodiscard]] virtual int64_t cost(const vipd::Event&) const { return 0; }

  virtual void act(const vipd::action::AddAddress& a) {
    completions.emplace_back(vipd::event::AddressAdded{a.address, a.lifetime_s, 0});
  }
  virtual void act(const vipd::action::RemoveAddress& a) {
    completions.emplace_back(vipd::event::AddressRemoved{a.address, 0});
  }
  virtual void act(const vipd::action::SendProbe&) {}
  virtual void act(const vipd::action::ReadPrefix& a) {
    last_request = a.request;
    answers.emplace_back(vipd::event::PrefixRead{a.request, store.header(), store.everything()});
  }
  virtual void act(const vipd::action::SendTxn& a) {
    last_request = a.request;
    bool succeeded = false;
    std::vector<vipd::Entry> entries;
    if (full && sim::Store::puts(a.txn)) {
      answers.emplace_back(vipd::event::RequestFailed{a.request, "full", true});
    } else if (store.txn(a.txn, &succeeded, &entries)) {
      answers.emplace_back(vipd::event::TxnAnswered{a.request, store.header(), succeeded, entries});
    } else {
      answers.emplace_back(vipd::event::RequestFailed{a.request, "refused"});
    }
    show();
  }

 private:
  void perform() {
    for (const vipd::Action& action : vipd::Actions(actions)) {
      std::visit([this](const auto& a) { act(a); }, action);
    }
  }

  void act(const vipd::action::GrantLease& a) {
    last_request = a.request;
    store.grant(kOwn, a.ttl.ns(), now_ns);
    answers.emplace_back(vipd::event::LeaseGranted{a.request, store.header(), kOwn});
  }
  void act(const vipd::action::RevokeLease& a) {
    last_request = a.request;
    (void)store.revoke(a.lease);
    answers.emplace_back(vipd::event::LeaseRevoked{a.request});
    show();
  }
  void act(const vipd::action::OpenWatch& a) {
    shown_ = a.from;
    answers.emplace_back(vipd::event::WatchCreated{store.header()});
    show();
  }
  void act(const vipd::action::Remember& a) { memory = a.memory; }
  // Leases live for ever, and there is nobody else.
  void act(sim::Ignored<vipd::action::UseCluster, vipd::action::Acquire, vipd::action::EndAcquire,
                        vipd::action::KeepLease, vipd::action::SendAnnouncement,
                        vipd::action::SetFence, vipd::action::SendPeerFrame,
                        vipd::action::ReportState, vipd::action::Report, vipd::action::Finish>) {}

  void show() {
    vipd::event::WatchAdvanced advanced{.header = store.header(), .changes = {}};
    for (const sim::Store::Commit& commit : store.history) {
      if (commit.revision < shown_) continue;
      advanced.changes.insert(advanced.changes.end(), commit.changes.begin(), commit.changes.end());
    }
    if (shown_ == 0 || advanced.changes.empty()) return;
    shown_ = store.revision + 1;
    answers.emplace_back(std::move(advanced));
  }

  vipd::Revision shown_ = 0;  // the first one that the watch has not shown
};

}  // namespace rig
