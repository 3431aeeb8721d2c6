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

// --- the reads of all keys

void Snapshot::reading(RequestId request) {
  assert(wanted() && request != 0);
  reading_ = request;
}

void Snapshot::checking(RequestId request) {
  assert(checking_ == 0 && request != 0);
  checking_ = request;
}

// [safety] What came of one answer, and was cut off, is no part of the next.
Snapshot::Arrived& Snapshot::arrives(const event::PrefixRead& part) {
  if (std::exchange(arrived_.request, part.request) != part.request) {
    arrived_.entries.clear();
    arrived_.view = View();
  }
  arrived_.entries.insert(arrived_.entries.end(), part.entries.begin(), part.entries.end());
  if (part.request == reading_) arrived_.view.gather(part.entries);
  return arrived_;
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
