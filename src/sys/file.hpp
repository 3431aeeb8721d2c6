// Small files as a whole: read with a bound, replaced at once, locked. Never follows a reader into
// blocking (FIFOs and devices are refused). Each function that fails says why in words.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <cstddef>
#include <string>
#include <string_view>

#include "sys/fd.hpp"

namespace vipd::sys {

// Readers see the old content or the new, never a part: a temporary file in the same folder is
// renamed over the path. Not forced to the disk: that can block for seconds, and what is kept here
// is worth nothing after a crash of the host.
[[nodiscard]] bool write_atomically(const std::string& path, std::string_view content, mode_t mode,
                                    std::string* reason);

// Likewise, by two files that take turns in the path: what is no longer than before needs no new
// space, and can be written where there is none left (a full /run). The other is path +
// kOtherOfTwo.
[[nodiscard]] bool write_by_turns(const std::string& path, std::string_view content, mode_t mode,
                                  std::string* reason);
constexpr char kOtherOfTwo[] = ".other";

// False also for a file of more than max bytes and for what is not a regular file.
[[nodiscard]] bool read_bounded(const std::string& path, size_t max, std::string* out,
                                std::string* reason);

// Opens a regular file for reading, and tells of it; not open, and a reason, for anything else.
[[nodiscard]] Fd open_regular(const std::string& path, struct stat* info, std::string* reason);
// Reads on to the end, or to the block that passes the limit. False and errno when that fails.
[[nodiscard]] bool read_up_to(int fd, size_t limit, std::string* out);

// Whether we may remove what is at the path and make it anew, as its folder lets us.
[[nodiscard]] bool can_be_replaced(const std::string& path, std::string* reason);

// mkdir -p, 0755 less the umask.
[[nodiscard]] bool make_folder(const std::string& path, std::string* reason);

// Creates the file, locks it for the life of the descriptor (flock(2)) and writes our pid there.
// Not open when another process has the lock: the reason then names it.
[[nodiscard]] Fd lock_file(const std::string& path, std::string* reason);

}  // namespace vipd::sys
