#include "core/replay.hpp"

#include <algorithm>

namespace vipd {

namespace {

// Session puts come every second or so; where none comes for so long, a snapshot is cheaper.
constexpr size_t kMaxLog = 1000;

bool is_session_put(const Change& change) {
  return change.entry.key.kind == KeyKind::Session && !change.deleted;
}

bool same(const Change& a, const Change& b) {
  return a.deleted == b.deleted && a.entry.key == b.entry.key &&
         a.entry.modified == b.entry.modified && a.entry.value.nonce == b.entry.value.nonce;
}

}  // namespace

void Replay::load(Revision revision, const std::vector<Entry>& entries) {
  log_.clear();
  floor_ = revision;
  for (const Entry& entry : entries) {
    if (entry.key.kind != KeyKind::Session) continue;
    if (!log_.empty() && entry.modified < log_.front().entry.modified) continue;
    log_.assign(1, Change{.deleted = false, .entry = entry});
  }
}

void Replay::add(const std::vector<Change>& changes) {
  if (!complete()) return;
  for (auto change = changes.begin(); change != changes.end();) {
    const Revision revision = change->entry.modified;
    const auto end = std::find_if(change, changes.end(),
                                  [&](const Change& c) { return c.entry.modified != revision; });
    const bool fresh = revision > floor_ && (log_.empty() || revision > log_.back().entry.modified);
    if (fresh) {
      if (std::any_of(change, end, is_session_put)) log_.clear();
      if (!log_.empty() || std::any_of(change, end, is_session_put)) {
        log_.insert(log_.end(), change, end);
      }
    }
    change = end;
  }
  if (log_.size() > kMaxLog) log_.clear();
  shown_ = log_.size();
}

void Replay::restart(bool held) {
  shown_ = held ? 0 : log_.size();
}

bool Replay::matches(const std::vector<Change>& changes, Revision applied) {
  for (const Change& change : changes) {
    if (complete()) return true;
    if (same(change, log_[shown_])) {
      shown_++;
    } else if (change.entry.modified > applied || change.entry.modified > floor_ ||
               change.entry.modified < log_.front().entry.modified) {
      return false;
    } else if (shown_ == 0 && change.entry.modified > log_.front().entry.modified) {
      return false;  // it begins later than it was asked to
    }
  }
  return true;
}

}  // namespace vipd
