// The lines for all streaming clients. Each byte is kept once, until the slowest client has been
// sent it. Knows nothing of connections.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <string>
#include <string_view>

namespace vipd::ctl {

class Feed {
 public:
  void add(std::string_view text);
  [[nodiscard]] uint64_t end() const { return end_; }
  // What follows there, as far as it is kept in one piece. REQUIRES: it was not forgotten.
  [[nodiscard]] std::string_view from(uint64_t position) const;
  // Nobody asks for what is before it any more.
  void forget_before(uint64_t position);

 private:
  std::list<std::string> pieces_;
  uint64_t begin_ = 0;
  uint64_t end_ = 0;
};

}  // namespace vipd::ctl
