// The log writes to descriptor 2: each test puts a pipe or a file of its own there.
#include "vipd/log.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <string>
#include <vector>

#include "harness.hpp"
#include "sys/fd.hpp"
#include "sys/log_repeats.hpp"
#include "sys/wall_clock.hpp"

using namespace vipd;

namespace {

sys::Fd reader;
sys::Fd real_stderr;

std::string written() {
  char buffer[65536];
  const ssize_t size = read(reader.get(), buffer, sizeof buffer);
  return {buffer, size > 0 ? static_cast<size_t>(size) : 0};
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// '9' in the pattern stands for any digit.
bool matches(const std::string& text, const std::string& pattern) {
  if (text.size() != pattern.size()) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool good = pattern[i] == '9' ? is_digit(text[i]) : text[i] == pattern[i];
    if (!good) return false;
  }
  return true;
}

constexpr size_t kTimeAndLevel = 31;  // "2026-01-31T12:00:00.123Z info  "

std::string text_of(const std::string& line) {
  return line.substr(kTimeAndLevel);
}

}  // namespace

void setUp() {
  int ends[2] = {-1, -1};
  TEST_ASSERT_EQUAL_INT(0, pipe2(ends, O_CLOEXEC));
  reader.reset(ends[0]);
  fcntl(reader.get(), F_SETFL, O_NONBLOCK);
  fcntl(reader.get(), F_SETPIPE_SZ, 16384);
  real_stderr.reset(dup(STDERR_FILENO));
  dup2(ends[1], STDERR_FILENO);
  close(ends[1]);
  log::open(log::Target::Stderr, log::Level::Info);
  alarm(20);  // a log that blocks must not hang the tests
}

void tearDown() {
  dup2(real_stderr.get(), STDERR_FILENO);
  alarm(0);
}

