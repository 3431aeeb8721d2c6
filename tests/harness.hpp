// A unit test harness in the manner of Unity: asserts, one line a test, one line of totals.
// A failed assert returns from the test function that it stands in. It never throws, never forks.
//
//   static void adds() { TEST_ASSERT_EQUAL_INT(4, add(2, 2)); }
//   int main() {
//     UNITY_BEGIN();
//     RUN_TEST(adds);
//     return UNITY_END();
//   }
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>

// Called before and after every test; a test file may define its own.
[[gnu::weak]] void setUp();
[[gnu::weak]] void tearDown();

namespace harness {

struct Run {
  const char* file = "";
  const char* test = "";
  bool failed = false;   // the test that runs now
  bool ignored = false;  // the test that runs now
  int tests = 0;
  int failures = 0;
  int ignores = 0;
};

inline Run run;

inline void report(int line, const char* result, const std::string& reason) {
  std::printf("%s:%d:%s:%s%s%s\n", run.file, line, run.test, result, reason.empty() ? "" : ": ",
              reason.c_str());
  std::fflush(stdout);  // what was said before a crash must not be lost
}

// Both return whether the test goes on, so that an assert is one `if`.
inline bool check(bool good, int line, const std::string& reason) {
  if (good) return true;
  run.failed = true;
  report(line, "FAIL", reason);
  return false;
}

inline void ignore(int line, const std::string& reason) {
  run.ignored = true;
  report(line, "IGNORE", reason);
}

template <typename T>
std::string differ(const T& expected, const T& actual) {
  return "Expected " + std::to_string(expected) + " Was " + std::to_string(actual);
}

inline std::string differ(std::string_view expected, std::string_view actual) {
  return "Expected '" + std::string(expected) + "' Was '" + std::string(actual) + "'";
}

template <typename T>
bool equal(T expected, T actual, int line) {
  return expected == actual || check(false, line, differ(expected, actual));
}

inline bool equal_memory(const void* expected, const void* actual, std::size_t size, int line) {
  const auto* want = static_cast<const unsigned char*>(expected);
  const auto* have = static_cast<const unsigned char*>(actual);
  for (std::size_t i = 0; i < size; ++i) {
    if (want[i] == have[i]) continue;
    char reason[80];
    std::snprintf(reason, sizeof reason, "Byte %zu Expected 0x%02X Was 0x%02X", i, want[i],
                  have[i]);
    return check(false, line, reason);
  }
  return true;
}

inline void run_test(void (*test)(), const char* name, int line) {
  run.test = name;
  run.failed = run.ignored = false;
  ++run.tests;
  if (setUp != nullptr) setUp();
  if (!run.failed && !run.ignored) test();
  if (tearDown != nullptr) tearDown();
  if (run.failed) {
    ++run.failures;
  } else if (run.ignored) {
    ++run.ignores;
  } else {
    report(line, "PASS", "");
  }
}

inline void begin(const char* file) {
  run = Run{};
  run.file = file;
}

inline int end() {
  std::printf("-----------------------\n%d Tests %d Failures %d Ignored\n", run.tests, run.failures,
              run.ignores);
  return run.failures == 0 ? 0 : 1;
}

}  // namespace harness

#define TEST_ASSERT_(good) \
  do {                     \
    if (!(good)) return;   \
  } while (0)
#define TEST_EQUAL_(type, expected, actual) \
  TEST_ASSERT_(harness::equal<type>((type)(expected), (type)(actual), __LINE__))

#define TEST_ASSERT_MESSAGE(good, message) \
  TEST_ASSERT_(harness::check(static_cast<bool>(good), __LINE__, message))
#define TEST_ASSERT_TRUE(value) TEST_ASSERT_MESSAGE(value, "Expected TRUE Was FALSE: " #value)
#define TEST_ASSERT_FALSE(value) TEST_ASSERT_MESSAGE(!(value), "Expected FALSE Was TRUE: " #value)
#define TEST_ASSERT_NULL(value) TEST_ASSERT_MESSAGE((value) == nullptr, "Expected NULL: " #value)
#define TEST_ASSERT_NOT_NULL(value) \
  TEST_ASSERT_MESSAGE((value) != nullptr, "Expected Non-NULL: " #value)
#define TEST_ASSERT_EQUAL_INT(expected, actual) TEST_EQUAL_(std::int64_t, expected, actual)
#define TEST_ASSERT_EQUAL_UINT64(expected, actual) TEST_EQUAL_(std::uint64_t, expected, actual)
#define TEST_ASSERT_EQUAL_STRING(expected, actual) TEST_EQUAL_(std::string_view, expected, actual)
#define TEST_ASSERT_EQUAL_MEMORY(expected, actual, size) \
  TEST_ASSERT_(harness::equal_memory(expected, actual, size, __LINE__))
#define TEST_FAIL_MESSAGE(message) TEST_ASSERT_MESSAGE(false, message)
#define TEST_IGNORE_MESSAGE(message)      \
  do {                                    \
    harness::ignore(__LINE__, (message)); \
    return;                               \
  } while (0)

#define UNITY_BEGIN() harness::begin(__FILE__)
#define RUN_TEST(test) harness::run_test(test, #test, __LINE__)
#define UNITY_END() harness::end()
