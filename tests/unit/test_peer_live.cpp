// Frames of the peer lease between two network namespaces, and what the packet fence sees of them.
// Needs root.
#include "harness.hpp"
#include "net/fence.hpp"
#include "net/peer_socket.hpp"
#include "unit/fixture.hpp"
#include "unit/raw_host.hpp"

using namespace vipd;
using namespace vipd::net;
using raw::run;

namespace {

constexpr uint64_t kTag = 0x1234567890abcdef;
constexpr MacAddress kOwner = {{2, 0, 0, 0, 0, 1}};
constexpr MacAddress kGrantor = {{2, 0, 0, 0, 0, 2}};

bool is_isolated = false;
std::unique_ptr<raw::Namespace> lan;
std::unique_ptr<Loop> loop;
std::unique_ptr<PeerSocket> owner;    // in this namespace, on t0
std::unique_ptr<PeerSocket> grantor;  // in the other one, on t1
std::vector<PeerArrival> at_owner, at_grantor;
int grantor_link = 0;

int index_of(const char* link) {
  return static_cast<int>(if_nametoindex(link));
}

void turns() {
  for (int i = 0; i < 10; ++i) loop->run_once(Duration::milliseconds(5));
}

std::unique_ptr<PeerSocket> open_socket(std::vector<PeerArrival>* heard) {
  std::string reason;
  auto made = PeerSocket::open(
      *loop, [heard](const PeerArrival& arrival) { heard->push_back(arrival); }, &reason);
  if (made == nullptr) std::printf("%s\n", reason.c_str());
  return made;
}

// A socket belongs to the namespace in which it was made.
bool open_grantor() {
  const sys::Fd home = raw::own_namespace();
  const sys::Fd there(open(("/run/netns/" + lan->name()).c_str(), O_RDONLY | O_CLOEXEC));
  if (setns(there.get(), CLONE_NEWNET) < 0) return false;
  grantor = open_socket(&at_grantor);
  grantor_link = index_of("t1");
  return setns(home.get(), CLONE_NEWNET) == 0 && grantor != nullptr;
}

PeerFrame frame(PeerFrame::Kind kind, uint64_t nonce) {
  const bool is_renew = kind == PeerFrame::Kind::Renew;
  return {.kind = kind,
          .term = 1,
          .from = is_renew ? 10ULL : 20ULL,
          .to = is_renew ? 20ULL : 10ULL,
          .nonce = nonce,
          .secret = 0};
}

int ask(uint64_t nonce, const std::optional<MacAddress>& to = {}) {
  return owner->send({.link_index = index_of("t0"), .mac = kOwner},
                     frame(PeerFrame::Kind::Renew, nonce), to);
}
int grant(uint64_t nonce, const std::optional<MacAddress>& to = kOwner) {
  return grantor->send({.link_index = grantor_link, .mac = kGrantor},
                       frame(PeerFrame::Kind::Grant, nonce), to);
}

}  // namespace

void setUp() {
  if (!is_isolated) TEST_IGNORE_MESSAGE("needs root: unshare(CLONE_NEWNET) was refused");
  lan = std::make_unique<raw::Namespace>("peer-test");
  loop = std::make_unique<Loop>();
  at_owner.clear();
  at_grantor.clear();
  const bool good = run("ip link add t0 address " + kOwner.text() +
                        " type veth peer name t1 address " + kGrantor.text()) &&
                    run("ip link set t1 netns " + lan->name() + " && ip link set t0 up") &&
                    lan->ip("link set t1 up") && open_grantor();
  owner = open_socket(&at_owner);
  if (!good || owner == nullptr) abort();
  owner->set_cluster(kTag);
  grantor->set_cluster(kTag);
}

void tearDown() {
  owner.reset();
  grantor.reset();
  loop.reset();
  lan.reset();
  if (is_isolated) (void)run("ip link del t0 2>/dev/null");
}

