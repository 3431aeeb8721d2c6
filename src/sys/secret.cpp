#include "sys/secret.hpp"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "sys/errno_text.hpp"
#include "sys/file.hpp"

namespace vipd::sys {
namespace {

#ifndef STATX_ATTR_MOUNT_ROOT
#define STATX_ATTR_MOUNT_ROOT 0x00002000
#endif

bool is_mounted_alone(int fd) {
  struct statx info {};
  return statx(fd, "", AT_EMPTY_PATH, 0, &info) == 0 &&
         (info.stx_attributes_mask & info.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

bool is_in_memory_read_only(int fd) {
  struct statfs info {};
  if (fstatfs(fd, &info) < 0 || (info.f_flags & ST_RDONLY) == 0) return false;
  return info.f_type == TMPFS_MAGIC || info.f_type == RAMFS_MAGIC;
}

bool is_private(int fd, const struct stat& info) {
  const mode_t mode = info.st_mode & ~S_IFMT;
  if ((mode & (S_IRWXG | S_IRWXO)) == 0) return true;
  const bool is_for_us = info.st_uid == 0 && geteuid() != 0;
  if (is_for_us && (mode & (S_IWGRP | S_IXGRP | S_IRWXO)) == 0) return true;
  return is_mounted_alone(fd) || is_in_memory_read_only(fd);
}

}  // namespace

bool read_private(const std::string& path, size_t max, std::string* out, std::string* reason) {
  struct stat info {};
  const Fd fd = open_regular(path, &info, reason);
  if (!fd.is_open()) return false;
  if (!is_private(fd.get(), info)) {
    *reason = path + ": others than its owner have access; chmod 600 it";
    return false;
  }
  if (!read_up_to(fd.get(), max + 1, out)) {
    *reason = errno_text(path);
    return false;
  }
  if (out->size() <= max) return true;
  *reason = path + ": more than " + std::to_string(max) + " bytes";
  return false;
}

bool read_secret(const std::string& path, size_t max, std::string* out, std::string* reason) {
  if (!read_private(path, max + 2, out, reason)) return false;  // and the line's end
  while (out->ends_with('\n') || out->ends_with('\r')) out->pop_back();
  if (!out->empty() && out->size() <= max && out->find('\n') == std::string::npos) return true;
  *reason = path + ": not one line of at most " + std::to_string(max) + " bytes";
  return false;
}

}  // namespace vipd::sys
