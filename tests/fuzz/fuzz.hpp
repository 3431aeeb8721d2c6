// What the fuzz targets share. A target is a file fuzz_NAME.cpp with LLVMFuzzerTestOneInput; `make
// fuzz` runs it under libFuzzer, tests/fuzz/replay.cpp feeds it its corpus in `make check`.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace fuzz {

inline std::string_view text_of(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// Ends the process where what must always hold does not: the fuzzer keeps the input.
inline void require(bool holds) {
  if (!holds) abort();
}

// Where to cut a stream of bytes next: always the same for the same bytes.
class Cuts {
 public:
  explicit Cuts(std::string_view bytes) {
    for (const char c : bytes) state_ = (state_ ^ static_cast<uint8_t>(c)) * 1099511628211U;
  }
  // 1 to `left`, mostly little.
  size_t next(size_t left) {
    state_ = state_ * 6364136223846793005U + 1442695040888963407U;
    return 1 + (state_ >> 33) % (left < 16 ? left : 16);
  }

 private:
  uint64_t state_ = 14695981039346656037U;
};

// The bytes as a file, for parsers that read one.
class File {
 public:
  explicit File(std::string_view bytes) : fd_(memfd_create("fuzz", MFD_CLOEXEC)) {
    require(fd_ >= 0 &&
            write(fd_, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
  }
  ~File() { close(fd_); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  [[nodiscard]] std::string path() const { return "/proc/self/fd/" + std::to_string(fd_); }

 private:
  int fd_;
};

}  // namespace fuzz
