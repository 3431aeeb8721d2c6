// A fuzz target without a fuzzer: feeds it every file of the folder that is named, and each of the
// files' beginnings. Prints `NAME: PASS` at the end; what fails ends the process before.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>

#include "fuzz/fuzz.hpp"

namespace {

constexpr size_t kBeginnings = 1024;

// A copy of exactly that size: a byte read behind it is seen by the sanitizer.
void feed(const std::string& bytes, size_t size) {
  const auto copy = std::make_unique<uint8_t[]>(size);
  std::copy_n(bytes.data(), size, copy.get());
  LLVMFuzzerTestOneInput(copy.get(), size);
}

void feed_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  for (size_t size = 0; size < std::min(bytes.size(), kBeginnings); ++size) feed(bytes, size);
  feed(bytes, bytes.size());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  int files = 0;
  std::error_code problem;
  for (const auto& entry : std::filesystem::directory_iterator(argv[2], problem)) {
    fprintf(stderr, "%s\n", entry.path().c_str());  // the last one named is the one that fails
    feed_file(entry.path());
    ++files;
  }
  printf("%s: %s: %d files\n", argv[1], files > 0 ? "PASS" : "FAIL", files);
  return files > 0 ? 0 : 1;
}
