#include "conf/programs.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>

#include "sys/file.hpp"
#include "sys/text.hpp"

namespace vipd::conf {
namespace {

// What the kernel looks at (linux/binfmts.h, BINPRM_BUF_SIZE; 128 before Linux 5.1).
constexpr size_t kSeen = 256;

std::string file_fault(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) < 0) return strerror(errno);
  if (!S_ISREG(info.st_mode)) return "not a regular file";
  return faccessat(AT_FDCWD, path.c_str(), X_OK, AT_EACCESS) < 0 ? strerror(errno) : "";
}

// Of "#!/bin/sh -e", without the mark.
std::string interpreter_fault(std::string_view line) {
  if (line.ends_with('\r')) return "its #! line ends with CR; save it with line ends of Unix";
  line = sys::trimmed(line);
  const std::string interpreter(line.substr(0, line.find_first_of(" \t")));
  if (!interpreter.starts_with('/')) return "its #! line has no full path of an interpreter";
  const std::string fault = file_fault(interpreter);
  return fault.empty() ? "" : "its interpreter " + interpreter + ": " + fault;
}

}  // namespace

std::string program_fault(const std::string& path) {
  std::string fault = file_fault(path);
  if (!fault.empty()) return fault;
  struct stat info {};
  std::string ignored;
  const sys::Fd fd = sys::open_regular(path, &info, &ignored);
  std::string text;
  // A program need not be readable, unless it is a script.
  if (!fd.is_open() || !sys::read_up_to(fd.get(), kSeen, &text)) return "";
  const std::string_view seen = std::string_view(text).substr(0, kSeen);
  if (seen.starts_with("#!")) return interpreter_fault(seen.substr(2, seen.find('\n') - 2));
  // A binary, of ELF or of a format that binfmt_misc knows.
  const bool is_binary = seen.find('\0') != std::string_view::npos;
  return is_binary ? "" : "it has no #! line";
}

}  // namespace vipd::conf
