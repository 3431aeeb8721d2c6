// The core's behaviour as text: tests/scenarios/*.txt say what happens and what follows. The world
// around the cores is as plain as can be: a request takes 1 ms each way, a watch shows a commit
// after 1 ms, the kernel obeys at once and is punctual. `make scenarios` rewrites what follows.
#include <dirent.h>

#include <algorithm>
#include <array>
#include <cstdarg>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <utility>

#include "fixture.hpp"
#include "harness.hpp"
#include "sim/ignored.hpp"
#include "sim/store.hpp"
#include "sim/story.hpp"
#include "sim/tally.hpp"
#include "vipd/core.hpp"
#include "vipd/peer_view.hpp"

using namespace vipd;

namespace {

constexpr int64_t kMs = 1'000'000;
constexpr int64_t kS = 1'000 * kMs;
constexpr int64_t kWay = 1 * kMs;
constexpr int kMostSteps = 200;  // within one instant
constexpr int64_t kRequestTimeout = 833 * kMs;
constexpr int64_t kWatchTimeout = 3 * kS;
constexpr int64_t kOpen = INT64_MAX;
constexpr size_t kVips = 3;
// v1, v2 and v3, each on a link of its own. Without a word of groups there is v1 alone.
const std::array<Address, kVips> kAddresses = {
    *Address::parse("10.0.0.9"), *Address::parse("10.0.1.9"), *Address::parse("fd00::9")};
const std::array<std::string, kVips> kLinks = {"eth0", "eth1", "eth2"};
const Address kVip = kAddresses[0];

size_t index_of(const Address& address) {
  return static_cast<size_t>(std::find(kAddresses.begin(), kAddresses.end(), address) -
                             kAddresses.begin());
}

struct Node {
  std::string name;
  std::unique_ptr<Core> core;
  Memory memory{};
  int starts = 0;
  bool configured = true;
  std::vector<size_t> vips{0};
  bool grouped = false;
  int priority = 100;
  bool preempt = false;
  // what is done to it
  bool frozen = false;
  int64_t asleep_since = -1;
  bool cut = false;
  bool deaf = false;                  // its requests arrive, their answers do not
  int64_t watch_lag = 0;              // of what its watch shows
  int64_t held_up = 0;                // the next call that adds the address
  std::array<bool, kVips> refuses{};  // its kernel
  std::array<bool, kVips> link_up{true, true, true};
  std::set<std::string> deaf_to{};  // frames of these nodes do not reach it
  bool fenced = true;               // somebody removed its packet fence
  // kernel
  std::array<int64_t, kVips> expires{};  // 0: the address is absent
  int64_t suspended = 0;                 // in all
  int64_t fence = kOpen;                 // when its packet fence closes
  int64_t fence_suspended = 0;           // ... or when it has slept since
  bool fence_closed = false;             // and said so
  std::set<uint64_t> expired{};          // terms of which it has said so
  std::array<bool, kVips> announced{};
  // its turn
  bool busy = false;
  std::deque<Action> todo{};
  std::deque<Event> inbox{};
  uint64_t wake = 0;
  uint64_t watch = 0;
  Revision watch_next = 0;
};

class Scenario {
 public:
  std::string run(const std::vector<std::string>& directives) {
    for (const std::string& line : directives) schedule(line);
    while (fault_.empty() && !queue_.empty() && queue_.begin()->first <= until_) {
      now_ = queue_.begin()->first;
      const auto what = std::move(queue_.begin()->second);
      queue_.erase(queue_.begin());
      what();
      look_for_two_owners();
    }
    return trace_;
  }
  [[nodiscard]] bool two_owners() const { return two_owners_; }
  [[nodiscard]] const std::string& fault() const { return fault_; }

 private:
  // --- the file

