#include "core/own_terms.hpp"

#include <algorithm>

namespace vipd {

bool OwnTerms::ask_on(LinkNames links, MonoTime now) {
  const bool another = std::any_of(links.begin(), links.end(), [this](const std::string& link) {
    return std::find(asking_.begin(), asking_.end(), link) == asking_.end();
  });
  asking_ = std::move(links);
  if (another) asking_since_ = now;
  return another;
}

void OwnTerms::trying(MonoTime until) {
  ready_ = false;
  try_until_ = until;
}

bool OwnTerms::refused(const std::string& why) {
  assert(!why.empty());
  if (refusal_ == why) return false;
  refusal_ = why;
  return true;
}

void OwnTerms::entered(MonoTime now, bool changed) {
  entered_at_ = now;
  refusal_.clear();
  (changed ? counts.changed : counts.entered)++;
}

void OwnTerms::leave(std::string why) {
  assert(!is_leaving() && !why.empty());
  leaving_ = std::move(why);
}

void OwnTerms::left(bool was_in_force, MonoTime try_at) {
  if (was_in_force) {
    counts.left++;
    left_because_ = leaving_;
  }
  leaving_.clear();
  try_at_ = try_at;
}

void OwnTerms::lost(bool obeyed, MonoTime now) {
  if (obeyed) {
    counts.lost++;
    left_because_ = is_leaving() ? leaving_ : "the session in etcd was lost";
  }
  leaving_.clear();
  deleting_ = 0;
  try_at_ = now;
}

void OwnTerms::deleting(RequestId request, Revision revision, MonoTime next) {
  assert(!is_deleting() && request != 0 && revision > 0);
  deleting_ = request;
  deleting_revision_ = revision;
  delete_at_ = next;
}

bool OwnTerms::take_deletion(RequestId request) {
  if (deleting_ == 0 || request != deleting_) return false;
  deleting_ = 0;
  return true;
}

}  // namespace vipd
