#include "ctl/feed.hpp"

#include <cassert>

namespace vipd::ctl {
namespace {

constexpr size_t kPiece = 64 << 10;  // bytes, or a line that is longer

}  // namespace

void Feed::add(std::string_view text) {
  if (pieces_.empty() || pieces_.back().size() + text.size() > kPiece) pieces_.emplace_back();
  pieces_.back() += text;
  end_ += text.size();
}

std::string_view Feed::from(uint64_t position) const {
  assert(position >= begin_ && position <= end_);
  uint64_t offset = position - begin_;
  for (const std::string& piece : pieces_) {
    if (offset < piece.size()) return std::string_view(piece).substr(offset);
    offset -= piece.size();
  }
  return {};
}

void Feed::forget_before(uint64_t position) {
  while (!pieces_.empty() && begin_ + pieces_.front().size() <= position) {
    begin_ += pieces_.front().size();
    pieces_.pop_front();
  }
}

}  // namespace vipd::ctl