  // "at 3.2s kill n1", "until 20s", "from 9s"
  void schedule(const std::string& line) {
    std::vector<std::string> words;
    for (const std::string& word : fixture::lines(fixture::replaced(line, " ", "\n"))) {
      if (!word.empty()) words.push_back(word);
    }
    if (words.empty() || words[0][0] == '#') return;
    const auto at = static_cast<int64_t>(
                        strtod(words.size() > 1 ? words[1].c_str() : "", nullptr) * 1000 + 0.5) *
                    kMs;
    if (words[0] == "peers") {
      peer_timeout_ = at;
    } else if (words[0] == "until") {
      until_ = at;
    } else if (words[0] == "from") {
      from_ = at;
    } else if (words[0] == "at" && words.size() > 2) {
      words.erase(words.begin(), words.begin() + 2);
      post(at, [this, words] { happen(words); });
    } else {
      fault_ = "what is this? " + line;
    }
  }

  void happen(const std::vector<std::string>& words) {
    std::string text = "----";
    for (const std::string& word : words) text += " " + word;
    say(text);
    Node* node = words.size() > 1 ? find(words[1]) : nullptr;
    const std::string value = words.size() > 2 ? words[2] : "";
    const size_t v = vip_of(words.back());
    if (!(node == nullptr ? to_etcd(words)
                          : to_configuration(node, words) || to_process(node, words[0], value, v) ||
                                to_host(node, words[0], value) ||
                                to_vip(node, words[0], value, v) || to_keys(node, words[0], v))) {
      fault_ = "nothing is called" + text;
    }
  }

  // The first, where none is named.
  static size_t vip_of(const std::string& word) {
    const bool named = word.size() == 2 && word[0] == 'v' && word[1] > '0';
    return named ? std::min(static_cast<size_t>(word[1] - '1'), kVips - 1) : 0;
  }

  // "group n1 v1 v2": these are a group now. "apart n1 v1 v2": they are none.
  bool to_configuration(Node* node, const std::vector<std::string>& words) {
    if (words[0] != "group" && words[0] != "apart") return false;
    node->grouped = words[0] == "group";
    node->vips.clear();
    for (size_t i = 2; i < words.size(); i++) node->vips.push_back(vip_of(words[i]));
    is_one_ = false;
    if (node->core != nullptr) tell(node, event::Reconfigured{settings(*node)});
    return true;
  }

  Node* find(const std::string& name) {
    if (name.size() != 2 || name[0] != 'n') return nullptr;
    for (const auto& node : nodes_) {
      if (node->name == name) return node.get();
    }
    nodes_.push_back(std::make_unique<Node>());
    nodes_.back()->name = name;
    return nodes_.back().get();
  }

  bool to_process(Node* node, const std::string& verb, const std::string& value, size_t v) {
    if (verb == "show") {
      show(*node);
    } else if (verb == "priority" || verb == "preempt") {
      node->priority = atoi(value.c_str());
      node->preempt = verb == "preempt";
    } else if (verb == "start") {
      start(node);
    } else if (verb == "kill") {
      end(node);
    } else if (verb == "freeze") {
      node->frozen = true;
    } else if (verb == "thaw") {
      node->frozen = false;
      wake(node);
    } else if (verb == "stop") {
      tell(node, event::StopAsked{});
    } else if (verb == "pause") {
      tell(node, event::PauseAsked{});
    } else if (verb == "resume") {
      tell(node, event::ResumeAsked{});
    } else if (verb == "resign") {
      tell(node, event::ResignAsked{{kAddresses[v]}});
    } else if (verb == "transfer") {
      tell(node, event::TransferAsked{kAddresses[v], find(value)->core->session()});
    } else if (verb == "unconfigure" || verb == "configure") {
      node->configured = verb == "configure";
      tell(node, event::Reconfigured{settings(*node)});
    } else {
      return false;
    }
    return true;
  }

