// Files that hold a password, and who else can read them.
#pragma once

#include <cstddef>
#include <string>

namespace vipd::sys {

// One line that nobody else may know, without the line's end. False and a reason also for an empty
// line, a longer one than max bytes, what is not a regular file, and a file that others can read.
// The following do not count as others: its owner; its group if root owns it and the reader is not
// root (0640, as PostgreSQL has it for keys; systemd's credentials look so); and all whom an
// orchestrator lets read it, by a mount made for secrets: the file is a mount of its own, or on a
// read-only tmpfs or ramfs. The mode there is the orchestrator's, and cannot be changed from
// inside. Needs Linux 5.8 to see the mount of a file; before that it is refused.
[[nodiscard]] bool read_secret(const std::string& path, size_t max, std::string* out,
                               std::string* reason);
// Likewise, but for the lines: all of its text, at most max bytes and maybe none.
[[nodiscard]] bool read_private(const std::string& path, size_t max, std::string* out,
                                std::string* reason);

}  // namespace vipd::sys
