#include "core/read_beats.hpp"

#include <algorithm>
#include <cassert>

namespace vipd {

namespace {

constexpr size_t kMaxReads = 16;

}  // namespace

void ReadBeats::end() {
  wanted_ = reader_ = false;
  deleting_ = 0;
  reads_.clear();
}

void ReadBeats::deleting(RequestId request, MonoTime next) {
  assert(wanted_ && deleting_ == 0 && request != 0);
  deleting_ = request;
  delete_at_ = next;
}

bool ReadBeats::take_deletion(RequestId request) {
  if (deleting_ == 0 || request != deleting_) return false;
  deleting_ = 0;
  return true;
}

MonoTime ReadBeats::next_at(Duration interval, Duration hedge) const {
  return read_at_ + (reads_.empty() ? interval : hedge);
}

void ReadBeats::sent(RequestId request, MonoTime now) {
  assert(wanted_ && request != 0);
  assert(reads_.empty() || reads_.back().sent <= now);
  if (reads_.size() == kMaxReads) reads_.erase(reads_.begin());
  reads_.push_back({.request = request, .sent = now});
  read_at_ = now;
}

std::optional<MonoTime> ReadBeats::answered(RequestId request) {
  const auto found = std::find_if(reads_.begin(), reads_.end(),
                                  [&](const Read& r) { return r.request == request; });
  if (found == reads_.end()) return std::nullopt;
  const MonoTime sent = found->sent;
  reads_.erase(reads_.begin(), found + 1);
  return sent;
}

void ReadBeats::failed(RequestId request) {
  std::erase_if(reads_, [&](const Read& r) { return r.request == request; });
}

}  // namespace vipd