namespace {

void test_a_line_has_time_level_and_text() {
  log::info("vip %s: %s", "api", "standby -> owner");
  const std::string line = written();
  TEST_ASSERT_TRUE(matches(line, "9999-99-99T99:99:99.999Z info  vip api: standby -> owner\n"));
}

void test_levels_have_names_of_one_width() {
  log::set_level(log::Level::Debug);
  log::error("x");
  TEST_ASSERT_TRUE(matches(written(), "9999-99-99T99:99:99.999Z error x\n"));
  log::warn("x");
  TEST_ASSERT_TRUE(matches(written(), "9999-99-99T99:99:99.999Z warn  x\n"));
  log::debug("x");
  TEST_ASSERT_TRUE(matches(written(), "9999-99-99T99:99:99.999Z debug x\n"));
}

void test_the_level_filters() {
  log::debug("too much");
  TEST_ASSERT_EQUAL_STRING("", written());
  log::open(log::Target::Stderr, log::Level::Error);
  log::warn("too much");
  TEST_ASSERT_EQUAL_STRING("", written());
  TEST_ASSERT_TRUE(log::level() == log::Level::Error);
  log::error("wanted");
  TEST_ASSERT_EQUAL_STRING("wanted\n", text_of(written()));
}

void test_an_event_stays_one_line() {
  log::info("%s", "a\nb\r\n\x1b[31mc\x7f");
  TEST_ASSERT_EQUAL_STRING("a b   [31mc \n", text_of(written()));
  log::info("gr\xc3\xbc\xc3\x9f");
  TEST_ASSERT_EQUAL_STRING("gr\xc3\xbc\xc3\x9f\n", text_of(written()));
}

void test_a_long_line_is_cut() {
  const std::string text(5000, 'x');
  log::info("%s", text.c_str());
  const std::string line = text_of(written());
  TEST_ASSERT_EQUAL_INT(901, line.size());
  TEST_ASSERT_EQUAL_STRING("x...\n", line.substr(line.size() - 5));
  log::info("%s", text.substr(0, 900).c_str());
  TEST_ASSERT_EQUAL_STRING(text.substr(0, 900) + "\n", text_of(written()));
}

void test_errno_is_left_alone() {
  errno = EBADMSG;
  log::info("x");
  TEST_ASSERT_EQUAL_INT(EBADMSG, errno);
}

void test_a_full_pipe_drops_and_counts() {
  for (int i = 0; i < 200; ++i) log::info("line %d %s", i, std::string(80, '.').c_str());
  const std::string first = written();
  size_t lines = 0;
  for (const char c : first) lines += c == '\n';
  TEST_ASSERT_TRUE(lines > 10 && lines < 200);
  TEST_ASSERT_EQUAL_STRING("\n", first.substr(first.size() - 1));
  log::info("after");
  const std::string rest = written();
  const size_t end = rest.find('\n');
  TEST_ASSERT_EQUAL_STRING(
      "log: lines lost because nobody took them: " + std::to_string(200 - lines),
      text_of(rest.substr(0, end)));
  TEST_ASSERT_EQUAL_STRING("after\n", text_of(rest.substr(end + 1)));
  log::info("again");
  TEST_ASSERT_EQUAL_STRING("again\n", text_of(written()));
}

// SIGPIPE has its default action here: a write would end the test program.
void test_a_pipe_without_reader_is_no_harm() {
  reader.reset();
  log::info("nobody reads this");
  TEST_ASSERT_TRUE(true);
}

void test_inherited_descriptor_keeps_its_flags() {
  log::info("x");
  TEST_ASSERT_EQUAL_INT(0, fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK);
}

void test_rfc3339() {
  TEST_ASSERT_EQUAL_STRING("2026-01-31T12:00:00.123Z", sys::rfc3339_text({1769860800, 123999999}));
  TEST_ASSERT_EQUAL_STRING("1970-01-01T00:00:00.000Z", sys::rfc3339_text({0, 0}));
  TEST_ASSERT_EQUAL_STRING("2024-02-29T23:59:59.999Z", sys::rfc3339_text({1709251199, 999000000}));
}

void test_kmsg() {
  const sys::Fd kmsg(open("/dev/kmsg", O_RDWR | O_NONBLOCK | O_CLOEXEC));
  if (!kmsg.is_open()) TEST_IGNORE_MESSAGE("needs to read and write /dev/kmsg");
  lseek(kmsg.get(), 0, SEEK_END);
  log::open(log::Target::Kmsg, log::Level::Info);
  log::warn("unit test of the log, %d", getpid());
  const std::string wanted = "vipd: unit test of the log, " + std::to_string(getpid());
  char record[2048];
  ssize_t size;
  while ((size = read(kmsg.get(), record, sizeof record)) > 0) {
    const std::string text(record, static_cast<size_t>(size));
    if (text.find(wanted) == std::string::npos) continue;
    TEST_ASSERT_EQUAL_STRING("28,", text.substr(0, 3));  // LOG_DAEMON | LOG_WARNING
    return;
  }
  TEST_FAIL_MESSAGE("the line is not in the kernel's log");
}

sys::Fd bind_dev_log() {
  sys::Fd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const sockaddr_un at = {AF_UNIX, "/dev/log"};
  unlink("/dev/log");
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at) < 0) fd.reset();
  return fd;
}

std::string received(const sys::Fd& fd) {
  char buffer[2048];
  const ssize_t size = recv(fd.get(), buffer, sizeof buffer, 0);
  return {buffer, size > 0 ? static_cast<size_t>(size) : 0};
}

// With a /dev of its own. The last test: it cannot be undone.
void test_syslog() {
  if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", "", MS_REC | MS_PRIVATE, nullptr) != 0 ||
      mount("none", "/dev", "tmpfs", 0, "size=64k") != 0) {
    TEST_IGNORE_MESSAGE("needs root: a /dev of its own");
  }
  log::open(log::Target::Syslog, log::Level::Info);
  log::info("no logger yet");
  sys::Fd logger = bind_dev_log();
  TEST_ASSERT_TRUE(logger.is_open());
  log::error("one");
  TEST_ASSERT_TRUE(received(logger).find("log: lines lost because nobody took them: 1") !=
                   std::string::npos);
  const std::string line = received(logger);
  TEST_ASSERT_EQUAL_STRING("<27>", line.substr(0, 4));  // LOG_DAEMON | LOG_ERR
  TEST_ASSERT_EQUAL_STRING(" vipd[" + std::to_string(getpid()) + "]: one", line.substr(19));
  logger = bind_dev_log();  // restarted
  log::info("two");
  TEST_ASSERT_TRUE(received(logger).find("]: two") != std::string::npos);
  for (int i = 0; i < 10'000; ++i) log::info("a logger that is stopped %d", i);
  TEST_ASSERT_FALSE(received(logger).empty());
}