  bool to_host(Node* node, const std::string& verb, const std::string& value) {
    if (verb == "crash") {
      node->expires.fill(0);
      node->fence = kOpen;
      node->fence_closed = false;
      node->suspended = node->fence_suspended = 0;
      node->memory = {};
      end(node);
    } else if (verb == "suspend") {
      node->asleep_since = now_;
    } else if (verb == "wake") {
      wake_up(node);
    } else if (verb == "cut") {
      node->cut = true;
      end_watch(node, now_ + kWatchTimeout);
    } else if (verb == "mend") {
      node->cut = node->deaf = false;
      pump(node);
    } else if (verb == "deafen") {
      node->deaf = true;
    } else if (verb == "lag") {
      node->watch_lag = static_cast<int64_t>(strtod(value.c_str(), nullptr) * 1000) * kMs;
    } else if (verb == "hold-up") {
      node->held_up = static_cast<int64_t>(strtod(value.c_str(), nullptr) * 1000) * kMs;
    } else if (verb == "mute" || verb == "unmute") {
      for (const auto& other : nodes_) {
        if (other.get() == node || (!value.empty() && other->name != value)) continue;
        if (verb == "mute") other->deaf_to.insert(node->name);
        if (verb == "unmute") other->deaf_to.erase(node->name);
      }
    } else if (verb == "unfence") {
      node->fenced = false;
      node->fence = kOpen;
    } else {
      return false;
    }
    return true;
  }

  bool to_vip(Node* node, const std::string& verb, const std::string& value, size_t v) {
    const Address& vip = kAddresses[v];
    if (verb == "refuse") {
      node->refuses[v] = true;
    } else if (verb == "link") {
      node->link_up[v] = value == "up";
      node->announced[v] = false;  // another one is worth a line
      tell(node, event::LinkChanged{kLinks[v], true, node->link_up[v]});
    } else if (verb == "flush") {
      node->expires[v] = 0;
      tell(node, event::AddressLost{vip, false});
    } else if (verb == "check") {
      tell(node, event::AddressBlocked{vip, value == "up" ? "" : "check web is " + value,
                                       value == "down"});
    } else if (verb == "lower") {
      tell(node,
           event::AddressBlocked{.address = vip, .reason = "", .lowered = atoi(value.c_str())});
    } else if (verb == "claim") {
      tell(node, event::ForeignClaim{vip, {{2, 0, 0, 0, 0, 9}}});
    } else {
      return false;
    }
    return true;
  }

  bool to_keys(Node* node, const std::string& verb, size_t v) {
    const LeaseId lease = node->core == nullptr ? node->memory.lease : node->core->session();
    if (verb == "delete-session") {
      store_.erase({{KeyKind::Session, lease, {}}});
    } else if (verb == "delete-key") {
      store_.erase({{KeyKind::Candidate, lease, kAddresses[v]}});
    } else if (verb == "delete-writes") {
      store_.erase({{KeyKind::Writes, lease, {}}});
    } else if (verb == "revoke") {
      (void)store_.revoke(lease);
    } else {
      return false;
    }
    committed();
    return true;
  }

  bool to_etcd(const std::vector<std::string>& words) {
    const std::string& verb = words[0];
    if (verb == "no-quorum") {
      etcd_down_ = true;
    } else if (verb == "quorum") {
      etcd_down_ = false;
      committed();
    } else if (verb == "no-space") {
      no_space_ = true;
    } else if (verb == "space") {
      no_space_ = false;
    } else if (verb == "backup") {
      backup_ = store_;
    } else if (verb == "restore") {
      store_ = backup_;
      for (const auto& node : nodes_) end_watch(node.get(), now_);
    } else if (verb == "delete-everything") {
      std::vector<Key> all;
      for (const auto& stored : store_.keys) all.push_back(stored.entry.key);
      store_.erase(all);
      committed();
    } else if (verb == "elect" || verb == "leave") {  // somebody's `etcdctl elect`
      constexpr auto kForeign = static_cast<LeaseId>(0xf00);
      if (verb == "elect") store_.grant(kForeign, 3600 * kS, now_);
      if (verb == "elect") store_.put({KeyKind::Candidate, kForeign, kVip}, {}, kForeign);
      if (verb == "leave") (void)store_.revoke(kForeign);
      committed();
    } else {
      return false;
    }
    return true;
  }

  // --- a process

  [[nodiscard]] Settings settings(const Node& node) const {
    Settings settings;
    settings.node = node.name;
    settings.instance = node.name + "." + std::to_string(node.starts);
    settings.timeout = Duration::seconds(5);
    settings.cluster.fixed = store_.cluster_id;
    settings.heartbeat = Duration::milliseconds(625);
    settings.announce_refresh = Duration();
    settings.memory = node.memory;
    settings.peer_timeout = Duration::nanoseconds(peer_timeout_);
    if (!node.configured) return settings;
    for (const size_t v : node.vips) {
      settings.vips.push_back({.name = "v" + std::to_string(v + 1),
                               .address = kAddresses[v],
                               .link = kLinks[v],
                               .priority = node.priority,
                               .preempt = node.preempt,
                               .preempt_delay = Duration::seconds(3),
                               .group = node.grouped ? "g1" : ""});
    }
    return settings;
  }

