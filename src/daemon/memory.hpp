// The state directory's session file: what a next process needs to take up the session. Part of
// Kept. Whatever is wrong with the file, it is ignored with a line in the log, and a new session is
// opened.
#pragma once

#include <string>

#include "vipd/event.hpp"

namespace vipd {

constexpr char kMemoryFile[] = "session.json";
// All that we keep in the state directory.
constexpr const char* kStateFiles[] = {"lock", kMemoryFile, "session.json.other", "fence",
                                       "fence.other"};

// Which boot of the host this is; 0 where it cannot be known.
[[nodiscard]] uint64_t this_boot();

// An empty Memory when there is none to be used: no file, not ours, cut short, from another boot or
// for another prefix.
[[nodiscard]] Memory read_memory(const std::string& path, const std::string& prefix);
// Whole or not at all. A Memory without a cluster removes the file.
[[nodiscard]] bool write_memory(const std::string& path, const std::string& prefix,
                                const Memory& memory, std::string* reason);

}  // namespace vipd
