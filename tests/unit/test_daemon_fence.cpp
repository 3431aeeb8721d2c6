// The packet fence of a daemon and its frames, on the running kernel: a host with a VIP on t0 in a
// network namespace of its own, and a neighbour that asks for it. Needs root.
#include "daemon/fence_side.hpp"

#include <fcntl.h>

#include "daemon/network.hpp"
#include "daemon/peers.hpp"
#include "daemon/vips.hpp"
#include "harness.hpp"
#include "net/fence_bpf.hpp"
#include "net/fence_clsact.hpp"
#include "net/peer_frame.hpp"
#include "unit/fixture.hpp"
#include "unit/logged.hpp"
#include "unit/raw_host.hpp"

using namespace vipd;
using raw::Asker;
using raw::run;

namespace {

constexpr MacAddress kHostMac = {{2, 0, 0, 0, 0, 1}};
constexpr MacAddress kOtherMac = {{2, 0, 0, 0, 0, 2}};
constexpr uint64_t kCluster = 0x42;
const Address kVip = *Address::parse("192.0.2.15");
bool is_isolated = false;

int index_of(const char* link) {
  return static_cast<int>(if_nametoindex(link));
}

// The host and its neighbour, which outlive a daemon.
struct Host {
  fixture::Folder folder;
  raw::Namespace lan{"fence-side-test"};
  std::unique_ptr<Asker> asker;

  Host() {
    const bool good = run("ip link add t0 address " + kHostMac.text() +
                          " type veth peer name t1 address " + kOtherMac.text()) &&
                      run("ip link set t1 netns " + lan.name()) && lan.ip("link set t1 up") &&
                      run("ip link set t0 up && ip addr add 192.0.2.1/24 dev t0");
    if (!good) abort();
    asker = std::make_unique<Asker>(lan.raw_socket("t1", ETH_P_ALL), "t0", kHostMac,
                                    *Address::parse("192.0.2.9"), *Address::parse("2001:db8::9"));
  }
  ~Host() {
    (void)run(
        "ip link del t0 2>/dev/null; ip link del t5 2>/dev/null; ip link del tun5 2>/dev/null");
    for (const char* file : {"/fence", "/fence.other"}) remove((folder.path() + file).c_str());
  }
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  [[nodiscard]] bool is_answered() { return asker->is_answered(kVip, Asker::How::Echo); }
};

// The parts of a daemon on it. Its end is that of a killed one: what is in the kernel stays.
struct Daemon {
  Loop loop;
  Config config;
  Memory former;
  std::vector<Event> fed;
  std::vector<std::string> noted;
  std::string reason;
  Vips vips{config.vips};
  Network network{loop,
                  vips,
                  {.feed = [this](const Event& event) { fed.push_back(event); },
                   .obstacle = [](const VipConfig&, const std::string&) {},
                   .links_seen = [this] { fence.links_seen(); },
                   .has_authority = [] { return true; },
                   .reachable = [](const Address&, bool) {}}};
  FenceSide fence{loop,
                  network,
                  {.feed = [this](const Event& event) { fed.push_back(event); },
                   .note = [this](const std::string& what) { noted.push_back(what); }}};
  Peers peers{loop, vips, network, fence, [this](const Event& event) { fed.push_back(event); }};

  explicit Daemon(const Host& host) {
    config.state_dir = host.folder.path();
    config.vips.resize(1);
    config.vips[0].name = "api";
    config.vips[0].address = kVip;
    config.vips[0].link = "t0";
    vips.changed();
    logged::lines.clear();
  }