  void start(Node* node) {
    node->starts++;
    if (node->memory.lease == LeaseId::None) node->expires.fill(0);
    Actions out;
    node->core = std::make_unique<Core>(settings(*node), input(*node), &out);
    perform(node, std::move(out));
    for (size_t v = 0; v < kVips; v++) {
      if (node->expires[v] != 0) tell(node, event::AddressFound{kAddresses[v]});
    }
    if (peer_timeout_ != 0) tell(node, event::FenceChanged{.in_force = true});
    for (size_t v = 0; v < (is_one_ ? 1 : kVips); v++) {
      tell(node, event::LinkChanged{kLinks[v], true, node->link_up[v]});
    }
  }

  void end(Node* node) {
    node->core.reset();
    node->todo.clear();
    node->inbox.clear();
    node->frozen = node->busy = false;
    node->watch = 0;
  }

  Input input(const Node& node) {
    return {.now = MonoTime::from_ns(1000 * kS + now_),
            .random = ++random_,
            .suspended = Duration::nanoseconds(node.suspended)};
  }

  void tell(Node* node, const Event& event) {
    if (node->core == nullptr) return;
    if (is_held_up(*node)) return node->inbox.push_back(event);
    step(node, event);
    arm(node);
  }

  void step(Node* node, const Event& event) {
    steps_ = stepped_at_ == now_ ? steps_ + 1 : 0;
    stepped_at_ = now_;
    if (steps_ > kMostSteps) {
      fault_ = "the core turns on the spot";
      return;
    }
    Actions out;
    node->core->step(input(*node), event, &out);
    bool named = false;
    for (const Action& action : out) {
      const std::string text = words_for(*node, action);
      if (text.empty()) continue;
      if (!named) say(node->name + "  " + shorten(words_for(event)));
      named = true;
      say(node->name + "    -> " + text);
    }
    perform(node, std::move(out));
  }

  void perform(Node* node, Actions out) {
    node->todo.insert(node->todo.begin(), std::make_move_iterator(out.begin()),
                      std::make_move_iterator(out.end()));
    while (!node->todo.empty() && !node->busy && node->core != nullptr) {
      const Action action = std::move(node->todo.front());
      node->todo.pop_front();
      std::visit([this, node](const auto& a) { act(node, a); }, action);
    }
  }

  void arm(Node* node) {
    if (node->core == nullptr || node->core->next_deadline().is_never()) return;
    const uint64_t wake = ++node->wake;
    const int64_t at = node->core->next_deadline().ns() - 1000 * kS;
    post(at, [this, node, wake] {
      if (node->wake == wake && !is_held_up(*node)) tell(node, event::Ticked{});
    });
  }

  [[nodiscard]] static bool is_held_up(const Node& node) {
    return node.frozen || node.busy || node.asleep_since >= 0;
  }

  // What the kernel counts, stood still.
  void wake_up(Node* node) {
    const int64_t span = now_ - std::exchange(node->asleep_since, -1);
    node->suspended += span;
    for (size_t v = 0; v < kVips; v++) {
      if (node->expires[v] != 0) expire_at(node, v, node->expires[v] + span);
    }
    close_fence(node);
    wake(node);
  }

  // It goes on: what the other daemons sent, the deadline, then what else came meanwhile.
  void wake(Node* node) {
    const auto is_frame = [](const Event& event) {
      return std::holds_alternative<event::PeerFrameReceived>(event);
    };
    std::stable_partition(node->inbox.begin(), node->inbox.end(), is_frame);
    while (node->core != nullptr && !node->inbox.empty() && is_frame(node->inbox.front())) {
      const Event event = node->inbox.front();
      node->inbox.pop_front();
      step(node, event);
    }
    tell(node, event::Ticked{});
    while (node->core != nullptr && !node->busy && !node->inbox.empty()) {
      const Event event = node->inbox.front();
      node->inbox.pop_front();
      tell(node, event);
    }
  }

