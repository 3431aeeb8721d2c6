#include "sys/file.hpp"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include "sys/errno_text.hpp"

namespace vipd::sys {
namespace {

bool fail(const std::string& path, std::string* reason) {
  *reason = errno_text(path);
  return false;
}

bool write_all(int fd, std::string_view content) {
  while (!content.empty()) {
    const ssize_t size = write(fd, content.data(), content.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return false;
    content.remove_prefix(static_cast<size_t>(size));
  }
  return true;
}

bool is_same_file(int fd, const std::string& path) {
  struct stat open_one {};
  struct stat named_one {};
  return fstat(fd, &open_one) == 0 && stat(path.c_str(), &named_one) == 0 &&
         open_one.st_ino == named_one.st_ino && open_one.st_dev == named_one.st_dev;
}

// Not in every C library.
bool exchange(const std::string& a, const std::string& b) {
  return syscall(SYS_renameat2, AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str(), RENAME_EXCHANGE) == 0;
}

std::string locked_text(int fd, const std::string& path) {
  std::string content;
  const bool is_readable = read_up_to(fd, 32, &content);
  const long pid = is_readable ? strtol(content.c_str(), nullptr, 10) : 0;
  if (pid <= 0) return path + " is locked by another process";
  return path + " is locked by the process with pid " + std::to_string(pid);
}

bool write_pid(int fd) {
  return ftruncate(fd, 0) == 0 && write_all(fd, std::to_string(getpid()) + "\n");
}

}  // namespace

bool read_up_to(int fd, size_t limit, std::string* out) {
  out->clear();
  char buffer[4096];
  while (out->size() < limit) {
    const ssize_t size = read(fd, buffer, sizeof buffer);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return false;
    if (size == 0) return true;
    out->append(buffer, static_cast<size_t>(size));
  }
  return true;
}

Fd open_regular(const std::string& path, struct stat* info, std::string* reason) {
  Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd.is_open() || fstat(fd.get(), info) < 0) return fail(path, reason), Fd();
  if (S_ISREG(info->st_mode)) return fd;
  *reason = path + ": not a regular file";
  return Fd();
}

bool write_atomically(const std::string& path, std::string_view content, mode_t mode,
                      std::string* reason) {
  std::string temporary = path + ".XXXXXX";
  Fd fd(mkostemp(temporary.data(), O_CLOEXEC));
  if (!fd.is_open()) return fail(path, reason);
  if (fchmod(fd.get(), mode) == 0 && write_all(fd.get(), content) &&
      rename(temporary.c_str(), path.c_str()) == 0) {
    return true;
  }
  fail(path, reason);
  unlink(temporary.c_str());
  return false;
}

bool write_by_turns(const std::string& path, std::string_view content, mode_t mode,
                    std::string* reason) {
  const std::string other = path + kOtherOfTwo;
  const Fd fd(open(other.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (fd.is_open() && write_all(fd.get(), content) &&
      ftruncate(fd.get(), static_cast<off_t>(content.size())) == 0 && exchange(other, path)) {
    return true;
  }
  if (!write_atomically(path, content, mode, reason)) return false;
  std::string ignored;  // it only will not be there when there is no space
  (void)write_atomically(other, content, mode, &ignored);
  return true;
}

bool read_bounded(const std::string& path, size_t max, std::string* out, std::string* reason) {
  struct stat info {};
  const Fd fd = open_regular(path, &info, reason);
  if (!fd.is_open()) return false;
  if (!read_up_to(fd.get(), max + 1, out)) return fail(path, reason);
  if (out->size() <= max) return true;
  out->clear();
  *reason = path + ": larger than " + std::to_string(max) + " bytes";
  return false;
}

bool make_folder(const std::string& path, std::string* reason) {
  size_t end = 0;
  while (end != std::string::npos) {
    end = path.find('/', end + 1);
    const std::string parent = path.substr(0, end);
    if (mkdir(parent.c_str(), 0755) < 0 && errno != EEXIST) return fail(parent, reason);
  }
  struct stat info {};
  if (stat(path.c_str(), &info) < 0) return fail(path, reason);
  if (S_ISDIR(info.st_mode)) return true;
  *reason = path + ": not a folder";
  return false;
}

bool can_be_replaced(const std::string& path, std::string* reason) {
  const size_t slash = path.rfind('/');
  const std::string folder =
      slash == std::string::npos ? "." : (slash == 0 ? "/" : path.substr(0, slash));
  struct stat around {};
  struct stat info {};
  const bool may_write = faccessat(AT_FDCWD, folder.c_str(), W_OK | X_OK, AT_EACCESS) == 0;
  if (!may_write || stat(folder.c_str(), &around) < 0) return fail(folder, reason);
  // unlink(2), EPERM: in a sticky folder it takes the owner of one of the two.
  const bool is_ours =
      lstat(path.c_str(), &info) < 0 || info.st_uid == geteuid() || around.st_uid == geteuid();
  if ((around.st_mode & S_ISVTX) == 0 || is_ours) return true;
  *reason = errno_text(path, EPERM);
  return false;
}

Fd lock_file(const std::string& path, std::string* reason) {
  constexpr int kAttempts = 10;
  for (int i = 0; i < kAttempts; ++i) {
    Fd fd(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0644));
    if (!fd.is_open()) return fail(path, reason), Fd();
    if (flock(fd.get(), LOCK_EX | LOCK_NB) < 0) {
      *reason = errno == EWOULDBLOCK ? locked_text(fd.get(), path) : errno_text(path);
      return Fd();
    }
    // Whoever had the lock may have removed the file between our two calls.
    if (!is_same_file(fd.get(), path)) continue;
    if (!write_pid(fd.get())) return fail(path, reason), Fd();
    return fd;
  }
  *reason = path + ": somebody keeps removing it";
  return Fd();
}

}  // namespace vipd::sys
