#include "sys/file.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "harness.hpp"
#include "sys/as_user.hpp"
#include "sys/pidfile.hpp"
#include "sys/secret.hpp"
#include "sys/state_dir.hpp"

using namespace vipd::sys;

namespace {

std::string folder;
std::string reason;

std::string in(const char* name) {
  return folder + "/" + name;
}

bool exists(const std::string& path) {
  return access(path.c_str(), F_OK) == 0;
}

bool said(const char* part) {
  return reason.find(part) != std::string::npos;
}

std::string content(const std::string& path) {
  std::string text;
  std::string ignored;
  return read_bounded(path, 1000, &text, &ignored) ? text : "(unreadable)";
}

mode_t mode(const std::string& path) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0 ? info.st_mode & 0777 : 0;
}

int names_in_folder() {
  const std::string command = "test $(ls -A " + folder + " | wc -l) = ";
  for (int count = 0; count < 10; ++count) {
    if (system((command + std::to_string(count)).c_str()) == 0) return count;
  }
  return -1;
}

// What the function returns in a process of its own; flock(2) tells descriptors apart, so one
// process would do, but the message names the other's pid.
template <typename Function>
int in_child(Function function) {
  const pid_t child = fork();
  if (child == 0) _exit(function());
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace

void setUp() {
  char path[] = "/tmp/vipd-unit-XXXXXX";
  TEST_ASSERT_NOT_NULL(mkdtemp(path));
  folder = path;
  reason.clear();
  umask(022);
}

void tearDown() {
  if (!folder.empty() && system(("rm -rf " + folder).c_str()) != 0) folder.clear();
}

namespace {

void test_write_then_read() {
  TEST_ASSERT_TRUE(write_atomically(in("a"), "hello\n", 0640, &reason));
  TEST_ASSERT_EQUAL_STRING("hello\n", content(in("a")));
  TEST_ASSERT_EQUAL_INT(0640, mode(in("a")));
  TEST_ASSERT_TRUE(write_atomically(in("a"), "", 0600, &reason));
  TEST_ASSERT_EQUAL_STRING("", content(in("a")));
  TEST_ASSERT_EQUAL_INT(0600, mode(in("a")));
  TEST_ASSERT_EQUAL_INT(1, names_in_folder());
}

void test_write_keeps_large_content_whole() {
  const std::string large(300'000, 'x');
  TEST_ASSERT_TRUE(write_atomically(in("a"), large, 0600, &reason));
  std::string text;
  TEST_ASSERT_TRUE(read_bounded(in("a"), large.size(), &text, &reason));
  TEST_ASSERT_TRUE(text == large);
}

void test_failed_write_leaves_nothing_behind() {
  TEST_ASSERT_FALSE(write_atomically(in("none/a"), "x", 0600, &reason));
  TEST_ASSERT_TRUE(said("none/a: No such file or directory"));
  TEST_ASSERT_EQUAL_INT(0, mkdir(in("d").c_str(), 0755));
  TEST_ASSERT_FALSE(write_atomically(in("d"), "x", 0600, &reason));
  TEST_ASSERT_TRUE(said("/d: Is a directory"));
  TEST_ASSERT_EQUAL_INT(1, names_in_folder());
}

// In a mount namespace of its own, on 16 kB; what failed, or 0.
int write_without_space() {
  if (unshare(CLONE_NEWNS) < 0) return 77;
  if (mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0) return 1;
  if (mount("none", folder.c_str(), "tmpfs", 0, "size=16k") < 0) return 2;
  if (!write_by_turns(in("a"), "first", 0600, &reason)) return 3;
  if (write_atomically(in("fill"), std::string(100'000, 'x'), 0600, &reason)) return 4;
  const std::string rest(4096, 'x');
  for (int i = 0; write_atomically(in("fill") + std::to_string(i), rest, 0600, &reason); ++i) {
  }
  if (write_atomically(in("b"), "x", 0600, &reason) || !said("No space left")) return 5;
  for (const char* text : {"second", "3", "the fourth"}) {
    if (!write_by_turns(in("a"), text, 0600, &reason) || content(in("a")) != text) return 6;
  }
  return mode(in("a")) == 0600 ? 0 : 7;
}

void test_files_that_take_turns_need_no_space() {
  const int failed = in_child(write_without_space);
  if (failed == 77) TEST_IGNORE_MESSAGE("needs root, for a file system of its own");
  TEST_ASSERT_EQUAL_INT(0, failed);
}

void test_secret_is_one_line_that_others_cannot_read() {
  std::string text;
  for (const mode_t open_to_others : {0640, 0604, 0620, 0601}) {
    TEST_ASSERT_TRUE(write_atomically(in("s"), "pass word\r\n", open_to_others, &reason));
    TEST_ASSERT_FALSE(read_secret(in("s"), 20, &text, &reason));
    TEST_ASSERT_TRUE(said("others than its owner have access"));
  }
  TEST_ASSERT_TRUE(write_atomically(in("s"), "pass word\r\n", 0400, &reason));
  TEST_ASSERT_TRUE(read_secret(in("s"), 20, &text, &reason));
  TEST_ASSERT_EQUAL_STRING("pass word", text);
  for (const char* bad : {"", "\n", "a\nb\n", "123456789012345678901"}) {
    TEST_ASSERT_TRUE(write_atomically(in("s"), bad, 0600, &reason));
    TEST_ASSERT_FALSE(read_secret(in("s"), 20, &text, &reason));
    TEST_ASSERT_TRUE(said("not one line"));
  }
  TEST_ASSERT_FALSE(read_secret(in("none"), 20, &text, &reason));
}

bool is_taken(const std::string& path) {
  std::string text;
  return read_secret(path, 20, &text, &reason);
}

// As root: who may read it beside the owner. What failed, or 0.
int read_as_another_user() {
  if (geteuid() != 0) return 77;
  if (!write_atomically(in("s"), "secret", 0640, &reason)) return 1;
  if (chown(in("s").c_str(), 0, 4321) < 0 || chmod(folder.c_str(), 0755) < 0) return 2;
  if (is_taken(in("s"))) return 3;  // root itself needs no group
  const User user = {.uid = 1234, .gid = 1234, .groups = {4321}};
  const User other = {.uid = 1234, .gid = 1234, .groups = {}};
  {
    const AsUser as(&user);
    if (geteuid() != 1234 || !is_taken(in("s"))) return 4;
  }
  {
    const AsUser as(&other);
    if (is_taken(in("s")) || !said("Permission denied")) return 5;
  }
  if (geteuid() != 0 || getegid() != 0) return 6;
  if (chown(in("s").c_str(), 999, 4321) < 0) return 7;
  {
    const AsUser as(&user);
    if (is_taken(in("s")) || !said("others than its owner")) return 8;  // a third one has it
  }
  if (chmod(in("s").c_str(), 0600) < 0) return 9;
  {
    const AsUser as(nullptr);
    if (is_taken(in("s")) || !said("Permission denied")) return 10;  // without CAP_DAC_OVERRIDE
  }
  return is_taken(in("s")) ? 0 : 11;
}

void test_another_user_is_judged_by_the_kernel() {
  const int failed = in_child(read_as_another_user);
  if (failed == 77) TEST_IGNORE_MESSAGE("needs root");
  TEST_ASSERT_EQUAL_INT(0, failed);
}

// As orchestrators mount them. What failed, or 0.
int read_from_mounts() {
  if (unshare(CLONE_NEWNS) < 0) return 77;
  if (mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0) return 1;
  for (const char* name : {"memory", "here", "bound"}) {
    if (mkdir(in(name).c_str(), 0755) < 0) return 2;
  }
  if (mount("none", in("memory").c_str(), "tmpfs", 0, "mode=755") < 0) return 3;
  for (const char* name : {"memory/s", "here/s", "bound/s"}) {
    if (!write_atomically(in(name), "secret", 0444, &reason)) return 4;
  }
  if (is_taken(in("memory/s")) || !said("chmod 600")) return 5;  // whoever mounts it can do that
  if (mount("none", in("memory").c_str(), "tmpfs", MS_REMOUNT | MS_RDONLY, nullptr) < 0) return 6;
  if (!is_taken(in("memory/s"))) return 7;  // Kubernetes, Docker's swarm
  if (mount(in("here").c_str(), in("here").c_str(), nullptr, MS_BIND, nullptr) < 0) return 8;
  const unsigned long again = MS_REMOUNT | MS_BIND | MS_RDONLY;
  if (mount("none", in("here").c_str(), nullptr, again, nullptr) < 0) return 9;
  if (is_taken(in("here/s"))) return 10;  // a disk that happens to be read-only (/nix/store)
  const std::string one = in("bound/s");
  if (is_taken(one)) return 11;
  if (mount(one.c_str(), one.c_str(), nullptr, MS_BIND, nullptr) < 0) return 12;
  return is_taken(one) ? 0 : 13;  // Docker Compose, Podman
}

void test_secret_on_a_mount_for_secrets() {
  const int failed = in_child(read_from_mounts);
  if (failed == 77) TEST_IGNORE_MESSAGE("needs root, for mounts of its own");
  TEST_ASSERT_EQUAL_INT(0, failed);
}

void test_read_is_bounded() {
  std::string text = "old";
  TEST_ASSERT_TRUE(write_atomically(in("a"), "12345", 0600, &reason));
  TEST_ASSERT_TRUE(read_bounded(in("a"), 5, &text, &reason));
  TEST_ASSERT_FALSE(read_bounded(in("a"), 4, &text, &reason));
  TEST_ASSERT_TRUE(said("/a: larger than 4 bytes"));
  TEST_ASSERT_EQUAL_STRING("", text);
  TEST_ASSERT_TRUE(!read_bounded("/proc/self/maps", 10, &text, &reason));
}

void test_read_refuses_what_could_block() {
  std::string text;
  alarm(10);
  TEST_ASSERT_EQUAL_INT(0, mkfifo(in("fifo").c_str(), 0600));
  TEST_ASSERT_FALSE(read_bounded(in("fifo"), 10, &text, &reason));
  TEST_ASSERT_TRUE(said("not a regular file"));
  TEST_ASSERT_FALSE(read_bounded(folder, 10, &text, &reason));
  TEST_ASSERT_FALSE(read_bounded(in("none"), 10, &text, &reason));
  TEST_ASSERT_TRUE(said("No such file"));
  alarm(0);
}

void test_make_folder_with_parents() {
  TEST_ASSERT_TRUE(make_folder(in("a/b//c/"), &reason));
  TEST_ASSERT_EQUAL_INT(0755, mode(in("a/b/c")));
  TEST_ASSERT_TRUE(make_folder(in("a/b/c"), &reason));
  TEST_ASSERT_TRUE(make_folder("/", &reason));
}

void test_make_folder_says_what_is_in_the_way() {
  TEST_ASSERT_TRUE(write_atomically(in("file"), "", 0600, &reason));
  TEST_ASSERT_FALSE(make_folder(in("file"), &reason));
  TEST_ASSERT_TRUE(said("/file: not a folder"));
  TEST_ASSERT_FALSE(make_folder(in("file/a"), &reason));
  TEST_ASSERT_TRUE(said("Not a directory"));
  TEST_ASSERT_FALSE(make_folder("", &reason));
}

void test_state_dir_is_ours_alone() {
  auto mine = StateDir::open(in("run/vipd"), &reason);
  TEST_ASSERT_NOT_NULL(mine);
  TEST_ASSERT_EQUAL_STRING(in("run/vipd/session"), mine->file("session"));
  const std::string pid = std::to_string(getpid());
  const int refused = in_child([&] {
    const auto other = StateDir::open(in("run/vipd"), &reason);
    return other == nullptr && said(("locked by the process with pid " + pid).c_str()) ? 7 : 8;
  });
  TEST_ASSERT_EQUAL_INT(7, refused);
  mine.reset();
  TEST_ASSERT_EQUAL_INT(
      7, in_child([] { return StateDir::open(in("run/vipd"), &reason) != nullptr ? 7 : 8; }));
}

void test_lock_of_a_killed_process_is_free() {
  const int killed = in_child([] {
    const auto state = StateDir::open(in("run"), &reason);
    return state != nullptr ? raise(SIGKILL) : 0;
  });
  TEST_ASSERT_EQUAL_INT(-1, killed);
  TEST_ASSERT_TRUE(exists(in("run/lock")));
  TEST_ASSERT_NOT_NULL(StateDir::open(in("run"), &reason));
}

void test_lock_without_a_readable_pid() {
  const Fd lock = lock_file(in("lock"), &reason);
  TEST_ASSERT_TRUE(lock.is_open());
  TEST_ASSERT_EQUAL_INT(0, ftruncate(lock.get(), 0));
  TEST_ASSERT_FALSE(lock_file(in("lock"), &reason).is_open());
  TEST_ASSERT_TRUE(said("/lock is locked by another process"));
}

void test_lock_does_not_follow_links() {
  TEST_ASSERT_TRUE(write_atomically(in("victim"), "precious", 0600, &reason));
  TEST_ASSERT_EQUAL_INT(0, symlink("victim", in("lock").c_str()));
  TEST_ASSERT_FALSE(lock_file(in("lock"), &reason).is_open());
  TEST_ASSERT_EQUAL_STRING("precious", content(in("victim")));
}

void test_pidfile_has_the_pid_and_goes_with_its_owner() {
  auto pidfile = PidFile::open(in("pid"), &reason);
  TEST_ASSERT_NOT_NULL(pidfile);
  TEST_ASSERT_EQUAL_STRING(std::to_string(getpid()) + "\n", content(in("pid")));
  pidfile.reset();
  TEST_ASSERT_FALSE(exists(in("pid")));
}

void test_pidfile_replaces_a_stale_longer_pid() {
  TEST_ASSERT_TRUE(write_atomically(in("pid"), "99999999999999999999\n", 0644, &reason));
  const auto pidfile = PidFile::open(in("pid"), &reason);
  TEST_ASSERT_NOT_NULL(pidfile);
  TEST_ASSERT_EQUAL_STRING(std::to_string(getpid()) + "\n", content(in("pid")));
}

void test_pidfile_refuses_a_second_instance() {
  const auto pidfile = PidFile::open(in("pid"), &reason);
  TEST_ASSERT_NULL(PidFile::open(in("pid"), &reason));
  TEST_ASSERT_TRUE(said(("process with pid " + std::to_string(getpid())).c_str()));
  TEST_ASSERT_TRUE(exists(in("pid")));
}

void test_pidfile_is_not_removed_by_a_fork() {
  auto pidfile = PidFile::open(in("pid"), &reason);
  TEST_ASSERT_EQUAL_INT(0, in_child([&] {
                          pidfile.reset();
                          return 0;
                        }));
  TEST_ASSERT_TRUE(exists(in("pid")));
}

}  // namespace

int main() {
  UNITY_BEGIN();
  RUN_TEST(test_write_then_read);
  RUN_TEST(test_write_keeps_large_content_whole);
  RUN_TEST(test_failed_write_leaves_nothing_behind);
  RUN_TEST(test_files_that_take_turns_need_no_space);
  RUN_TEST(test_read_is_bounded);
  RUN_TEST(test_secret_is_one_line_that_others_cannot_read);
  RUN_TEST(test_another_user_is_judged_by_the_kernel);
  RUN_TEST(test_secret_on_a_mount_for_secrets);
  RUN_TEST(test_read_refuses_what_could_block);
  RUN_TEST(test_make_folder_with_parents);
  RUN_TEST(test_make_folder_says_what_is_in_the_way);
  RUN_TEST(test_state_dir_is_ours_alone);
  RUN_TEST(test_lock_of_a_killed_process_is_free);
  RUN_TEST(test_lock_without_a_readable_pid);
  RUN_TEST(test_lock_does_not_follow_links);
  RUN_TEST(test_pidfile_has_the_pid_and_goes_with_its_owner);
  RUN_TEST(test_pidfile_replaces_a_stale_longer_pid);
  RUN_TEST(test_pidfile_refuses_a_second_instance);
  RUN_TEST(test_pidfile_is_not_removed_by_a_fork);
  return UNITY_END();
}