  // --- what it wants: the kernel

  void act(Node* node, const action::AddAddress& a) {
    const size_t v = index_of(a.address);
    if (node->held_up == 0) return add(node, v, a.lifetime_s);
    node->busy = true;
    const int64_t span = std::exchange(node->held_up, 0);
    post(now_ + span, [this, node, v, a] {
      if (!node->busy) return;
      node->busy = false;
      add(node, v, a.lifetime_s);
      wake(node);
    });
  }

  void add(Node* node, size_t v, int lifetime) {
    const Address& vip = kAddresses[v];
    if (node->refuses[v]) return step(node, event::AddressAdded{vip, lifetime, 1});
    if (node->expires[v] == 0) say(node->name + "  kernel: " + vip.text() + " is on the link");
    expire_at(node, v, now_ + lifetime * kS);
    step(node, event::AddressAdded{vip, lifetime, 0});
  }

  void expire_at(Node* node, size_t v, int64_t at) {
    node->expires[v] = at;
    post(at, [this, node, v] {
      const int64_t expires = node->expires[v];
      if (expires == 0 || expires > now_ || node->asleep_since >= 0) return;
      node->expires[v] = 0;
      say(node->name + "  kernel: " + kAddresses[v].text() + " has expired");
      tell(node, event::AddressLost{kAddresses[v], true});
    });
  }

  void act(Node* node, const action::RemoveAddress& a) {
    const size_t v = index_of(a.address);
    if (node->expires[v] != 0) say(node->name + "  kernel: " + a.address.text() + " is gone");
    node->expires[v] = 0;
    node->announced[v] = false;
    step(node, event::AddressRemoved{a.address, 0});
  }

  void act(Node* node, const action::SendAnnouncement& a) {
    node->announced[index_of(a.address)] = true;
  }

  // --- the other daemons, and the packet fence

  void act(Node* node, const action::SendPeerFrame& a) {
    for (const auto& other : nodes_) {
      Node* to = other.get();
      const bool is_for_it = !a.to || a.to->bytes[5] == to->name[1];
      if (to == node || !is_for_it || to->deaf_to.contains(node->name)) continue;
      event::PeerFrameReceived event{.frame = a.frame, .link = "eth0", .fenced = to->fenced};
      event.mac.bytes[5] = static_cast<uint8_t>(node->name[1]);
      post(now_ + kWay, [this, to, event] { tell(to, event); });
    }
  }

  void act(Node* node, const action::SetFence& a) {
    if (!node->fenced) return;
    node->fence = a.deadline.is_never() ? kOpen : a.deadline.ns() - 1000 * kS;
    node->fence_suspended = a.suspended.ns();
    if (node->fence_closed && !is_fenced(*node)) {
      node->fence_closed = false;
      say(node->name + "  kernel: the packet fence is open again");
    }
    if (node->fence != kOpen) post(node->fence, [this, node] { close_fence(node); });
  }

  [[nodiscard]] static bool has_any(const Node& node) {
    return std::any_of(node.expires.begin(), node.expires.end(),
                       [](int64_t at) { return at != 0; });
  }

  void close_fence(Node* node) {
    if (!is_fenced(*node) || node->fence_closed || !has_any(*node)) return;
    node->fence_closed = true;
    say(node->name + "  kernel: the packet fence is closed");
  }

  [[nodiscard]] bool is_fenced(const Node& node) const {
    return now_ >= node.fence || (peer_timeout_ != 0 && node.fence_suspended != node.suspended);
  }

  void act(Node* node, const action::Remember& a) { node->memory = a.memory; }
  void act(Node* node, const action::Finish&) { end(node); }
  void act(Node*, sim::Ignored<action::UseCluster, action::Acquire, action::EndAcquire,
                               action::SendProbe, action::ReportState, action::Report>) {}

  // --- and etcd

  using Execute = std::function<Event()>;