namespace {

void test_to_all_and_to_one() {
  const MonoTime before = loop->now();
  TEST_ASSERT_EQUAL_INT(0, ask(7));
  TEST_ASSERT_EQUAL_INT(0, ask(8, kGrantor));
  turns();
  TEST_ASSERT_EQUAL_INT(2, at_grantor.size());
  TEST_ASSERT_TRUE(at_grantor[0].frame == frame(PeerFrame::Kind::Renew, 7));
  TEST_ASSERT_TRUE(at_grantor[1].frame == frame(PeerFrame::Kind::Renew, 8));
  TEST_ASSERT_TRUE(at_grantor[0].source == kOwner);
  TEST_ASSERT_EQUAL_INT(grantor_link, at_grantor[0].link_index);
  TEST_ASSERT_TRUE(at_grantor[0].at > before && at_grantor[1].at >= at_grantor[0].at);
  TEST_ASSERT_TRUE(at_owner.empty());  // not what it sent itself
  TEST_ASSERT_EQUAL_INT(0, grant(8));
  turns();
  TEST_ASSERT_EQUAL_INT(1, at_owner.size());
}

void test_what_is_for_others_is_not_heard() {
  TEST_ASSERT_EQUAL_INT(0, ask(7, MacAddress{{2, 0, 0, 0, 0, 3}}));
  turns();
  TEST_ASSERT_TRUE(at_grantor.empty());
}

void test_links_that_come_later() {
  TEST_ASSERT_TRUE(run("ip link add u0 address 02:00:00:00:00:05 type veth peer name u1"));
  TEST_ASSERT_TRUE(run("ip link set u0 up && ip link set u1 up"));
  TEST_ASSERT_EQUAL_INT(0, owner->send({.link_index = index_of("u1"), .mac = kGrantor},
                                       frame(PeerFrame::Kind::Grant, 9), {}));
  turns();
  TEST_ASSERT_EQUAL_INT(1, at_owner.size());
  TEST_ASSERT_EQUAL_INT(index_of("u0"), at_owner[0].link_index);
  const int gone = index_of("u0");
  TEST_ASSERT_TRUE(run("ip link del u0"));
  const PeerFrame renew = frame(PeerFrame::Kind::Renew, 1);
  TEST_ASSERT_TRUE(owner->send({.link_index = gone, .mac = kOwner}, renew, {}) != 0);
  TEST_ASSERT_EQUAL_INT(EAFNOSUPPORT,
                        owner->send({.link_index = index_of("t0"), .mac = {}}, renew, {}));
}

void test_wrong_frames_are_counted_by_reason() {
  const sys::Fd fd = lan->raw_socket("t1", kPeerEtherType);
  const PeerFrameBytes good =
      encode_peer_frame(frame(PeerFrame::Kind::Grant, 3), kTag, kGrantor, kOwner);
  const auto send_with = [&](size_t at, uint8_t value, size_t size) {
    std::array<uint8_t, 200> bytes{};
    std::copy(good.begin(), good.end(), bytes.begin());
    bytes[at] = value;
    return send(fd.get(), bytes.data(), size, 0) == static_cast<ssize_t>(size);
  };
  TEST_ASSERT_TRUE(send_with(14, 9, 64) && send_with(15, 9, 64) && send_with(16, 9, 64));
  TEST_ASSERT_TRUE(send_with(63, 9, 64) && send_with(0, 2, 63) && send_with(0, 2, 200));
  turns();
  TEST_ASSERT_TRUE(at_owner.empty());
  TEST_ASSERT_EQUAL_INT(1, owner->dropped(PeerFault::Version));
  TEST_ASSERT_EQUAL_INT(1, owner->dropped(PeerFault::Kind));
  TEST_ASSERT_EQUAL_INT(1, owner->dropped(PeerFault::Cluster));
  TEST_ASSERT_EQUAL_INT(1, owner->dropped(PeerFault::Field));
  TEST_ASSERT_EQUAL_INT(2, owner->dropped(PeerFault::Length));
  TEST_ASSERT_TRUE(send_with(0, 2, 64));
  turns();
  TEST_ASSERT_EQUAL_INT(1, at_owner.size());
}

void test_nothing_before_the_cluster_is_known() {
  owner = open_socket(&at_owner);
  TEST_ASSERT_EQUAL_INT(EAGAIN, ask(1));
  TEST_ASSERT_EQUAL_INT(0, grant(1));
  turns();
  TEST_ASSERT_TRUE(at_owner.empty());
}

// A flood takes no more than 64 frames of a turn.
void test_a_turn_is_bounded() {
  for (uint64_t i = 1; i <= 100; ++i) TEST_ASSERT_EQUAL_INT(0, grant(i));
  owner->hear();
  TEST_ASSERT_TRUE(at_owner.size() <= 64);
  turns();
  TEST_ASSERT_EQUAL_INT(100, at_owner.size());
}

using Sight = FenceMemory::Sight;

Sight ask_and_grant(Fence* fence, uint64_t nonce) {
  fence->memory().expect(index_of("t0"), nonce);
  (void)ask(nonce);
  turns();
  (void)grant(nonce);
  at_owner.clear();
  turns();
  if (at_owner.size() != 1) abort();  // a bypassed fence costs no frame
  return fence->memory().sight(index_of("t0"), nonce);
}

// Each frame is seen, open or closed; where a hook is gone or bypassed, none counts.
void test_the_fence_sees_each_frame(FencePlace place) {
  fixture::Folder folder;
  std::string reason;
  const auto hooks = FenceHooks::open(place, folder.path(), &reason);
  const auto fence = Fence::open(
      *loop, *hooks, 16, [](int) {}, &reason);
  if (fence == nullptr) TEST_IGNORE_MESSAGE("needs bpf(2)");
  TEST_ASSERT_TRUE(fence->attach(index_of("t0"), false, &reason));
  for (uint64_t i = 1; i <= 50; ++i) {
    TEST_ASSERT_TRUE(ask_and_grant(fence.get(), i * 0x9e3779b97f4a7c15) == Sight::Whole);
  }
  TEST_ASSERT_TRUE(fence->memory().sight(index_of("t0"), 12345) == Sight::Unknown);
  const bpf_insn code[] = {{BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0},
                           {BPF_JMP | BPF_EXIT, 0, 0, 0, 0}};
  const sys::Fd foreign = bpf_load(code, "foreign", &reason);
  for (const FenceHook hook : {FenceHook::Ingress, FenceHook::Egress}) {
    TEST_ASSERT_TRUE(fence->attach(index_of("t0"), false, &reason));
    const int error =
        place == FencePlace::Tcx
            ? tcx_attach_first(index_of("t0"), hook, foreign.get())
            : Clsact::open(&reason)->add_first(index_of("t0"), hook, foreign.get(), "foreign");
    TEST_ASSERT_EQUAL_INT(0, error);
    TEST_ASSERT_TRUE(ask_and_grant(fence.get(), 1) == Sight::Missed);
  }
  TEST_ASSERT_TRUE(fence->attach(index_of("t0"), false, &reason));
  TEST_ASSERT_TRUE(ask_and_grant(fence.get(), 2) == Sight::Whole);
  TEST_ASSERT_TRUE(fence->detach(index_of("t0")));
  TEST_ASSERT_TRUE(ask_and_grant(fence.get(), 3) == Sight::Missed);
  for (const char* file : {"/fence", "/fence.other"}) remove((folder.path() + file).c_str());
}

void test_the_fence_at_clsact_sees_each_frame() {
  test_the_fence_sees_each_frame(FencePlace::Clsact);
}
void test_the_fence_at_tcx_sees_each_frame() {
  if (FenceHooks::best_place() != FencePlace::Tcx) TEST_IGNORE_MESSAGE("no tcx in this kernel");
  test_the_fence_sees_each_frame(FencePlace::Tcx);
}

}  // namespace

int main() {
  UNITY_BEGIN();
  is_isolated = unshare(CLONE_NEWNET) == 0;
  RUN_TEST(test_to_all_and_to_one);
  RUN_TEST(test_what_is_for_others_is_not_heard);
  RUN_TEST(test_links_that_come_later);
  RUN_TEST(test_wrong_frames_are_counted_by_reason);
  RUN_TEST(test_nothing_before_the_cluster_is_known);
  RUN_TEST(test_a_turn_is_bounded);
  RUN_TEST(test_the_fence_at_clsact_sees_each_frame);
  RUN_TEST(test_the_fence_at_tcx_sees_each_frame);
  return UNITY_END();
}