  void start() {
    fence.open(config, FenceSide::kNone);
    if (!network.open(former, &reason) || !peers.open(&reason)) abort();
    peers.set_cluster(kCluster, "/vipd");
    fence.start();
    network.start();
  }
  void turns(int ms = 20) {
    const MonoTime end = loop.now() + Duration::milliseconds(ms);
    while (loop.now() < end) {
      loop.run_once(Duration::milliseconds(2));
      peers.hear();
      fence.begin_turn();
    }
  }
  void set_fence(Duration from_now) {
    fence.perform(
        action::SetFence{.deadline = loop.now() + from_now, .suspended = loop.suspended()});
  }
  bool add() {
    if (!fence.protect(kVip)) return false;
    network.perform(action::AddAddress{.address = kVip, .lifetime_s = 10});
    return network.has(kVip);
  }
  // What the core was told of the fence, oldest first: "in force" or why not.
  [[nodiscard]] std::string told() const {
    std::string all;
    for (const Event& event : fed) {
      const auto* changed = std::get_if<event::FenceChanged>(&event);
      if (changed == nullptr) continue;
      all += (all.empty() ? "" : "; ") + (changed->in_force ? "in force" : changed->reason);
    }
    return all;
  }
  [[nodiscard]] std::vector<const event::PeerFrameReceived*> frames() const {
    std::vector<const event::PeerFrameReceived*> frames;
    for (const Event& event : fed) {
      if (const auto* one = std::get_if<event::PeerFrameReceived>(&event)) frames.push_back(one);
    }
    return frames;
  }
};

// How many programs are at tcx, both hooks.
size_t programs_at(const char* link) {
  size_t count = 0;
  for (const net::FenceHook hook : {net::FenceHook::Ingress, net::FenceHook::Egress}) {
    net::TcxPrograms programs;
    (void)net::tcx_query(index_of(link), hook, &programs);
    count += programs.ids.size();
  }
  return count;
}

// How many filters are at clsact, both hooks, and both places together.
size_t filters_at(const char* link) {
  size_t count = 0;
  std::string reason;
  for (const net::FenceHook hook : {net::FenceHook::Ingress, net::FenceHook::Egress}) {
    std::vector<net::ClsactFilter> filters;
    (void)net::Clsact::open(&reason)->list(index_of(link), hook, &filters);
    count += filters.size();
  }
  return count;
}
size_t all_at(const char* link) {
  return programs_at(link) + filters_at(link);
}

bool remove_by_hand(const char* link) {
  net::TcxPrograms programs;
  if (programs_at(link) == 0) return run("tc filter del dev " + std::string(link) + " egress");
  return net::tcx_query(index_of(link), net::FenceHook::Egress, &programs) == 0 &&
         net::tcx_detach(index_of(link), net::FenceHook::Egress, programs, 0) == 0;
}

bool has_tcx() {
  net::TcxPrograms programs;
  return net::tcx_query(1, net::FenceHook::Ingress, &programs) == 0;
}

// It ends the chain.
bool put_foreign_at_tcx(const char* link) {
  const bpf_insn code[] = {{BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0},
                           {BPF_JMP | BPF_EXIT, 0, 0, 0, 0}};
  std::string reason;
  const sys::Fd foreign = net::bpf_load(code, "foreign", &reason);
  net::TcxPrograms programs;
  (void)net::tcx_query(index_of(link), net::FenceHook::Ingress, &programs);
  if (!programs.ids.empty()) abort();
  return net::tcx_attach_first(index_of(link), net::FenceHook::Ingress, foreign.get()) == 0;
}

void it_is_closed_and_opened_as_the_core_says() {
  Host host;
  Daemon daemon(host);
  daemon.start();
  TEST_ASSERT_EQUAL_STRING("in force", daemon.told());
  TEST_ASSERT_TRUE(daemon.fence.is_in_force());
  TEST_ASSERT_EQUAL_INT(1, daemon.noted.size());
  daemon.set_fence(Duration::seconds(60));
  TEST_ASSERT_TRUE(daemon.add());
  TEST_ASSERT_TRUE(host.is_answered());
  daemon.set_fence(Duration::milliseconds(-1));
  TEST_ASSERT_FALSE(host.is_answered());
  daemon.set_fence(Duration::seconds(60));
  TEST_ASSERT_TRUE(host.is_answered());
  // The host slept since the core reckoned that deadline.
  daemon.fence.perform(
      action::SetFence{.deadline = daemon.loop.now() + Duration::seconds(60),
                       .suspended = daemon.loop.suspended() - Duration::seconds(1)});
  TEST_ASSERT_FALSE(host.is_answered());
}

void a_link_that_appears_gets_it_and_one_that_goes_is_no_fault() {
  Host host;
  Daemon daemon(host);
  daemon.start();
  TEST_ASSERT_TRUE(run("ip link add t5 type veth peer name t6"));
  daemon.turns();
  TEST_ASSERT_EQUAL_INT(2, all_at("t5"));
  TEST_ASSERT_TRUE(run("ip link set t5 name t7 && ip link del t7"));
  daemon.turns(1100);
  TEST_ASSERT_EQUAL_STRING("in force", daemon.told());
}

void what_has_arp_and_is_no_ethernet_means_none() {
  Host host;
  Daemon daemon(host);
  daemon.start();
  if (!run("ip tuntap add tun5 mode tun 2>/dev/null && ip link set tun5 arp on up")) {
    TEST_IGNORE_MESSAGE("this kernel has no tun");
  }
  daemon.turns();
  TEST_ASSERT_EQUAL_STRING("in force; no fence (not Ethernet) on tun5", daemon.told());
  TEST_ASSERT_FALSE(daemon.fence.is_in_force());
  TEST_ASSERT_TRUE(run("ip link del tun5"));
  daemon.turns();
  TEST_ASSERT_TRUE(daemon.fence.is_in_force());
}

void one_that_is_removed_by_hand_is_told_of_and_put_back() {
  Host host;
  Daemon daemon(host);
  daemon.start();
  daemon.turns(1100);
  TEST_ASSERT_TRUE(remove_by_hand("t0"));
  daemon.turns(100);
  TEST_ASSERT_EQUAL_STRING("in force; removed on t0; in force", daemon.told());
  TEST_ASSERT_EQUAL_INT(2, all_at("t0"));
  // Again at once: it waits longer than before.
  TEST_ASSERT_TRUE(remove_by_hand("t0"));
  daemon.turns(100);
  TEST_ASSERT_EQUAL_STRING("in force; removed on t0; in force; removed on t0", daemon.told());
  daemon.turns(3300);
  TEST_ASSERT_TRUE(daemon.fence.is_in_force());
}

// Bonds, bridges and VLANs have it at tcx, which is first; what vanishes by the hundred at clsact,
// until somebody else is at tcx. Then the core is told once for all that were bypassed.
void where_it_stands_is_a_matter_of_the_kind_of_link() {
  if (!has_tcx()) TEST_IGNORE_MESSAGE("this kernel has no tcx");
  Host host;
  Daemon daemon(host);
  TEST_ASSERT_TRUE(run("ip link add t5 type bridge && ip link add t7 type veth peer name t8"));
  daemon.start();
  daemon.turns(1100);
  TEST_ASSERT_EQUAL_STRING("in force", daemon.told());
  TEST_ASSERT_EQUAL_STRING("clsact", daemon.fence.kind());
  for (const char* link : {"t0", "t7", "t8"}) {
    TEST_ASSERT_EQUAL_INT(2, filters_at(link));
    TEST_ASSERT_EQUAL_INT(0, programs_at(link));
  }
  TEST_ASSERT_EQUAL_INT(0, filters_at("t5"));
  TEST_ASSERT_EQUAL_INT(2, programs_at("t5"));
  daemon.fed.clear();
  TEST_ASSERT_TRUE(put_foreign_at_tcx("t7") && put_foreign_at_tcx("t8"));
  daemon.turns(1500);
  TEST_ASSERT_EQUAL_STRING("bypassed on t8 by another filter; in force", daemon.told());
  TEST_ASSERT_EQUAL_STRING("tcx", daemon.fence.kind());
  TEST_ASSERT_EQUAL_INT(0, filters_at("t0") + filters_at("t7") + filters_at("t8"));
  TEST_ASSERT_EQUAL_INT(2, programs_at("t0"));
  TEST_ASSERT_EQUAL_INT(3, programs_at("t7"));
  TEST_ASSERT_EQUAL_INT(3, programs_at("t8"));
  TEST_ASSERT_TRUE(run("ip link del t7 && ip link add t7 type veth peer name t8"));
  daemon.turns();
  TEST_ASSERT_EQUAL_INT(2, programs_at("t7"));
  TEST_ASSERT_TRUE(run("ip link del t7"));
}

void what_a_killed_one_left_stays_until_there_is_authority() {
  Host host;
  {
    Daemon killed(host);
    killed.start();
    killed.set_fence(Duration::seconds(60));
    TEST_ASSERT_TRUE(killed.add());
    killed.set_fence(Duration::milliseconds(-1));
  }
  TEST_ASSERT_FALSE(host.is_answered());
  Daemon daemon(host);
  daemon.former.lease = static_cast<LeaseId>(7);
  daemon.start();
  TEST_ASSERT_TRUE(daemon.network.has(kVip));
  daemon.turns(1100);
  TEST_ASSERT_FALSE(host.is_answered());
  TEST_ASSERT_EQUAL_INT(4, all_at("t0"));
  daemon.set_fence(Duration::seconds(60));
  TEST_ASSERT_TRUE(host.is_answered());
  TEST_ASSERT_EQUAL_INT(2, all_at("t0"));
  daemon.set_fence(Duration::milliseconds(-1));  // ours knows the inherited address
  TEST_ASSERT_FALSE(host.is_answered());
}

void without_a_fence_of_its_own_the_former_one_goes_with_the_address() {
  Host host;
  {
    Daemon killed(host);
    killed.start();
    TEST_ASSERT_TRUE(killed.add());
    killed.set_fence(Duration::milliseconds(-1));
  }
  Daemon daemon(host);
  daemon.config.fence = FenceChoice::None;
  daemon.start();
  TEST_ASSERT_EQUAL_STRING("switched off", daemon.told());
  TEST_ASSERT_FALSE(daemon.network.has(kVip));
  TEST_ASSERT_EQUAL_INT(0, all_at("t0"));
  TEST_ASSERT_TRUE(daemon.add());
  TEST_ASSERT_TRUE(host.is_answered());
}

void a_clean_stop_leaves_nothing_and_a_failed_one_a_closed_fence() {
  Host host;
  Daemon daemon(host);
  daemon.start();
  TEST_ASSERT_TRUE(daemon.add());
  daemon.fence.stop([] {});
  TEST_ASSERT_FALSE(host.is_answered());
  Daemon next(host);
  next.start();
  next.set_fence(Duration::seconds(60));
  next.fence.stop([] {});
  next.turns(1100);
  TEST_ASSERT_EQUAL_INT(0, all_at("t0"));
  TEST_ASSERT_EQUAL_INT(-1, access((host.folder.path() + "/fence").c_str(), F_OK));
}

// Each link at tcx takes the kernel 50 ms, and hundreds of containers' are there as soon as
// somebody else is.
void many_links_at_tcx_are_attached_and_left_as_turns_come() {
  if (!has_tcx()) TEST_IGNORE_MESSAGE("this kernel has no tcx");
  constexpr int kPairs = 40;
  Host host;
  TEST_ASSERT_TRUE(put_foreign_at_tcx("t0"));
  for (int i = 0; i < kPairs; i++) {
    const std::string n = std::to_string(i);
    TEST_ASSERT_TRUE(run("ip link add m" + n + " group 9 type veth peer name n" + n));
  }
  Daemon daemon(host);
  const MonoTime begin = daemon.loop.now();
  daemon.start();
  TEST_ASSERT_TRUE(daemon.loop.now() - begin < Duration::milliseconds(1500));
  while (!daemon.fence.is_in_force() && daemon.loop.now() - begin < Duration::seconds(30)) {
    daemon.turns();
  }
  TEST_ASSERT_TRUE(daemon.fence.is_in_force());
  const auto left = [] {
    size_t links = 0;
    for (int i = 0; i < kPairs; i++) links += programs_at(("m" + std::to_string(i)).c_str()) / 2;
    return links;
  };
  TEST_ASSERT_EQUAL_INT(kPairs, left());
  // Each turn is spent as soon as it begins.
  daemon.loop.on_turn_start([&daemon] {
    const MonoTime until = daemon.loop.now() + Duration::milliseconds(11);
    while (daemon.loop.now() < until) continue;
  });
  bool is_done = false;
  (void)daemon.loop.add_timer(daemon.loop.now(),
                              [&] { daemon.fence.stop([&] { is_done = true; }); });
  daemon.loop.run_once(Duration::milliseconds(10));
  TEST_ASSERT_FALSE(is_done);  // though each turn goes on for 2 ms
  while (!is_done && daemon.loop.now() - begin < Duration::seconds(60)) daemon.turns();
  TEST_ASSERT_TRUE(is_done);
  TEST_ASSERT_EQUAL_INT(0, left());
  TEST_ASSERT_EQUAL_INT(1, programs_at("t0"));
  TEST_ASSERT_TRUE(run("ip link del group 9"));
}

// Of hundreds, the VIP's may be any: none of its packets pass before that one is clear.
void a_former_fence_leaves_the_links_of_vips_first() {
  if (!has_tcx()) TEST_IGNORE_MESSAGE("this kernel has no tcx");
  Host host;
  TEST_ASSERT_TRUE(put_foreign_at_tcx("t0"));
  for (int i = 0; i < 40; i++) {
    const std::string n = std::to_string(i);
    TEST_ASSERT_TRUE(run("ip link add m" + n + " group 9 type veth peer name n" + n));
  }
  const auto start = [](Daemon* daemon) {
    daemon->config.vips[0].link = "m39";
    daemon->vips.changed();
    daemon->start();
    const MonoTime end = daemon->loop.now() + Duration::seconds(30);
    while (!daemon->fence.is_in_force() && daemon->loop.now() < end) daemon->turns();
    TEST_ASSERT_TRUE(daemon->fence.is_in_force());
  };
  {
    Daemon killed(host);
    start(&killed);
  }
  Daemon daemon(host);
  start(&daemon);
  TEST_ASSERT_EQUAL_INT(4, programs_at("m39"));
  // Each turn is spent as soon as it begins.
  daemon.loop.on_turn_start([&daemon] {
    const MonoTime until = daemon.loop.now() + Duration::milliseconds(11);
    while (daemon.loop.now() < until) continue;
  });
  (void)daemon.loop.add_timer(daemon.loop.now(), [&] { daemon.set_fence(Duration::seconds(60)); });
  daemon.loop.run_once(Duration::milliseconds(10));
  TEST_ASSERT_EQUAL_INT(2, programs_at("m39"));
  TEST_ASSERT_EQUAL_INT(4, programs_at("m38"));  // though each turn goes on for 2 ms
  TEST_ASSERT_TRUE(run("ip link del group 9"));
}

void one_address_too_many_is_refused_once() {
  Host host;
  Daemon daemon(host);
  daemon.start();
  uint32_t next = 0x0a000000;
  while (daemon.fence.protect(Address::v4(next))) ++next;
  TEST_ASSERT_TRUE(next > 0x0a000000 + 256);
  TEST_ASSERT_EQUAL_STRING(
      "in force; there are more addresses than it has room for; restart the daemon", daemon.told());
  TEST_ASSERT_TRUE(daemon.fence.protect(Address::v4(next)));
}

// NTP's own limit is 500 parts in a million; a term allows for 1,000 between two clocks.
void a_clock_that_is_slewed_too_much_is_noticed() {
  const auto us = [](int64_t n) { return Duration::microseconds(n); };
  const auto is_slewed = [&](int64_t moved_us, int64_t error_us, int64_t span_ms) {
    return FenceSide::is_slewed({us(-50), us(error_us)}, {us(moved_us - 50), us(error_us)},
                                Duration::milliseconds(span_ms));
  };
  TEST_ASSERT_FALSE(is_slewed(400, 0, 1000));
  TEST_ASSERT_TRUE(is_slewed(401, 0, 1000));
  TEST_ASSERT_TRUE(is_slewed(-401, 0, 1000));
  TEST_ASSERT_FALSE(is_slewed(401, 1, 1000));
  TEST_ASSERT_FALSE(is_slewed(3999, 0, 10000));
  TEST_ASSERT_TRUE(is_slewed(80000, 5, 1000));
}

// --- frames

// What a neighbour sends.
void send(const sys::Fd& neighbour, const PeerFrame& frame) {
  const auto bytes =
      net::encode_peer_frame(frame, net::peer_cluster_tag(kCluster, "/vipd"), kOtherMac, kHostMac);
  TEST_ASSERT_EQUAL_INT(bytes.size(), ::send(neighbour.get(), bytes.data(), bytes.size(), 0));
}

PeerFrame grant_of(uint64_t nonce) {
  return {.kind = PeerFrame::Kind::Grant, .term = 1, .from = 20, .to = 10, .nonce = nonce};
}

action::SendPeerFrame renewal(uint64_t nonce) {
  return {
      .frame = {.kind = PeerFrame::Kind::Renew, .term = 1, .from = 10, .to = 20, .nonce = nonce},
      .link = "t0"};
}

void a_grant_counts_only_if_the_fence_saw_it() {
  Host host;
  const sys::Fd neighbour = host.lan.raw_socket("t1", net::kPeerEtherType);
  Daemon daemon(host);
  daemon.start();
  daemon.peers.perform(renewal(7));
  daemon.peers.perform(renewal(7));  // on the link by another name: it is sent once
  send(neighbour, grant_of(7));
  send(neighbour, grant_of(8));  // nobody asked for it
  daemon.turns();
  TEST_ASSERT_EQUAL_INT(1, daemon.frames().size());
  TEST_ASSERT_TRUE(daemon.frames()[0]->fenced && daemon.frames()[0]->frame == grant_of(7));
  TEST_ASSERT_EQUAL_STRING("t0", daemon.frames()[0]->link);
  TEST_ASSERT_TRUE(daemon.frames()[0]->mac == kOtherMac);
  TEST_ASSERT_EQUAL_UINT64(1, daemon.peers.counts().dropped["nonce"]);
  TEST_ASSERT_EQUAL_UINT64(1, daemon.peers.counts().sent["renew"]);
  TEST_ASSERT_TRUE(remove_by_hand("t0"));
  daemon.peers.perform(renewal(9));
  send(neighbour, grant_of(9));
  daemon.turns();
  TEST_ASSERT_EQUAL_INT(2, daemon.frames().size());
  TEST_ASSERT_FALSE(daemon.frames()[1]->fenced);
  // Without waiting for the next look.
  TEST_ASSERT_TRUE(daemon.told().starts_with("in force; removed on t0"));
}

// A node renews on links that it has no VIP for.
void a_request_is_told_by_the_links_own_name() {
  Host host;
  const sys::Fd neighbour = host.lan.raw_socket("t1", net::kPeerEtherType);
  Daemon daemon(host);
  daemon.config.vips[0].link = "elsewhere";
  daemon.vips.changed();
  daemon.start();
  send(neighbour, renewal(7).frame);
  daemon.turns();
  TEST_ASSERT_EQUAL_INT(1, daemon.frames().size());
  TEST_ASSERT_EQUAL_STRING("t0", daemon.frames()[0]->link);
}

// Grants of several nodes make one turn, and none is lost.
void grants_are_gathered_for_some_milliseconds() {
  Host host;
  const sys::Fd neighbour = host.lan.raw_socket("t1", net::kPeerEtherType);
  Daemon daemon(host);
  daemon.start();
  daemon.turns();
  daemon.peers.perform(renewal(7));
  send(neighbour, grant_of(7));
  for (int i = 0; i < 3; ++i) daemon.loop.run_once(Duration());
  TEST_ASSERT_EQUAL_INT(0, daemon.frames().size());
  usleep(6000);
  for (int i = 0; i < 3; ++i) daemon.loop.run_once(Duration());
  TEST_ASSERT_EQUAL_INT(1, daemon.frames().size());
}

}  // namespace