  // `execute` at etcd, its event back at the process; or no answer. Of a request without a number
  // (0) nobody is told that it failed.
  void ask(Node* node, RequestId request, const Execute& execute) {
    const int starts = node->starts;
    const auto answer = [this, node, starts](int64_t at, const Event& event) {
      const auto* failed = std::get_if<event::RequestFailed>(&event);
      if (failed != nullptr && failed->request == 0) return;
      post(at, [this, node, starts, event] {
        if (node->starts == starts) tell(node, event);
      });
    };
    const event::RequestFailed none{.request = request, .reason = "timed out"};
    if (node->cut || etcd_down_) return answer(now_ + kRequestTimeout, none);
    post(now_ + kWay, [this, node, execute, answer, none] {
      const Event event = execute();
      committed();
      if (node->deaf) return answer(now_ + kRequestTimeout, none);
      answer(now_ + kWay, event);
    });
  }

  void act(Node* node, const action::SendTxn& a) {
    ask(node, a.request, [this, a]() -> Event {
      const bool puts = sim::Store::puts(a.txn);
      bool succeeded = false;
      std::vector<Entry> entries;
      if ((no_space_ && puts) || !store_.txn(a.txn, &succeeded, &entries)) {
        return event::RequestFailed{a.request, "refused", no_space_ && puts};
      }
      return event::TxnAnswered{a.request, store_.header(), succeeded, entries};
    });
  }

  void act(Node* node, const action::ReadPrefix& a) {
    ask(node, a.request, [this, a]() -> Event {
      return event::PrefixRead{a.request, store_.header(), store_.everything()};
    });
  }

  void act(Node* node, const action::GrantLease& a) {
    ask(node, a.request, [this, node, a]() -> Event {
      const auto lease = static_cast<LeaseId>(
          strtoll((node->name.substr(1) + std::to_string(node->starts) + "0").c_str(), nullptr,
                  16) +
          ++grants_);
      store_.grant(lease, a.ttl.ns(), now_);
      post(now_ + a.ttl.ns(), [this, lease] { sweep(lease); });
      return event::LeaseGranted{a.request, store_.header(), lease};
    });
  }

  void sweep(LeaseId id) {
    const sim::Store::Lease* lease = store_.lease(id);
    if (lease == nullptr) return;
    if (lease->expires > now_) return post(lease->expires, [this, id] { sweep(id); });
    say("etcd: lease " + lease_hex(id) + " expires");
    (void)store_.revoke(id);
    committed();
  }

  void act(Node* node, const action::KeepLease& a) {
    ask(node, 0, [this, a]() -> Event {
      sim::Store::Lease* lease = store_.lease(a.lease);
      if (lease != nullptr) lease->expires = now_ + lease->ttl;
      return event::LeaseKept{a.lease, lease != nullptr};
    });
  }

  void act(Node* node, const action::RevokeLease& a) {
    ask(node, a.request, [this, a]() -> Event {
      (void)store_.revoke(a.lease);
      return event::LeaseRevoked{a.request};
    });
  }

  void act(Node* node, const action::OpenWatch& a) {
    const uint64_t id = node->watch = ++watches_;
    node->watch_next = a.from;
    if (node->cut || etcd_down_) return end_watch(node, now_ + kRequestTimeout);
    post(now_ + kWay, [this, node, id] {
      if (node->watch != id) return;
      tell(node, event::WatchCreated{store_.header()});
      pump(node);
    });
  }

  void end_watch(Node* node, int64_t at) {
    const uint64_t id = node->watch;
    post(at, [this, node, id] {
      if (node->watch != id || node->core == nullptr) return;
      node->watch = 0;
      tell(node, event::WatchEnded{false, "ended"});
    });
  }

  void committed() {
    for (const auto& node : nodes_) pump(node.get());
  }

  void pump(Node* node) {
    if (node->watch == 0 || node->cut || etcd_down_) return;
    event::WatchAdvanced advanced;
    for (const sim::Store::Commit& commit : store_.history) {
      if (commit.revision < node->watch_next) continue;
      advanced.changes.insert(advanced.changes.end(), commit.changes.begin(), commit.changes.end());
    }
    if (advanced.changes.empty()) return;
    node->watch_next = store_.revision + 1;
    advanced.header = store_.header();
    const uint64_t id = node->watch;
    post(now_ + kWay + node->watch_lag, [this, node, id, advanced] {
      if (node->watch == id) tell(node, advanced);
    });
  }

