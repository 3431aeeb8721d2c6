#include "core/snapshot.hpp"

namespace vipd {

void Snapshot::reading(RequestId request) {
  assert(wanted() && request != 0);
  reading_ = request;
}

void Snapshot::checking(RequestId request) {
  assert(checking_ == 0 && request != 0);
  checking_ = request;
}

void Snapshot::load() {
  loaded_ = answered_ = fresh_ = true;
  backoff_ = Duration();
}

void Snapshot::failed(MonoTime now) {
  backoff_ = timing::longer(backoff_);
  read_at_ = now + backoff_;
}

void Snapshot::read_again(MonoTime now) {
  loaded_ = false;
  read_at_ = now;
}

void Snapshot::start_over(MonoTime now) {
  read_at_ = now;
  backoff_ = Duration();
}

void Snapshot::forget(MonoTime now) {
  loaded_ = answered_ = false;
  reading_ = checking_ = 0;
  read_at_ = now;
}

}  // namespace vipd
