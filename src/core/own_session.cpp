#include "core/own_session.hpp"

namespace vipd {

namespace {

constexpr Duration kGrantRetry = Duration::milliseconds(500);
constexpr Duration kRevokePatience = Duration::milliseconds(500);

}  // namespace

void OwnSession::granting(RequestId request) {
  assert(state_ == SessionState::Absent && request != 0);
  state_ = SessionState::Granting;
  granting_ = request;
}

void OwnSession::grant_failed(MonoTime now) {
  assert(state_ == SessionState::Granting);
  state_ = SessionState::Absent;
  granting_ = 0;
  grant_at_ = now + kGrantRetry;
}

void OwnSession::open(MonoTime now, std::string instance, uint64_t incarnation, Duration ttl) {
  assert(state_ == SessionState::Granting && incarnation != 0);
  state_ = SessionState::Opening;
  granting_ = 0;
  instance_ = std::move(instance);
  incarnation_ = incarnation;
  opening_since_ = now;
  kept(now, ttl);
}

void OwnSession::take_up(MonoTime now, std::string instance, uint64_t incarnation) {
  assert(state_ == SessionState::Absent && incarnation != 0);
  state_ = SessionState::Opening;
  instance_ = std::move(instance);
  incarnation_ = incarnation;
  taking_up_ = true;
  opening_since_ = keep_at_ = now;
}

void OwnSession::live() {
  assert(state_ == SessionState::Opening);
  state_ = SessionState::Live;
  taking_up_ = false;
}

void OwnSession::lost(MonoTime now) {
  state_ = SessionState::Absent;
  taking_up_ = false;
  incarnation_ = 0;
  granting_ = 0;
  grant_at_ = now;
}

void OwnSession::revoking(RequestId request, MonoTime now) {
  assert(has_lease() && !is_revoking() && request != 0);
  revoking_ = request;
  revoke_by_ = now + kRevokePatience;
}

}  // namespace vipd