// --- messages that come again

using Lines = std::vector<std::string>;

log::Repeats::Write into(Lines* lines) {
  return [lines](log::Level, const std::string& text) { lines->push_back(text); };
}

void test_repeated_messages_are_counted() {
  log::Repeats repeats;
  Lines lines;
  int written_at_once = 0;
  for (int i = 0; i < 15; ++i) {
    written_at_once += repeats.admit(1000 * i, log::Level::Warn, "again", into(&lines));
    written_at_once += repeats.admit(1000 * i, log::Level::Debug, "debug", into(&lines));
    TEST_ASSERT_TRUE(repeats.admit(1000 * i, log::Level::Warn, std::to_string(i), into(&lines)));
  }
  TEST_ASSERT_EQUAL_INT(3 + 15, written_at_once);
  TEST_ASSERT_EQUAL_INT(0, lines.size());
  repeats.tell(59'999, false, into(&lines));
  TEST_ASSERT_EQUAL_INT(0, lines.size());
  repeats.tell(60'000, false, into(&lines));
  TEST_ASSERT_EQUAL_INT(1, lines.size());
  TEST_ASSERT_EQUAL_STRING("12 more times: again", lines[0]);
  TEST_ASSERT_TRUE(repeats.admit(60'001, log::Level::Warn, "again", into(&lines)));
}

void test_the_same_text_at_another_level_is_another_message() {
  log::Repeats repeats;
  Lines lines;
  for (int i = 0; i < 3; ++i) {
    TEST_ASSERT_TRUE(repeats.admit(0, log::Level::Warn, "x", into(&lines)));
    TEST_ASSERT_TRUE(repeats.admit(0, log::Level::Error, "x", into(&lines)));
  }
  TEST_ASSERT_FALSE(repeats.admit(0, log::Level::Error, "x", into(&lines)));
}

void test_counts_are_told_when_room_is_needed_or_at_the_end() {
  log::Repeats repeats;
  Lines lines;
  for (int i = 0; i < 5; ++i) (void)repeats.admit(0, log::Level::Info, "first", into(&lines));
  for (int i = 0; i < 16; ++i) {
    (void)repeats.admit(i, log::Level::Info, std::to_string(i), into(&lines));
  }
  TEST_ASSERT_EQUAL_INT(1, lines.size());
  TEST_ASSERT_EQUAL_STRING("2 more times: first", lines[0]);
  for (int i = 0; i < 4; ++i) (void)repeats.admit(20, log::Level::Info, "last", into(&lines));
  repeats.tell(21, true, into(&lines));
  TEST_ASSERT_EQUAL_STRING("once more: last", lines.back());
  TEST_ASSERT_TRUE(repeats.admit(22, log::Level::Info, "last", into(&lines)));
}

void test_the_log_counts_what_is_repeated() {
  log::info("what other tests left is told first");
  (void)written();
  for (int i = 0; i < 5; ++i) log::info("the same");
  std::string all = written();
  TEST_ASSERT_EQUAL_INT(3, std::count(all.begin(), all.end(), '\n'));
  log::forget_repeats();
  TEST_ASSERT_EQUAL_STRING("2 more times: the same\n", text_of(written()));
}

}  // namespace

int main() {
  UNITY_BEGIN();
  RUN_TEST(test_a_line_has_time_level_and_text);
  RUN_TEST(test_levels_have_names_of_one_width);
  RUN_TEST(test_the_level_filters);
  RUN_TEST(test_an_event_stays_one_line);
  RUN_TEST(test_a_long_line_is_cut);
  RUN_TEST(test_errno_is_left_alone);
  RUN_TEST(test_a_full_pipe_drops_and_counts);
  RUN_TEST(test_a_pipe_without_reader_is_no_harm);
  RUN_TEST(test_inherited_descriptor_keeps_its_flags);
  RUN_TEST(test_rfc3339);
  RUN_TEST(test_kmsg);
  RUN_TEST(test_syslog);
  RUN_TEST(test_repeated_messages_are_counted);
  RUN_TEST(test_the_same_text_at_another_level_is_another_message);
  RUN_TEST(test_counts_are_told_when_room_is_needed_or_at_the_end);
  RUN_TEST(test_the_log_counts_what_is_repeated);
  return UNITY_END();
}