  // --- the trace

  void show(const Node& node) {
    const PeersView view = node.core->peers(MonoTime::from_ns(1000 * kS + now_));
    const auto text = [](uint64_t n) { return std::to_string(n); };
    say("      " + std::string(name_of(view.state)) + ", timeout " + text(view.timeout.ms()) +
        " ms, left " + text(view.left.ms()) + " ms" +
        (view.reason.empty() ? "" : ", because " + view.reason));
    for (const GrantorView& grantor : view.grantors) {
      say("      " + grantor.node + (grantor.grants ? " grants" : " does not grant") + ", delay " +
          text(grantor.delay.ms()) + " ms");
    }
    if (!view.left_because.empty()) say("      the last one ended: " + view.left_because);
    say("      entered " + text(view.terms.entered) + ", changed " + text(view.terms.changed) +
        ", left " + text(view.terms.left) + ", lost " + text(view.terms.lost) + ", refused " +
        text(view.terms.refused) + ", expired here " + text(view.terms.expired));
    for (const auto& [name, grants] : view.grants)
      say("      grants of " + name + ": " + text(grants));
  }

  void post(int64_t at, std::function<void()> what) {
    queue_.emplace(std::max(at, now_), std::move(what));
  }

  void say(const std::string& text) {
    char stamp[32];
    snprintf(stamp, sizeof stamp, "%9.3f  ", static_cast<double>(now_) / 1e9);
    if (now_ >= from_) trace_ += stamp + text + "\n";
  }

  [[nodiscard]] static std::string words_for(const Event& event) {
    if (const auto* received = std::get_if<event::PeerFrameReceived>(&event)) {
      static const char* const kKinds[] = {"a renewal", "a grant", "that a term has expired"};
      return std::string("PeerFrameReceived ") + kKinds[static_cast<size_t>(received->frame.kind)];
    }
    const auto* transfer = std::get_if<event::TransferAsked>(&event);
    return transfer == nullptr ? sim::describe(event)
                               : "TransferAsked to " + lease_hex(transfer->to);
  }

  // Of what goes on all the time (heartbeats, renewals, watches) nothing is said.
  [[nodiscard]] std::string words_for(Node& node, const Action& action) const {
    if (const auto* send = std::get_if<action::SendPeerFrame>(&action)) {
      const bool expired = send->frame.kind == PeerFrame::Kind::Expired;
      if (!expired || !node.expired.insert(send->frame.term).second) return "";
      return "SendPeerFrame to all: expired";
    }
    if (std::get_if<action::SetFence>(&action) != nullptr) return "";
    const auto* add = std::get_if<action::AddAddress>(&action);
    if (add != nullptr && node.expires[index_of(add->address)] != 0) return "";
    const auto* announce = std::get_if<action::SendAnnouncement>(&action);
    if (announce != nullptr && node.announced[index_of(announce->address)]) return "";
    if (const auto* txn = std::get_if<action::SendTxn>(&action)) return words_for(node, txn->txn);
    if (std::get_if<action::ReadPrefix>(&action) != nullptr ||
        std::get_if<action::OpenWatch>(&action) != nullptr ||
        std::get_if<action::GrantLease>(&action) != nullptr ||
        std::get_if<action::KeepLease>(&action) != nullptr ||
        std::get_if<action::Remember>(&action) != nullptr) {
      return "";
    }
    return shorten(sim::describe(action));
  }

  [[nodiscard]] std::string words_for(const Node& node, const Txn& txn) const {
    std::string text;
    for (const Op& op : txn.success) {
      const std::string whose = lease_hex(op.key.lease);
      if (op.key.kind == KeyKind::Candidate) {
        const bool put = op.kind == Op::Kind::Put;
        const std::string which = is_one_ ? "" : (put ? " for " : " of ") + op.key.vip.text();
        text += (put ? ", queue up" : ", leave the queue") + which + " as " + whose;
      } else if (op.kind == Op::Kind::Put && op.key.lease != node.core->session()) {
        text += ", end session " + whose;
      } else if (op.key.kind == KeyKind::Writes && op.kind == Op::Kind::Put) {
        if (!no_space_) text += ", put writes/" + whose;
      } else if (op.key.kind == KeyKind::Peers) {
        if (op.kind == Op::Kind::Put) text += ", enter a term";
        if (op.kind == Op::Kind::Delete && op.key.lease == node.core->session()) {
          text += ", leave the term";
        }
      } else if (op.kind == Op::Kind::Delete) {
        text += ", delete writes/" + whose;
      }
    }
    return text.empty() ? "" : "SendTxn: " + text.substr(2);
  }

