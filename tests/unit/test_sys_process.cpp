// What touches the process as a whole: the background, supervisors, descriptors, random numbers.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <string>

#include "harness.hpp"
#include "sys/background.hpp"
#include "sys/fd.hpp"
#include "sys/notify.hpp"
#include "sys/program.hpp"
#include "sys/random.hpp"

using namespace vipd::sys;

void setUp() {
  alarm(20);  // whatever waits for ever here fails instead
}

void tearDown() {
  alarm(0);
  for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}) unsetenv(name);
}

namespace {

// --- descriptors

bool is_open(int fd) {
  return fcntl(fd, F_GETFD) >= 0;
}

void test_fd_closes_once_and_moves() {
  int raw = -1;
  {
    Fd first(open("/dev/null", O_RDONLY | O_CLOEXEC));
    raw = first.get();
    Fd second(std::move(first));
    TEST_ASSERT_TRUE(second.is_open());
    Fd third;
    third = std::move(second);
    TEST_ASSERT_EQUAL_INT(raw, third.get());
    TEST_ASSERT_TRUE(is_open(raw));
  }
  TEST_ASSERT_FALSE(is_open(raw));
}

void test_fd_release_and_reset() {
  Fd fd(open("/dev/null", O_RDONLY | O_CLOEXEC));
  const int raw = fd.release();
  TEST_ASSERT_FALSE(fd.is_open());
  TEST_ASSERT_TRUE(is_open(raw));
  fd.reset(raw);
  fd.reset();
  TEST_ASSERT_FALSE(is_open(raw));
}

// --- background

// Runs the function in a forked process, as the shell would start the daemon; its exit status.
template <typename Function>
int status_of(Function function) {
  const pid_t child = fork();
  if (child == 0) {
    function();
    _exit(99);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

Background started() {
  Background background;
  std::string reason;
  if (!background.start(&reason)) _exit(98);
  return background;
}

struct Pipe {
  Fd read_end;
  Fd write_end;
  Pipe() {
    int ends[2] = {-1, -1};
    if (pipe2(ends, O_CLOEXEC) != 0) abort();
    read_end.reset(ends[0]);
    write_end.reset(ends[1]);
  }
  // What was written until every writer is gone.
  std::string all() {
    write_end.reset();
    std::string text;
    char c;
    while (read(read_end.get(), &c, 1) == 1) text += c;
    return text;
  }
};

void test_command_returns_when_the_daemon_is_ready() {
  Pipe pipe;
  const int status = status_of([&] {
    Background background = started();
    if (write(pipe.write_end.get(), "1", 1) != 1) _exit(97);
    background.ready();
    background.ready();
    usleep(100'000);
    _exit(write(pipe.write_end.get(), "2", 1) == 1 ? 5 : 6);
  });
  TEST_ASSERT_EQUAL_INT(0, status);
  // Only the first step was done when the command returned; the daemon goes on to the second.
  fcntl(pipe.read_end.get(), F_SETFL, O_NONBLOCK);
  char text[8];
  TEST_ASSERT_EQUAL_INT(1, read(pipe.read_end.get(), text, sizeof text));
  fcntl(pipe.read_end.get(), F_SETFL, 0);
  TEST_ASSERT_EQUAL_STRING("2", pipe.all());
}

void test_command_returns_the_status_of_a_failed_start() {
  TEST_ASSERT_EQUAL_INT(2, status_of([] {
                          const Background background = started();
                          _exit(2);
                        }));
  TEST_ASSERT_EQUAL_INT(1, status_of([] {
                          const Background background = started();
                          raise(SIGKILL);
                        }));
}

void test_daemon_has_a_session_and_no_terminal() {
  Pipe pipe;
  const int status = status_of([&] {
    Background background = started();
    const bool before = getsid(0) != getpid();
    background.ready();
    struct stat null {};
    struct stat out {};
    struct stat error {};
    stat("/dev/null", &null);
    fstat(STDOUT_FILENO, &out);
    fstat(STDERR_FILENO, &error);
    const bool good = before && getsid(0) == getpid() && out.st_rdev == null.st_rdev &&
                      error.st_rdev == null.st_rdev;
    _exit(write(pipe.write_end.get(), good ? "y" : "n", 1) == 1 ? 0 : 1);
  });
  TEST_ASSERT_EQUAL_INT(0, status);
  TEST_ASSERT_EQUAL_STRING("y", pipe.all());
}

void test_in_the_foreground_ready_does_nothing() {
  Background background;
  const pid_t session = getsid(0);
  background.ready();
  TEST_ASSERT_EQUAL_INT(session, getsid(0));
}

void test_closed_standard_descriptors_are_filled() {
  const int status = status_of([] {
    close(STDIN_FILENO);
    close(STDERR_FILENO);
    fill_standard_descriptors();
    const Fd next(open("/dev/null", O_RDONLY | O_CLOEXEC));
    _exit(is_open(0) && is_open(1) && is_open(2) && next.get() > 2 ? 7 : 8);
  });
  TEST_ASSERT_EQUAL_INT(7, status);
}

void test_daemon_started_with_closed_descriptors_keeps_them_filled() {
  Pipe pipe;
  const int status = status_of([&] {
    close(STDIN_FILENO);
    Background background = started();
    background.ready();
    const bool good = is_open(0) && (fcntl(0, F_GETFD) & FD_CLOEXEC) == 0;
    _exit(write(pipe.write_end.get(), good ? "y" : "n", 1) == 1 ? 0 : 1);
  });
  TEST_ASSERT_EQUAL_INT(0, status);
  TEST_ASSERT_EQUAL_STRING("y", pipe.all());
}

// --- supervisors

Fd listen_at(const std::string& name) {
  Fd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  sockaddr_un at{};
  at.sun_family = AF_UNIX;
  name.copy(at.sun_path, sizeof at.sun_path - 1);
  if (name[0] == '@') at.sun_path[0] = '\0';
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&at), size) < 0) fd.reset();
  return fd;
}

std::string received(const Fd& fd) {
  char buffer[1024];
  const ssize_t size = recv(fd.get(), buffer, sizeof buffer, 0);
  return {buffer, size > 0 ? static_cast<size_t>(size) : 0};
}

void test_notify_says_each_state() {
  const std::string name = "@vipd-unit-" + std::to_string(getpid());
  const Fd listener = listen_at(name);
  TEST_ASSERT_TRUE(listener.is_open());
  setenv("NOTIFY_SOCKET", name.c_str(), 1);
  Notify notify = Notify::from_environment();
  TEST_ASSERT_NULL(getenv("NOTIFY_SOCKET"));
  notify.ready();
  TEST_ASSERT_EQUAL_STRING("READY=1", received(listener));
  notify.status("owner of api\nSTOPPING=1");
  TEST_ASSERT_EQUAL_STRING("STATUS=owner of api STOPPING=1", received(listener));
  notify.reloading();
  const std::string reloading = received(listener);
  TEST_ASSERT_EQUAL_STRING("RELOADING=1\nMONOTONIC_USEC=", reloading.substr(0, 27));
  TEST_ASSERT_TRUE(strtoull(reloading.c_str() + 27, nullptr, 10) > 0);
  notify.stopping();
  TEST_ASSERT_EQUAL_STRING("STOPPING=1", received(listener));
}

void test_notify_by_path() {
  char folder[] = "/tmp/vipd-unit-XXXXXX";
  TEST_ASSERT_NOT_NULL(mkdtemp(folder));
  const std::string path = std::string(folder) + "/notify";
  const Fd listener = listen_at(path);
  setenv("NOTIFY_SOCKET", path.c_str(), 1);
  Notify::from_environment().ready();
  const std::string text = received(listener);
  unlink(path.c_str());
  rmdir(folder);
  TEST_ASSERT_EQUAL_STRING("READY=1", text);
}

void test_notify_does_not_wait_for_a_supervisor_that_does_not_read() {
  const std::string name = "@vipd-unit-" + std::to_string(getpid());
  const Fd listener = listen_at(name);
  setenv("NOTIFY_SOCKET", name.c_str(), 1);
  Notify notify = Notify::from_environment();
  for (int i = 0; i < 2000; ++i) notify.ready();
  TEST_ASSERT_EQUAL_STRING("READY=1", received(listener));
}

void test_notify_ignores_what_is_no_address() {
  for (const std::string& path : {std::string(), std::string("/"), std::string("relative"),
                                  std::string("vsock:2:1"), "/" + std::string(200, 'x')}) {
    setenv("NOTIFY_SOCKET", path.c_str(), 1);
    Notify::from_environment().ready();
  }
  Notify::from_environment().ready();
  TEST_ASSERT_TRUE(true);
}

void test_ready_fd_gets_one_line_and_is_closed() {
  Pipe pipe;
  Notify notify = Notify::from_environment();
  const int raw = pipe.write_end.release();
  notify.set_ready_fd(raw);
  notify.status("not yet");
  TEST_ASSERT_TRUE(is_open(raw));
  notify.ready();
  notify.ready();
  TEST_ASSERT_FALSE(is_open(raw));
  TEST_ASSERT_EQUAL_STRING("\n", pipe.all());
}

int64_t watchdog_ms(const char* us, const std::string& pid) {
  setenv("WATCHDOG_USEC", us, 1);
  unsetenv("WATCHDOG_PID");
  if (!pid.empty()) setenv("WATCHDOG_PID", pid.c_str(), 1);
  return Notify::from_environment().watchdog_interval().ms();
}

void test_watchdog_is_fed_at_half_the_interval() {
  TEST_ASSERT_EQUAL_INT(0, Notify::from_environment().watchdog_interval().ms());
  TEST_ASSERT_EQUAL_INT(5000, watchdog_ms("10000000", std::to_string(getpid())));
  TEST_ASSERT_NULL(getenv("WATCHDOG_USEC"));
  TEST_ASSERT_EQUAL_INT(5000, watchdog_ms("10000000", ""));
  TEST_ASSERT_EQUAL_INT(0, watchdog_ms("10000000", "1"));  // meant for another process
  TEST_ASSERT_EQUAL_INT(10, watchdog_ms("1", ""));
  for (const char* text : {"", "0", "-5", "x", "10s", "99999999999999999999"}) {
    TEST_ASSERT_EQUAL_INT(0, watchdog_ms(text, ""));
  }
  const std::string name = "@vipd-unit-" + std::to_string(getpid());
  const Fd listener = listen_at(name);
  setenv("NOTIFY_SOCKET", name.c_str(), 1);
  Notify notify = Notify::from_environment();
  notify.watchdog();
  TEST_ASSERT_EQUAL_STRING("WATCHDOG=1", received(listener));
}

void test_environment_of_the_supervisor_can_be_restored() {
  setenv("NOTIFY_SOCKET", "/some/where", 1);
  setenv("WATCHDOG_USEC", "7", 1);
  const Notify notify = Notify::from_environment();
  notify.restore_environment();
  TEST_ASSERT_EQUAL_STRING("/some/where", getenv("NOTIFY_SOCKET"));
  TEST_ASSERT_EQUAL_STRING("7", getenv("WATCHDOG_USEC"));
  TEST_ASSERT_NULL(getenv("WATCHDOG_PID"));
  notify.clear_environment();
  TEST_ASSERT_NULL(getenv("NOTIFY_SOCKET"));
}

// --- the program on disk

std::string self() {
  char path[4096];
  const ssize_t size = readlink("/proc/self/exe", path, sizeof path);
  return {path, size > 0 ? static_cast<size_t>(size) : 0};
}

std::string path_of(std::string name) {
  char* argv[] = {name.data(), nullptr};
  return Program::started(argv).path();
}

void test_program_finds_itself() {
  const std::string path = self();
  const size_t slash = path.rfind('/');
  TEST_ASSERT_EQUAL_STRING(path, path_of(path));
  const std::string before = getenv("PATH");
  setenv("PATH", ("/nonexistent:" + path.substr(0, slash) + ":/bin").c_str(), 1);
  TEST_ASSERT_EQUAL_STRING(path, path_of(path.substr(slash + 1)));
  setenv("PATH", before.c_str(), 1);
  // What the caller made up is not believed.
  for (const char* name : {"vipd: node 1", "", "sh", "/bin/sh", "./nothing"}) {
    TEST_ASSERT_EQUAL_STRING(path, path_of(name));
  }
}

// An emulator of another processor has its own program there.
bool is_emulated() {
  struct stat shown {};
  struct stat running {};
  return stat(self().c_str(), &shown) < 0 || stat("/proc/self/exe", &running) < 0 ||
         shown.st_ino != running.st_ino;
}

void test_program_is_sound_only_if_it_can_run_here() {
  if (is_emulated()) TEST_IGNORE_MESSAGE("run by an emulator");
  char folder[] = "/tmp/vipd-unit-XXXXXX";
  TEST_ASSERT_NOT_NULL(mkdtemp(folder));
  const std::string path = std::string(folder) + "/program";
  TEST_ASSERT_EQUAL_INT(
      0, link(self().c_str(), path.c_str()) == 0 || symlink(self().c_str(), path.c_str()) == 0 ? 0
                                                                                               : 1);
  std::string name = path;
  char* argv[] = {name.data(), nullptr};
  const Program program = Program::started(argv);
  std::string reason;
  TEST_ASSERT_EQUAL_STRING(path, program.path());
  TEST_ASSERT_TRUE(program.is_sound(&reason));
  char head[4096];
  const Fd whole(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  TEST_ASSERT_EQUAL_INT(sizeof head, read(whole.get(), head, sizeof head));
  unlink(path.c_str());
  TEST_ASSERT_FALSE(program.is_sound(&reason));
  TEST_ASSERT_TRUE(reason.find("No such file") != std::string::npos);
  Fd copy(open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0755));
  TEST_ASSERT_EQUAL_INT(sizeof head, write(copy.get(), head, sizeof head));
  TEST_ASSERT_FALSE(program.is_sound(&reason));
  TEST_ASSERT_TRUE(reason.ends_with("the end is missing; copy it again"));
  unlink(path.c_str());
  const Fd script(open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0755));
  const std::string text = "#!/bin/sh\n" + std::string(100, '#') + "\n";
  TEST_ASSERT_EQUAL_INT(text.size(), write(script.get(), text.data(), text.size()));
  TEST_ASSERT_FALSE(program.is_sound(&reason));
  TEST_ASSERT_TRUE(reason.ends_with("not a program for this machine"));
  fchmod(script.get(), 0644);
  TEST_ASSERT_FALSE(program.is_sound(&reason));
  unlink(path.c_str());
  mkdir(path.c_str(), 0755);
  TEST_ASSERT_FALSE(program.is_sound(&reason));
  rmdir(path.c_str());
  rmdir(folder);
}

