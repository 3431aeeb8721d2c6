// Random numbers from the kernel: for nonces and for spreading in time.
#pragma once

#include <cstdint>
#include <string>

namespace vipd::sys {

// Aborts when the kernel refuses: a nonce that is not random would not be safe (ARCHITECTURE.md).
[[nodiscard]] uint64_t random_u64();

// The same as 16 hexadecimal digits: a name that nothing else has.
[[nodiscard]] std::string random_text();

}  // namespace vipd::sys
