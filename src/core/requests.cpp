#include "core/requests.hpp"

namespace vipd {

RequestId Requests::next() {
  asked_at_.emplace(++last_, revision_);
  return last_;
}

Revision Requests::floor(RequestId request) const {
  const auto found = asked_at_.find(request);
  return found == asked_at_.end() ? 0 : found->second;
}

void Requests::forget() {
  asked_at_.clear();
  revision_ = 0;
}

bool Requests::heard(MonoTime now) {
  heard_at_ = now;
  return std::exchange(lost_, false);
}

bool Requests::lost(MonoTime now, Duration patience) {
  if (lost_ || now < heard_at_ + patience) return false;
  lost_ = true;
  return true;
}

}  // namespace vipd