void test_program_that_replaces_is_told_so() {
  std::string name = self();
  char* argv[] = {name.data(), nullptr};
  setenv("VIPD_REPLACES", std::to_string(getpid()).c_str(), 1);
  setenv("VIPD_PAUSED", "1", 1);
  const Program one = Program::started(argv);
  TEST_ASSERT_TRUE(one.is_replacement() && one.was_paused());
  TEST_ASSERT_NULL(getenv("VIPD_REPLACES"));
  TEST_ASSERT_FALSE(Program::started(argv).is_replacement());
  setenv("VIPD_REPLACES", "1", 1);  // of somebody else, inherited
  setenv("VIPD_PAUSED", "1", 1);
  const Program other = Program::started(argv);
  TEST_ASSERT_FALSE(other.is_replacement() || other.was_paused());
}

// --- random numbers

void test_random_numbers_differ_in_every_bit() {
  uint64_t ones = 0;
  uint64_t zeros = 0;
  for (int i = 0; i < 200; ++i) {
    const uint64_t value = random_u64();
    ones |= value;
    zeros |= ~value;
  }
  TEST_ASSERT_EQUAL_UINT64(UINT64_MAX, ones);
  TEST_ASSERT_EQUAL_UINT64(UINT64_MAX, zeros);
}

}  // namespace

