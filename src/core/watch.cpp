#include "core/watch.hpp"

namespace vipd {

namespace {

// A cluster without a leader ends watches at once, and each try costs little.
constexpr Duration kLastRetry = Duration::milliseconds(250);

}  // namespace

void Watch::opening(MonoTime now, Duration patience) {
  state_ = State::Opening;
  opened_ = now;
  next_at_ = now + std::max(backoff_, patience * 2);
}

void Watch::advanced() {
  state_ = State::Open;
  backoff_ = Duration();
  elsewhere_ = false;
}

void Watch::ended(MonoTime now) {
  state_ = State::Closed;
  elsewhere_ = true;
  next_at_ = now + backoff_;
  backoff_ = std::min(timing::longer(backoff_), kLastRetry);
}

void Watch::late() {
  backoff_ = timing::longer(backoff_);
  awaited_ = 0;
}

void Watch::close(MonoTime now) {
  state_ = State::Closed;
  next_at_ = now;
}

void Watch::forget() {
  state_ = State::Closed;
  awaited_ = 0;
}

void Watch::await(Revision revision, MonoTime now) {
  if (revision > awaited_) awaited_since_ = now;
  awaited_ = std::max(awaited_, revision);
}

}  // namespace vipd
