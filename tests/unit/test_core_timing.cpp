#include "core/timing.hpp"

#include "harness.hpp"

using namespace vipd;
using timing::lifetime_s;

static constexpr Duration ms(int64_t n) {
  return Duration::milliseconds(n);
}

// The kernel ends a lifetime up to 1.25 s late, so no remaining time may give one that could
// outlive it.
static void no_lifetime_outlives_the_deadline() {
  for (int64_t left = 0; left < 70'000; left++) {
    const int lifetime = lifetime_s(ms(left));
    TEST_ASSERT_TRUE(lifetime >= 0 && lifetime <= 14);
    if (lifetime == 0) continue;
    TEST_ASSERT_TRUE(Duration::seconds(lifetime) + timing::kKernelLateness <= ms(left));
  }
}

static void a_lifetime_is_the_longest_that_fits() {
  TEST_ASSERT_EQUAL_INT(0, lifetime_s(ms(2299)));
  TEST_ASSERT_EQUAL_INT(1, lifetime_s(ms(2300)));
  TEST_ASSERT_EQUAL_INT(3, lifetime_s(ms(5000)));
  TEST_ASSERT_EQUAL_INT(14, lifetime_s(ms(60'000)));
  TEST_ASSERT_EQUAL_INT(0, lifetime_s(ms(-5)));
}

// Renewing without news must end: the next renewal is earlier than now only when it gains nothing.
static void an_owner_that_hears_nothing_keeps_the_address_until_1_3_s_before_the_deadline() {
  for (const int64_t timeout : {3000, 5000, 20'000, 60'000}) {
    Duration left = ms(timeout);
    Duration ends = left;  // what is left when the kernel's lifetime is over
    for (int i = 0; i < 100; i++) {
      const int lifetime = lifetime_s(left);
      TEST_ASSERT_TRUE(lifetime > 0);
      TEST_ASSERT_TRUE(ends <= left);  // renewed before it ran out
      ends = left - Duration::seconds(lifetime);
      const Duration next = timing::renew_at_remaining(left, lifetime);
      if (next >= left) break;
      left = next;
      ends = std::min(ends, left);
    }
    TEST_ASSERT_TRUE(ends >= ms(1300) && ends <= ms(1330));
  }
}

static void drift_is_rounded_up() {
  TEST_ASSERT_TRUE(timing::with_drift(ms(5000)) > ms(5005));
  TEST_ASSERT_TRUE(timing::with_drift(ms(5000)) < ms(5006));
}

static void a_standby_that_beats_always_has_the_authority_to_install() {
  for (const int64_t timeout : {3000, 5000, 10'000, 60'000}) {
    const Duration heartbeat = std::min(ms(timeout) / 8, ms(1000));
    const Duration interval = timing::standby_interval(ms(timeout), heartbeat);
    const Duration slack = ms(timeout) - interval - timing::kLeastAuthority;
    TEST_ASSERT_TRUE(slack >= ms(100));
    TEST_ASSERT_TRUE(interval >= heartbeat);
  }
}

static void several_attempts_fit_into_the_fence() {
  for (const int64_t timeout : {3000, 5000, 60'000}) {
    TEST_ASSERT_TRUE(timing::hedge_after(ms(timeout)) * 3 < ms(timeout) - timing::kLeastAuthority);
    TEST_ASSERT_TRUE(timing::request_timeout(ms(timeout)) * 3 <= ms(timeout));
  }
}

int main() {
  UNITY_BEGIN();
  RUN_TEST(no_lifetime_outlives_the_deadline);
  RUN_TEST(a_lifetime_is_the_longest_that_fits);
  RUN_TEST(an_owner_that_hears_nothing_keeps_the_address_until_1_3_s_before_the_deadline);
  RUN_TEST(drift_is_rounded_up);
  RUN_TEST(a_standby_that_beats_always_has_the_authority_to_install);
  RUN_TEST(several_attempts_fit_into_the_fence);
  return UNITY_END();
}
