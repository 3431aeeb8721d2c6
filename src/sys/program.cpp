#include "sys/program.hpp"

#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <string_view>
#include <system_error>

#include "sys/errno_text.hpp"
#include "sys/fd.hpp"

namespace vipd::sys {
namespace {

// In the environment of a replacement: our pid, so that nobody else takes it for his own.
constexpr char kReplaces[] = "VIPD_REPLACES";
constexpr char kPaused[] = "VIPD_PAUSED";
constexpr char kKept[] = "VIPD_KEPT_FD";

bool is_same(const std::string& path, const char* other) {
  struct stat one {};
  struct stat two {};
  if (stat(other, &two) < 0) return true;  // without /proc there is nothing to compare with
  return stat(path.c_str(), &one) == 0 && one.st_ino == two.st_ino && one.st_dev == two.st_dev;
}

std::string absolute(std::string path) {
  char folder[PATH_MAX];
  if (path.starts_with('/') || getcwd(folder, sizeof folder) == nullptr) return path;
  return std::string(folder) + "/" + path;
}

// As execvp(3) searches. Links are not resolved: where one points is what an upgrade may change.
std::string find_in_path(std::string_view name) {
  const char* const variable = getenv("PATH");
  std::string_view folders = variable == nullptr ? "/usr/sbin:/usr/bin:/sbin:/bin" : variable;
  while (true) {
    const size_t end = std::min(folders.find(':'), folders.size());
    const std::string folder = end == 0 ? "." : std::string(folders.substr(0, end));
    std::string path = absolute(folder + "/" + std::string(name));
    if (access(path.c_str(), X_OK) == 0) return path;
    if (end == folders.size()) return "";
    folders.remove_prefix(end + 1);
  }
}

// argv[0] is what the caller says; the kernel knows better, where /proc is mounted.
std::string find_self(const char* name) {
  constexpr char kSelf[] = "/proc/self/exe";
  const std::string_view text = name == nullptr ? "" : name;
  std::string path;
  if (!text.empty()) {
    path =
        text.find('/') == std::string_view::npos ? find_in_path(text) : absolute(std::string(text));
  }
  if (!path.empty() && access(path.c_str(), X_OK) == 0 && is_same(path, kSelf)) return path;
  char target[PATH_MAX];
  const ssize_t size = readlink(kSelf, target, sizeof target);
  return size <= 0 ? "" : std::string(target, static_cast<size_t>(size));
}

bool take_variable(const char* name, const std::string& expected) {
  const char* const value = getenv(name);
  const bool is_it = value != nullptr && value == expected;
  unsetenv(name);
  return is_it;
}

// "NUMBER,NUMBER,...": versions before this one read and write the first alone.
std::vector<int> take_fds(bool is_replacement) {
  const char* const value = getenv(kKept);
  const std::string_view text = value == nullptr || !is_replacement ? "" : value;
  std::vector<int> fds;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at < end) {
    int fd = -1;
    const auto read = std::from_chars(at, end, fd);
    if (read.ec != std::errc()) break;
    fds.push_back(fd > STDERR_FILENO && fcntl(fd, F_GETFD) >= 0 ? fd : -1);
    at = read.ptr;
    if (at < end && *at++ != ',') break;
  }
  unsetenv(kKept);
  return fds;
}

// libcurl opens its sockets without that flag.
void close_others_on_exec() {
  constexpr unsigned kCloseOnExec = 4;  // CLOSE_RANGE_CLOEXEC, Linux 5.11
  constexpr int kFirst = STDERR_FILENO + 1;
#ifdef SYS_close_range
  if (syscall(SYS_close_range, unsigned{kFirst}, ~0u, kCloseOnExec) == 0) return;
#endif
  const int most = static_cast<int>(std::min(sysconf(_SC_OPEN_MAX), 65536L));
  for (int fd = kFirst; fd < most; ++fd) {
    const int flags = fcntl(fd, F_GETFD);
    if (flags >= 0) fcntl(fd, F_SETFD, flags | FD_CLOEXEC);
  }
}

}  // namespace

Program Program::started(char** argv) {
  Program program;
  program.argv_ = argv;
  program.path_ = find_self(argv[0]);
  if (!read_kind(program.path_, &program.kind_)) program.kind_ = {};
  program.is_replacement_ = take_variable(kReplaces, std::to_string(getpid()));
  program.was_paused_ = take_variable(kPaused, "1") && program.is_replacement_;
  program.inherited_fds_ = take_fds(program.is_replacement_);
  return program;
}

bool Program::read_kind(const std::string& path, Kind* kind) {
  unsigned char head[sizeof(Elf32_Ehdr)];  // the part that both classes have in common
  const Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (read(fd.get(), head, sizeof head) != static_cast<ssize_t>(sizeof head)) return false;
  std::copy(head, head + EI_VERSION, kind->begin());
  std::copy_n(head + offsetof(Elf32_Ehdr, e_machine), 2, kind->begin() + EI_VERSION);
  return true;
}

// What is to be loaded of it lies within the file: an interrupted copy ends before that.
bool Program::is_whole(const std::string& path, off_t size) {
  const Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  ElfW(Ehdr) head{};
  if (pread(fd.get(), &head, sizeof head, 0) != static_cast<ssize_t>(sizeof head)) return false;
  for (unsigned i = 0; i < head.e_phnum; i++) {
    ElfW(Phdr) part{};
    const auto at = static_cast<off_t>(head.e_phoff + i * sizeof part);
    if (pread(fd.get(), &part, sizeof part, at) != static_cast<ssize_t>(sizeof part)) return false;
    const auto end = static_cast<uint64_t>(part.p_offset) + part.p_filesz;
    if (part.p_type == PT_LOAD && end > static_cast<uint64_t>(size)) return false;
  }
  return true;
}

bool Program::is_sound(std::string* reason) const {
  struct stat info {};
  if (path_.empty()) {
    *reason = "it is not known where this program is on disk";
  } else if (stat(path_.c_str(), &info) < 0 ||
             faccessat(AT_FDCWD, path_.c_str(), X_OK, AT_EACCESS) < 0) {
    *reason = errno_text(path_);
  } else if (Kind kind{}; !S_ISREG(info.st_mode) || !read_kind(path_, &kind) || kind != kind_) {
    *reason = path_ + ": not a program for this machine";
  } else if (!is_whole(path_, info.st_size)) {
    *reason = path_ + ": the end is missing; copy it again";
  } else {
    return true;
  }
  return false;
}

// The option comes first: what those after it need (a descriptor) is not there in a trial.
std::vector<std::string> Program::trial() const {
  std::vector<std::string> words = {path_, "-n"};
  for (char** word = argv_ + 1; *argv_ != nullptr && *word != nullptr; ++word) {
    words.emplace_back(*word);
  }
  return words;
}

void Program::replace(bool is_paused, const std::vector<int>& kept, std::string* reason) const {
  close_others_on_exec();
  std::string text;
  for (const int fd : kept) {
    const bool lives = fd >= 0 && fcntl(fd, F_SETFD, 0) == 0;
    text += (text.empty() ? "" : ",") + std::to_string(lives ? fd : -1);
  }
  if (!text.empty()) setenv(kKept, text.c_str(), 1);
  setenv(kReplaces, std::to_string(getpid()).c_str(), 1);
  if (is_paused) setenv(kPaused, "1", 1);
  execv(path_.c_str(), argv_);
  *reason = errno_text(path_);
  for (const char* name : {kReplaces, kPaused, kKept}) unsetenv(name);
  close_others_on_exec();
}

}  // namespace vipd::sys