int main() {
  UNITY_BEGIN();
  RUN_TEST(test_fd_closes_once_and_moves);
  RUN_TEST(test_fd_release_and_reset);
  RUN_TEST(test_command_returns_when_the_daemon_is_ready);
  RUN_TEST(test_command_returns_the_status_of_a_failed_start);
  RUN_TEST(test_daemon_has_a_session_and_no_terminal);
  RUN_TEST(test_in_the_foreground_ready_does_nothing);
  RUN_TEST(test_closed_standard_descriptors_are_filled);
  RUN_TEST(test_daemon_started_with_closed_descriptors_keeps_them_filled);
  RUN_TEST(test_notify_says_each_state);
  RUN_TEST(test_notify_by_path);
  RUN_TEST(test_notify_does_not_wait_for_a_supervisor_that_does_not_read);
  RUN_TEST(test_notify_ignores_what_is_no_address);
  RUN_TEST(test_ready_fd_gets_one_line_and_is_closed);
  RUN_TEST(test_watchdog_is_fed_at_half_the_interval);
  RUN_TEST(test_environment_of_the_supervisor_can_be_restored);
  RUN_TEST(test_program_finds_itself);
  RUN_TEST(test_program_is_sound_only_if_it_can_run_here);
  RUN_TEST(test_program_that_replaces_is_told_so);
  RUN_TEST(test_random_numbers_differ_in_every_bit);
  return UNITY_END();
}
