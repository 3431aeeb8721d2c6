// Places in configuration files, and the faults found there. Bounded: a file yields no more faults
// than a person reads, and cannot block a reloading daemon for long.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace vipd::conf {

// There is one for each line: the name of the file is not copied, and has to outlive it.
struct Position {
  std::string_view file;
  size_t line = 0;  // 0: the file as a whole

  // "FILE:LINE", or "FILE".
  [[nodiscard]] std::string text() const {
    return std::string(file) + (line == 0 ? "" : ":" + std::to_string(line));
  }
};

class Errors {
 public:
  static constexpr size_t kMost = 100;

  void add(const Position& place, const std::string& words);
  [[nodiscard]] bool empty() const { return faults_.empty(); }
  [[nodiscard]] size_t count() const { return faults_.size(); }
  // No more are kept: whoever reads on would find nothing that is told.
  [[nodiscard]] bool full() const { return faults_.size() == kMost; }

  // Faults are told in the order in which their files were begun, and by line within each.
  void begin_file(std::string_view file);
  [[nodiscard]] std::vector<std::string> texts() const;

 private:
  struct Fault {
    size_t file;
    Position place;
    std::string words;
  };
  std::vector<Fault> faults_;
  std::map<std::string_view, size_t> files_;
};

}  // namespace vipd::conf
