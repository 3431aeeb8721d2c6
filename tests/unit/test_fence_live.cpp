// The packet fence in the running kernel, at both places: what it drops, when, and who else is at a
// hook. Needs root.
#include <linux/pkt_cls.h>

#include <algorithm>
#include <optional>

#include "unit/fence_host.hpp"

using namespace fence_host;

void setUp() {
  if (is_isolated) start();
}
void tearDown() {
  end();
}

namespace {

void test_open_it_answers_and_closed_it_is_silent() {
  NEEDS_ROOT;
  TEST_ASSERT_EQUAL_STRING("NEne", vips());
  TEST_ASSERT_EQUAL_STRING("attached", attach("t0"));
  TEST_ASSERT_EQUAL_STRING("NEne", vips());
  open_for(60'000);
  TEST_ASSERT_EQUAL_STRING("NEne", vips());
  fence->memory().close();
  TEST_ASSERT_EQUAL_STRING("....", vips());
  TEST_ASSERT_EQUAL_STRING("NEne", answers(kOwn, kOwn6));
  fence->memory().unprotect(kVip);
  TEST_ASSERT_EQUAL_STRING("NE..", vips());
  TEST_ASSERT_TRUE(run("ping -c1 -W1 192.0.2.15 >/dev/null"));  // this host itself
  open_for(60'000);
  TEST_ASSERT_EQUAL_STRING("NEne", vips());
}

void test_closed_by_a_suspension() {
  NEEDS_ROOT;
  TEST_ASSERT_EQUAL_STRING("attached", attach("t0"));
  const MonoTime far = MonoTime::from_ns(boot_ns() + 60'000 * kMillisecond);
  fence->memory().set_deadline(far, Duration::nanoseconds(raw::suspended_ns() - 20 * kMillisecond));
  TEST_ASSERT_EQUAL_STRING("....", vips());
  fence->memory().set_deadline(far, Duration::nanoseconds(raw::suspended_ns() - 5 * kMillisecond));
  TEST_ASSERT_EQUAL_STRING("NEne", vips());
}

// A question each 50 us or so, from 5 ms before to 2 ms after the deadline. Returns when the last
// one that was answered was sent, counted from the deadline; nothing where the asker itself was
// held up for a millisecond around it.
std::optional<int64_t> measure() {
  asker->forget();
  const int64_t deadline = boot_ns() + 10 * kMillisecond;
  set_deadline(MonoTime::from_ns(deadline));
  while (boot_ns() < deadline - 5 * kMillisecond) continue;
  while (boot_ns() < deadline + 2 * kMillisecond) {
    (void)asker->ask(kVip, Asker::How::Neighbour);
    const int64_t next = boot_ns() + kMillisecond / 20;
    while (boot_ns() < next) asker->hear();
  }
  const int64_t until = boot_ns() + 10 * kMillisecond;
  while (boot_ns() < until) asker->hear();
  int64_t last = -5 * kMillisecond, before = INT64_MIN, after = INT64_MAX;
  for (const auto& [number, question] : asker->questions()) {
    const int64_t at = question.sent - deadline;
    if (question.is_answered) last = std::max(last, at);
    if (at < 0) before = std::max(before, at);
    if (at >= 0) after = std::min(after, at);
  }
  if (last >= 0) return last;  // never to be passed over
  if (before < -kMillisecond / 2 || after > kMillisecond / 2) return std::nullopt;
  return last;
}

// A question that was sent at the deadline or later is never answered; one that was sent a
// millisecond before it mostly is: the kernel of a busy machine may put off what has come in.
void test_the_deadline_is_exact() {
  NEEDS_ROOT;
  TEST_ASSERT_EQUAL_STRING("attached", attach("t0"));
  std::vector<int64_t> last;
  for (int i = 0; i < 400 && last.size() < 20; ++i) {
    if (const auto measured = measure()) last.push_back(*measured);
  }
  if (last.empty()) TEST_IGNORE_MESSAGE("the machine is too busy to ask in time");
  std::sort(last.begin(), last.end());
  const auto ms = [&](size_t i) { return static_cast<double>(-last[i]) / kMillisecond; };
  std::printf(
      "%s: the last of the answered questions was sent %.3f, %.3f, %.3f ms before the "
      "deadline (max, p50, min of %zu)\n",
      hooks->kind(), ms(0), ms(last.size() / 2), ms(last.size() - 1), last.size());
  TEST_ASSERT_TRUE(last.back() < 0);
  TEST_ASSERT_TRUE(last[last.size() / 2] > -kMillisecond);
}

// What a program that others attach may do: end the chain.
sys::Fd foreign_program() {
  const bpf_insn code[] = {{BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, TC_ACT_OK},
                           {BPF_JMP | BPF_EXIT, 0, 0, 0, 0}};
  std::string reason;
  return bpf_load(code, "foreign", &reason);
}

bool put_foreign_first(FenceHook hook) {
  const sys::Fd program = foreign_program();
  std::string reason;
  if (place == FencePlace::Tcx) return tcx_attach_first(index_of("t0"), hook, program.get()) == 0;
  return Clsact::open(&reason)->add_first(index_of("t0"), hook, program.get(), "foreign") == 0;
}

void test_a_filter_in_front_is_noticed_and_overtaken() {
  NEEDS_ROOT;
  for (const FenceHook hook : {FenceHook::Ingress, FenceHook::Egress}) {
    TEST_ASSERT_EQUAL_STRING("attached", attach("t0"));
    turns();
    changed.clear();
    fence->memory().close();
    TEST_ASSERT_EQUAL_STRING("first", first("t0"));
    TEST_ASSERT_TRUE(put_foreign_first(hook));
    turns();
    TEST_ASSERT_EQUAL_INT(place == FencePlace::Clsact, changed.count(index_of("t0")) > 0);
    TEST_ASSERT_EQUAL_STRING("bypassed by another filter", first("t0"));
    TEST_ASSERT_EQUAL_STRING("attached", attach("t0"));
    TEST_ASSERT_EQUAL_STRING("first", first("t0"));
    TEST_ASSERT_EQUAL_STRING("....", vips());
  }
}

void test_filters_of_others_come_after_and_live() {
  NEEDS_ROOT;
  TEST_ASSERT_TRUE(run("tc qdisc add dev t0 clsact"));
  TEST_ASSERT_TRUE(put_foreign_first(FenceHook::Ingress));
  TEST_ASSERT_EQUAL_STRING("attached", attach("t0"));
  fence->memory().close();
  TEST_ASSERT_EQUAL_STRING("....", vips());
  TEST_ASSERT_TRUE(fence->detach(index_of("t0")));
  TEST_ASSERT_EQUAL_STRING("removed", first("t0"));
  TEST_ASSERT_TRUE(run("tc qdisc show dev t0 | grep -q clsact"));
  std::vector<ClsactFilter> filters;
  TcxPrograms programs;
  std::string reason;
  TEST_ASSERT_EQUAL_INT(0,
                        Clsact::open(&reason)->list(index_of("t0"), FenceHook::Ingress, &filters));
  if (place == FencePlace::Tcx) {
    TEST_ASSERT_EQUAL_INT(0, tcx_query(index_of("t0"), FenceHook::Ingress, &programs));
  }
  TEST_ASSERT_EQUAL_INT(1, filters.size() + programs.ids.size());
}

// clsact came with us; by now somebody else has a filter there.
void test_clsact_stays_for_others() {
  NEEDS_ROOT;
  if (!is_fleeting) TEST_IGNORE_MESSAGE("of clsact only");
  TEST_ASSERT_EQUAL_STRING("attached", attach("t0"));
  TEST_ASSERT_TRUE(run("tc filter add dev t0 egress prio 9 protocol ip bpf bytecode '1,6 0 0 0'"));
  TEST_ASSERT_TRUE(fence->detach(index_of("t0")));
  TEST_ASSERT_TRUE(run("tc filter show dev t0 egress | grep -q 'pref 9'"));
}

void test_nothing_is_left_by_a_clean_stop() {
  NEEDS_ROOT;
  TEST_ASSERT_EQUAL_STRING("attached", attach("t0"));
  TEST_ASSERT_EQUAL_STRING("attached", attach("t0"));
  TEST_ASSERT_TRUE(fence->detach(index_of("t0")));
  TEST_ASSERT_TRUE(fence->detach(index_of("t0")));
  TEST_ASSERT_FALSE(run("tc qdisc show dev t0 | grep -q clsact"));
  fence->memory().close();
  TEST_ASSERT_EQUAL_STRING("NEne", vips());
}

void test_a_link_that_goes_and_comes() {
  NEEDS_ROOT;
  TEST_ASSERT_EQUAL_STRING("attached", attach("t0"));
  TEST_ASSERT_TRUE(run("ip link set t0 name t9"));
  TEST_ASSERT_EQUAL_STRING("first", first("t9"));
  TEST_ASSERT_TRUE(run("ip link del t9"));
  TEST_ASSERT_TRUE(fence->detach(9999));
  std::string reason;
  TEST_ASSERT_FALSE(fence->attach(9999, is_fleeting, &reason));
  TEST_ASSERT_FALSE(reason.empty());
  TEST_ASSERT_FALSE(fence->is_first(9999, &reason));
  lan.reset();
  TEST_ASSERT_TRUE(make_host());
  TEST_ASSERT_EQUAL_STRING("removed", first("t0"));
  TEST_ASSERT_EQUAL_STRING("attached", attach("t0"));
}

// The parent answers in full for an address that is on the macvlan, and the other way round.
void test_a_macvlan_and_its_parent() {
  NEEDS_ROOT;
  if (!run("ip link add m0 link t0 type macvlan mode bridge 2>/dev/null")) {
    TEST_IGNORE_MESSAGE("no macvlan in this kernel");
  }
  TEST_ASSERT_TRUE(
      run("ip link set m0 up && ip addr del 192.0.2.15/32 dev t0 && "
          "ip addr add 192.0.2.15/32 dev m0"));
  TEST_ASSERT_EQUAL_STRING("attached", attach("m0"));
  fence->memory().close();
  TEST_ASSERT_TRUE(asker->is_answered(kVip, Asker::How::Neighbour));
  TEST_ASSERT_EQUAL_STRING("attached", attach("t0"));
  TEST_ASSERT_FALSE(asker->is_answered(kVip, Asker::How::Neighbour));
}

// The neighbour's tag is in the frame; the kernel takes it out before the hooks see it.
void test_a_vlan() {
  NEEDS_ROOT;
  if (!run("ip link add link t0 name t0.10 type vlan id 10 2>/dev/null")) {
    TEST_IGNORE_MESSAGE("no VLAN in this kernel");
  }
  TEST_ASSERT_TRUE(lan->ip("link add link t1 name t1.10 type vlan id 10"));
  TEST_ASSERT_TRUE(lan->ip("link set t1.10 up") && run("ip link set t0.10 up"));
  TEST_ASSERT_TRUE(run("ip addr del 192.0.2.15/32 dev t0 && ip addr add 192.0.2.15/32 dev t0.10"));
  Asker tagged(lan->raw_socket("t1.10", ETH_P_ALL), "t0.10", kHostMac, *Address::parse("192.0.2.9"),
               *Address::parse("2001:db8::9"));
  for (const char* link : {"t0", "t0.10"}) {
    TEST_ASSERT_EQUAL_STRING("attached", attach(link));
    set_deadline(MonoTime::never());
    TEST_ASSERT_TRUE(tagged.is_answered(kVip, Asker::How::Neighbour));
    fence->memory().close();
    TEST_ASSERT_FALSE(tagged.is_answered(kVip, Asker::How::Neighbour));
    TEST_ASSERT_TRUE(fence->detach(index_of(link)));
  }
}

// Somebody else's program at tcx of any link, even behind ours, and all are to go there: each
// stays where it is until it is attached again, and is whole meanwhile.
void test_the_move_to_tcx() {
  NEEDS_ROOT;
  TEST_ASSERT_TRUE(run("ip link add t5 type veth peer name t6"));
  TEST_ASSERT_EQUAL_STRING("attached", attach("t0"));
  TEST_ASSERT_EQUAL_STRING("clsact", hooks->kind());
  TEST_ASSERT_EQUAL_INT(0, programs_at("t0"));
  is_fleeting = false;
  TEST_ASSERT_EQUAL_STRING("attached", attach("t5"));
  is_fleeting = true;
  TEST_ASSERT_EQUAL_INT(2, programs_at("t5"));
  TEST_ASSERT_EQUAL_INT(0, filters_at("t5"));
  TEST_ASSERT_FALSE(hooks->is_tcx_shared());

  const sys::Fd foreign = foreign_program();
  TEST_ASSERT_TRUE(run("ip link add t7 type veth peer name t8"));
  TEST_ASSERT_EQUAL_STRING("attached", attach("t7"));
  TEST_ASSERT_EQUAL_INT(0, tcx_attach_first(index_of("t7"), FenceHook::Egress, foreign.get()));
  TEST_ASSERT_EQUAL_STRING("first", first("t5"));
  TEST_ASSERT_EQUAL_STRING("bypassed by another filter", first("t7"));
  TEST_ASSERT_TRUE(hooks->is_tcx_shared());
  fence->memory().close();
  TEST_ASSERT_EQUAL_STRING("first", first("t0"));
  TEST_ASSERT_EQUAL_STRING("....", vips());
  for (const char* link : {"t7", "t0", "t5"}) {
    TEST_ASSERT_EQUAL_STRING("attached", attach(link));
    TEST_ASSERT_EQUAL_STRING("first", first(link));
    TEST_ASSERT_EQUAL_INT(link == std::string("t7") ? 3 : 2, programs_at(link));
    TEST_ASSERT_EQUAL_INT(0, filters_at(link));
    TEST_ASSERT_EQUAL_STRING("....", vips());
  }
  TEST_ASSERT_FALSE(run("tc qdisc show dev t0 | grep -q clsact"));
  TEST_ASSERT_EQUAL_STRING("tcx", hooks->kind());
  TEST_ASSERT_TRUE(run("ip link del t5 && ip link del t7"));
}

void test_where_clsact_cannot_be_had_tcx_is_taken() {
  NEEDS_ROOT;
  TEST_ASSERT_TRUE(run("tc qdisc add dev t0 ingress"));
  TEST_ASSERT_EQUAL_STRING("attached", attach("t0"));
  fence->memory().close();
  TEST_ASSERT_EQUAL_STRING("....", vips());
  TEST_ASSERT_EQUAL_STRING("tcx", hooks->kind());
}

void test_the_qdisc_that_is_deleted() {
  NEEDS_ROOT;
  TEST_ASSERT_EQUAL_STRING("attached", attach("t0"));
  turns();
  changed.clear();
  TEST_ASSERT_TRUE(run("tc qdisc del dev t0 clsact"));
  turns();
  TEST_ASSERT_TRUE(changed.count(index_of("t0")) > 0);
  TEST_ASSERT_EQUAL_STRING("removed", first("t0"));
  TEST_ASSERT_TRUE(fence->detach(index_of("t0")));
  TEST_ASSERT_EQUAL_STRING("attached", attach("t0"));
}

void test_a_first_place_that_cannot_be_had() {
  NEEDS_ROOT;
  if (!run("tc qdisc add dev t0 ingress")) TEST_IGNORE_MESSAGE("no ingress qdisc");
  TEST_ASSERT_EQUAL_STRING("a qdisc of another kind has the place of clsact", attach("t0"));
  TEST_ASSERT_TRUE(run("tc qdisc del dev t0 ingress && tc qdisc add dev t0 clsact"));
  // In classic BPF: "no match".
  TEST_ASSERT_TRUE(run("tc filter add dev t0 ingress prio 1 protocol ip bpf bytecode '1,6 0 0 0'"));
  TEST_ASSERT_EQUAL_STRING("another filter has the first place", attach("t0"));
}

// Those of other chains are asked by a filter only; those of lower priority come after.
void test_other_filters_do_not_count() {
  NEEDS_ROOT;
  TEST_ASSERT_TRUE(run("tc qdisc add dev t0 clsact"));
  for (const char* where : {"chain 7 prio 1", "prio 2"}) {
    TEST_ASSERT_TRUE(run(std::string("tc filter add dev t0 ingress ") + where +
                         " protocol ip bpf bytecode '1,6 0 0 0'"));
  }
  TEST_ASSERT_EQUAL_STRING("attached", attach("t0"));
  TEST_ASSERT_EQUAL_STRING("first", first("t0"));
  fence->memory().close();
  TEST_ASSERT_EQUAL_STRING("....", vips());
}

void at_this_place() {
  RUN_TEST(test_open_it_answers_and_closed_it_is_silent);
  RUN_TEST(test_closed_by_a_suspension);
  RUN_TEST(test_the_deadline_is_exact);
  RUN_TEST(test_a_filter_in_front_is_noticed_and_overtaken);
  RUN_TEST(test_filters_of_others_come_after_and_live);
  RUN_TEST(test_clsact_stays_for_others);
  RUN_TEST(test_nothing_is_left_by_a_clean_stop);
  RUN_TEST(test_a_link_that_goes_and_comes);
  RUN_TEST(test_a_macvlan_and_its_parent);
  RUN_TEST(test_a_vlan);
}

}  // namespace

int main() {
  UNITY_BEGIN();
  is_isolated = unshare(CLONE_NEWNET) == 0;
  had = FenceHooks::best_place() == FencePlace::Tcx ? "tcx" : "clsact";
  at_each_place(at_this_place);
  place = FencePlace::Clsact;
  RUN_TEST(test_the_qdisc_that_is_deleted);
  RUN_TEST(test_a_first_place_that_cannot_be_had);
  RUN_TEST(test_other_filters_do_not_count);
  if (had == "tcx") {
    place = FencePlace::Tcx;
    is_fleeting = true;
    RUN_TEST(test_the_move_to_tcx);
    RUN_TEST(test_the_qdisc_that_is_deleted);
    RUN_TEST(test_where_clsact_cannot_be_had_tcx_is_taken);
  }
  return UNITY_END();
}
