// What is forbidden is tried, each in a process of its own.
#include <asm/unistd.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <ctime>
#include <string>

#include "harness.hpp"
#include "sys/fd.hpp"
#include "sys/file.hpp"
#include "sys/privileges.hpp"
#include "sys/sandbox.hpp"
#include "sys/user.hpp"

using namespace vipd::sys;

namespace {

constexpr int kNotInside = 90;
constexpr User kSomebody{.uid = 61234, .gid = 61235, .groups = {}};

// The status with which the process ends: 0 to 99 as the function says, 100 + a signal.
template <typename Function>
int status_of(Function function) {
  const pid_t child = fork();
  if (child == 0) {
    alarm(10);
    _exit(function());
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 100 + WTERMSIG(status);
}

template <typename Function>
int status_inside(Function function) {
  return status_of([&] {
    std::string reason;
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    return enter_sandbox(&reason) ? function() : kNotInside;
  });
}

bool has_filters() {
  return status_inside([] { return 0; }) == 0;
}

#define NEEDS(condition, what) \
  if (!(condition)) TEST_IGNORE_MESSAGE("needs " what)

// --- the sandbox

int error_of(long result) {
  return result < 0 ? errno : 0;
}

void test_daily_work_goes_on() {
  NEEDS(has_filters(), "a kernel with seccomp filters");
  TEST_ASSERT_EQUAL_INT(0, status_inside([] {
                          std::string reason;
                          std::string content;
                          const Fd null(open("/dev/null", O_RDWR | O_CLOEXEC));
                          const Fd one(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
                          void* memory = malloc(10 << 20);
                          free(memory);
                          const bool good = null.is_open() && one.is_open() && memory != nullptr &&
                                            write(null.get(), "x", 1) == 1;
                          return good ? 0 : 1;
                        }));
}

void test_another_process_cannot_be_started() {
  NEEDS(has_filters(), "a kernel with seccomp filters");
  TEST_ASSERT_EQUAL_INT(EPERM, status_inside([] {
                          const pid_t child = fork();
                          if (child == 0) _exit(0);
                          return error_of(child);
                        }));
  TEST_ASSERT_EQUAL_INT(EPERM, status_inside([] { return system("true") == 0 ? 0 : EPERM; }));
}

void test_what_nobody_needs_is_refused() {
  NEEDS(has_filters(), "a kernel with seccomp filters");
  const auto refused = [](int call) {
    return status_inside([call] { return error_of(syscall(call, 0, 0, 0, 0, 0, 0)); });
  };
  for (const int call : {__NR_io_setup, __NR_sethostname, __NR_setuid, __NR_setpriority,
                         __NR_execveat, __NR_mknodat, __NR_symlinkat, __NR_linkat, __NR_clone,
                         __NR_sched_setscheduler, __NR_memfd_create, 4000}) {
    TEST_ASSERT_EQUAL_INT(EPERM, refused(call));
  }
}

void test_others_are_not_signalled() {
  NEEDS(has_filters(), "a kernel with seccomp filters");
  TEST_ASSERT_EQUAL_INT(EPERM, status_inside([] { return error_of(kill(getppid(), 0)); }));
  TEST_ASSERT_EQUAL_INT(0, status_inside([] { return error_of(kill(getpid(), 0)); }));
  TEST_ASSERT_EQUAL_INT(100 + SIGABRT, status_inside([] {
                          signal(SIGABRT, SIG_DFL);
                          abort();
                          return 0;
                        }));
}

void test_what_is_hostile_ends_the_process() {
  NEEDS(has_filters(), "a kernel with seccomp filters");
  for (const int call :
       {__NR_ptrace, __NR_process_vm_writev, __NR_mount, __NR_chroot, __NR_init_module, __NR_bpf,
        __NR_keyctl, __NR_setns, __NR_unshare, __NR_reboot, __NR_clock_settime}) {
    TEST_ASSERT_EQUAL_INT(100 + SIGSYS, status_inside([call] {
                            return error_of(syscall(call, -1, -1, -1, -1, -1, -1));
                          }));
  }
}

// The packet fence is attached from inside; nothing is loaded there.
void test_of_bpf_three_commands_are_left() {
  NEEDS(has_filters(), "a kernel with seccomp filters");
  for (unsigned command = 0; command < 40; ++command) {
    const bool is_left =
        command == BPF_PROG_ATTACH || command == BPF_PROG_DETACH || command == BPF_PROG_QUERY;
    const int status =
        status_inside([command] { return error_of(syscall(__NR_bpf, command, nullptr, 0)) != 0; });
    TEST_ASSERT_EQUAL_INT(is_left ? 1 : 100 + SIGSYS, status);
  }
}

void test_the_version_is_told_inside() {
  NEEDS(has_filters(), "a kernel with seccomp filters");
  TEST_ASSERT_EQUAL_INT(0, sandbox_version());
  TEST_ASSERT_EQUAL_INT(2, status_inside([] { return sandbox_version(); }));
}

#ifdef __x86_64__
int call_getpid_of_i386() {
  signal(SIGSEGV, SIG_DFL);  // a kernel without such calls sends it; ASan would end with status 1
  long result = 20;
  asm volatile("int $0x80" : "+a"(result) : : "memory");
  return 0;
}

// Its numbers mean other calls: 26 is ptrace there, and msync here.
void test_calls_of_another_architecture_end_the_process() {
  NEEDS(has_filters(), "a kernel with seccomp filters");
  NEEDS(status_of(call_getpid_of_i386) == 0, "a kernel with the calls of i386");
  TEST_ASSERT_EQUAL_INT(100 + SIGSYS, status_inside(call_getpid_of_i386));
}
#endif

// What was executed inside is inside, knows it, and starts no process of its own.
void test_execve_takes_the_filter_along() {
  NEEDS(has_filters(), "a kernel with seccomp filters");
  TEST_ASSERT_EQUAL_INT(7, status_inside([] {
                          execl("/bin/sh", "sh", "-c", "exit 7", nullptr);
                          return 1;
                        }));
  const int forked = status_inside([] {
    close(STDERR_FILENO);
    execl("/bin/sh", "sh", "-c", "/bin/true; exit 0", nullptr);
    return 1;
  });
  TEST_ASSERT_TRUE(forked != 0);
  TEST_ASSERT_EQUAL_INT(0, status_inside([] {
                          std::string reason;
                          return enter_sandbox(&reason) ? 0 : 1;
                        }));
}

// --- privileges

// A line of /proc/self/status, without its name.
std::string own(const std::string& name) {
  const Fd fd(open("/proc/self/status", O_RDONLY | O_CLOEXEC));
  char buffer[8192];
  const ssize_t size = read(fd.get(), buffer, sizeof buffer);
  const std::string text(buffer, size > 0 ? static_cast<size_t>(size) : 0);
  const size_t begin = text.find("\n" + name + ":\t");
  if (begin == std::string::npos) return "?";
  const size_t value = begin + name.size() + 3;
  return text.substr(value, text.find('\n', value) - value);
}

bool is_root() {
  return geteuid() == 0 && own("CapEff") != "?";
}

int is_reduced() {
  constexpr char kTwo[] = "0000000000003000";
  for (const char* set : {"CapEff", "CapPrm", "CapBnd", "CapInh", "CapAmb"}) {
    if (own(set) == kTwo) continue;
    dprintf(STDOUT_FILENO, "%s is %s\n", set, own(set).c_str());
    return 1;
  }
  return own("NoNewPrivs") == "1" ? 0 : 2;
}

void test_two_capabilities_are_left() {
  NEEDS(is_root(), "root");
  TEST_ASSERT_EQUAL_INT(0, status_of([] {
                          std::string reason;
                          return drop_privileges(nullptr, &reason) ? is_reduced() : 3;
                        }));
}

void test_another_user_has_them_as_well() {
  NEEDS(is_root(), "root");
  TEST_ASSERT_EQUAL_INT(0, status_of([] {
                          std::string reason;
                          User user = kSomebody;
                          user.groups = {61236};
                          if (!drop_privileges(&user, &reason)) return 3;
                          if (own("Uid") != "61234\t61234\t61234\t61234") return 4;
                          if (own("Gid") != "61235\t61235\t61235\t61235") return 5;
                          if (own("Groups").substr(0, 5) != "61236") return 6;
                          return is_reduced();
                        }));
}

void test_what_root_may_is_gone() {
  NEEDS(is_root(), "root");
  for (const User* user : {static_cast<const User*>(nullptr), &kSomebody}) {
    TEST_ASSERT_EQUAL_INT(0, status_of([user] {
                            std::string reason;
                            if (!drop_privileges(user, &reason)) return 3;
                            if (setuid(4711) == 0 || errno != EPERM) return 4;
                            if (mount("x", "/", "tmpfs", 0, nullptr) == 0 || errno != EPERM) {
                              return 5;
                            }
                            const timespec now{};
                            if (clock_settime(CLOCK_REALTIME, &now) == 0) return 6;
                            return socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0) >= 0 ? 0 : 7;
                          }));
  }
}

// As SIGUSR2 does it: another user keeps the two over execve(2).
void test_execve_keeps_them() {
  NEEDS(is_root(), "root");
  TEST_ASSERT_EQUAL_INT(0, status_of([] {
                          std::string reason;
                          if (!drop_privileges(&kSomebody, &reason)) return 3;
                          execl("/bin/grep", "grep", "-q", "^CapEff:.0000000000003000$",
                                "/proc/self/status", nullptr);
                          return 4;
                        }));
}

void test_only_root_becomes_another() {
  NEEDS(is_root(), "root");
  TEST_ASSERT_EQUAL_INT(0, status_of([] {
                          std::string reason;
                          if (!drop_privileges(&kSomebody, &reason)) return 1;
                          if (!drop_privileges(&kSomebody, &reason)) return 2;
                          const User other{.uid = 1, .gid = 1, .groups = {}};
                          if (drop_privileges(&other, &reason)) return 3;
                          return reason == "only root can become another user" ? 0 : 4;
                        }));
}

struct Folder {
  char path[32] = "/tmp/vipd-unit-XXXXXX";
  Folder() {
    if (mkdtemp(path) == nullptr) abort();
  }
  ~Folder() {
    for (const char* name : {"file", "second", "link", "passwd", "group"}) {
      unlink(file(name).c_str());
    }
    rmdir(path);
  }
  [[nodiscard]] std::string file(const std::string& name) const {
    return std::string(path) + "/" + name;
  }
  void write(const std::string& name, std::string_view text) const {
    std::string reason;
    if (!write_atomically(file(name), text, 0644, &reason)) abort();
  }
};

uid_t owner_of(const std::string& path) {
  struct stat info {};
  return lstat(path.c_str(), &info) == 0 ? info.st_uid : 999;
}

void test_files_are_given_unless_they_could_be_others() {
  NEEDS(is_root(), "root");
  const Folder folder;
  folder.write("file", "");
  if (symlink("file", folder.file("link").c_str()) != 0) abort();
  give_to(kSomebody, folder.file("link"));
  give_to(kSomebody, folder.file("none"));
  TEST_ASSERT_EQUAL_INT(0, owner_of(folder.file("file")));
  TEST_ASSERT_EQUAL_INT(0, owner_of(folder.file("link")));
  give_to(kSomebody, folder.file("file"));
  give_to(kSomebody, folder.path);
  TEST_ASSERT_EQUAL_INT(kSomebody.uid, owner_of(folder.file("file")));
  TEST_ASSERT_EQUAL_INT(kSomebody.uid, owner_of(folder.path));
  if (link(folder.file("file").c_str(), folder.file("second").c_str()) != 0) abort();
  give_to(User{}, folder.file("second"));
  TEST_ASSERT_EQUAL_INT(kSomebody.uid, owner_of(folder.file("second")));
}

// --- users

void test_users_are_found_by_name() {
  const Folder folder;
  folder.write("passwd",
               "root:x:0:0::/root:/bin/sh\n# a comment\nvip:x:1\n"
               "vipd:x:812:813:a:b:c\nbad:x:-1:4294967295:::\n");
  folder.write("group", "root:x:0:\nnet:x:20:a,vipd\nadm:x:4:vipd,b\nvipd:x:813:\nnear:x:5:vipd2");
  User user;
  std::string reason;
  TEST_ASSERT_TRUE(find_user("vipd", &user, &reason, folder.path));
  TEST_ASSERT_EQUAL_INT(812, user.uid);
  TEST_ASSERT_EQUAL_INT(813, user.gid);
  TEST_ASSERT_EQUAL_INT(2, user.groups.size());
  TEST_ASSERT_EQUAL_INT(20, user.groups[0]);
  TEST_ASSERT_EQUAL_INT(4, user.groups[1]);
  for (const char* name : {"nobody", "vip", "bad", "", "# a comment", "x"}) {
    TEST_ASSERT_FALSE(find_user(name, &user, &reason, folder.path));
    TEST_ASSERT_EQUAL_STRING("there is no such user in " + std::string(folder.path) +
                                 "/passwd; create it, or write UID:GID",
                             reason);
  }
}

void test_numbers_need_no_file() {
  User user;
  std::string reason;
  TEST_ASSERT_TRUE(find_user("812", &user, &reason, "/none"));
  TEST_ASSERT_TRUE(user.uid == 812 && user.gid == 812 && user.groups.empty());
  TEST_ASSERT_TRUE(find_user("812:5", &user, &reason, "/none"));
  TEST_ASSERT_TRUE(user.uid == 812 && user.gid == 5);
  for (const char* text : {"812:", ":5", "812:5:6", "-1", "4294967295", "99999999999", "0x10"}) {
    TEST_ASSERT_FALSE(find_user(text, &user, &reason, "/none"));
  }
}

}  // namespace

int main() {
  UNITY_BEGIN();
  RUN_TEST(test_daily_work_goes_on);
  RUN_TEST(test_another_process_cannot_be_started);
  RUN_TEST(test_what_nobody_needs_is_refused);
  RUN_TEST(test_others_are_not_signalled);
  RUN_TEST(test_what_is_hostile_ends_the_process);
  RUN_TEST(test_of_bpf_three_commands_are_left);
  RUN_TEST(test_the_version_is_told_inside);
#ifdef __x86_64__
  RUN_TEST(test_calls_of_another_architecture_end_the_process);
#endif
  RUN_TEST(test_execve_takes_the_filter_along);
  RUN_TEST(test_two_capabilities_are_left);
  RUN_TEST(test_another_user_has_them_as_well);
  RUN_TEST(test_what_root_may_is_gone);
  RUN_TEST(test_execve_keeps_them);
  RUN_TEST(test_only_root_becomes_another);
  RUN_TEST(test_files_are_given_unless_they_could_be_others);
  RUN_TEST(test_users_are_found_by_name);
  RUN_TEST(test_numbers_need_no_file);
  return UNITY_END();
}