  // Without numbers of requests and nonces.
  [[nodiscard]] static std::string shorten(const std::string& text) {
    std::string out;
    for (size_t i = 0; i < text.size();) {
      if (text.compare(i, 2, " #") == 0) {
        for (i += 2; i < text.size() && isdigit(static_cast<unsigned char>(text[i])) != 0;) i++;
      } else if (text[i] == '=' && text.compare(i, 2, "=(") != 0) {
        i += 5;
      } else if (text.compare(i, 2, "@r") == 0) {
        const size_t end = text.find(' ', i);
        out += text.substr(i, end - i);
        i = end == std::string::npos ? text.size() : end + 5;
      } else {
        out += text[i++];
      }
    }
    return out.size() > 150 ? out.substr(0, 147) + "..." : out;
  }

  void look_for_two_owners() {
    for (size_t v = 0; v < kVips; v++) {
      const auto owners = std::count_if(nodes_.begin(), nodes_.end(), [&](const auto& node) {
        return node->expires[v] != 0 && !is_fenced(*node) && node->asleep_since < 0;
      });
      if (owners > 1 && !two_owners_) say("!!!! two owners");
      two_owners_ = two_owners_ || owners > 1;
    }
  }

  int64_t now_ = 0;
  int64_t from_ = 0;
  int64_t until_ = 20 * kS;
  std::multimap<int64_t, std::function<void()>> queue_;
  std::vector<std::unique_ptr<Node>> nodes_;
  sim::Store store_;
  sim::Store backup_;
  int64_t peer_timeout_ = 0;
  bool etcd_down_ = false;
  bool no_space_ = false;
  int64_t grants_ = 0;
  int64_t stepped_at_ = 0;
  int steps_ = 0;  // within this instant
  uint64_t watches_ = 0;
  uint64_t random_ = 0;
  std::string trace_;
  std::string fault_;
  bool two_owners_ = false;
  bool is_one_ = true;  // no story of several VIPs
};

std::string scenario;  // the path of the one that runs

void happens_as_written() {
  const std::string text = fixture::read(scenario);
  const std::string mark = "\n====\n";
  const size_t middle = std::min(text.find(mark), text.size());
  const std::string story = text.substr(0, middle);
  Scenario world;
  const std::string trace = world.run(fixture::lines(story));
  TEST_ASSERT_EQUAL_STRING("", world.fault().c_str());
  TEST_ASSERT_FALSE(world.two_owners());
  const std::vector<std::string> is = fixture::lines(story + mark + trace);
  const std::vector<std::string> was =
      fixture::lines(fixture::golden(scenario, fixture::joined(is)));
  for (size_t i = 0; i < std::max(is.size(), was.size()); i++) {
    TEST_ASSERT_EQUAL_STRING(i < was.size() ? was[i].c_str() : "(the end)",
                             i < is.size() ? is[i].c_str() : "(the end)");
  }
}

}  // namespace

int main() {
  UNITY_BEGIN();
  std::vector<std::string> names;
  DIR* const folder = opendir("tests/scenarios");
  while (const dirent* entry = folder == nullptr ? nullptr : readdir(folder)) {
    const std::string name = entry->d_name;
    if (name.ends_with(".txt")) names.push_back(name.substr(0, name.size() - 4));
  }
  if (folder != nullptr) closedir(folder);
  std::sort(names.begin(), names.end());
  for (const std::string& name : names) {
    scenario = "tests/scenarios/" + name + ".txt";
    harness::run_test(happens_as_written, name.c_str(), __LINE__);
  }
  return UNITY_END();
}