void setUp() {
  if (!is_isolated) TEST_IGNORE_MESSAGE("needs root: unshare(CLONE_NEWNET) was refused");
}
void tearDown() {}

int main() {
  UNITY_BEGIN();
  is_isolated = unshare(CLONE_NEWNET) == 0 && run("ip link set lo up");
  RUN_TEST(it_is_closed_and_opened_as_the_core_says);
  RUN_TEST(a_link_that_appears_gets_it_and_one_that_goes_is_no_fault);
  RUN_TEST(what_has_arp_and_is_no_ethernet_means_none);
  RUN_TEST(one_that_is_removed_by_hand_is_told_of_and_put_back);
  RUN_TEST(where_it_stands_is_a_matter_of_the_kind_of_link);
  RUN_TEST(what_a_killed_one_left_stays_until_there_is_authority);
  RUN_TEST(without_a_fence_of_its_own_the_former_one_goes_with_the_address);
  RUN_TEST(a_clean_stop_leaves_nothing_and_a_failed_one_a_closed_fence);
  RUN_TEST(many_links_at_tcx_are_attached_and_left_as_turns_come);
  RUN_TEST(a_former_fence_leaves_the_links_of_vips_first);
  RUN_TEST(one_address_too_many_is_refused_once);
  RUN_TEST(a_clock_that_is_slewed_too_much_is_noticed);
  RUN_TEST(a_grant_counts_only_if_the_fence_saw_it);
  RUN_TEST(a_request_is_told_by_the_links_own_name);
  RUN_TEST(grants_are_gathered_for_some_milliseconds);
  return UNITY_END();
}
