#include "core/watch.hpp"

#include <algorithm>
#include <map>
#include <utility>

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

namespace {

// Session puts come every second or so; where none comes for so long, a snapshot is cheaper.
constexpr size_t kMaxLog = 10000;

bool is_session_put(const Change& change) {
  return change.entry.key.kind == KeyKind::Session && !change.deleted;
}

bool same(const Change& a, const Change& b) {
  return a.deleted == b.deleted && a.entry.key == b.entry.key &&
         a.entry.modified == b.entry.modified && a.entry.value.nonce == b.entry.value.nonce;
}

}  // namespace

const std::vector<Entry>& Replay::load(Revision revision, std::vector<Entry> entries) {
  *this = Replay();
  floor_ = revision;
  for (const Entry& entry : entries) {
    if (entry.key.kind == KeyKind::Session) begin_ = std::max(begin_, entry.modified);
  }
  snapshot_ = std::move(entries);
  return snapshot_;
}

void Replay::restart() {
  shown_ = 0;
  if (!proven_) log_.clear();
}

void Replay::add(const std::vector<Change>& changes) {
  if (!complete()) return;
  for (auto change = changes.begin(); change != changes.end();) {
    const Revision revision = change->entry.modified;
    const auto end = std::find_if(change, changes.end(),
                                  [&](const Change& c) { return c.entry.modified != revision; });
    if (revision > floor_) {
      if (std::any_of(change, end, is_session_put)) {
        begin_ = revision;
        log_.clear();
      }
      log_.insert(log_.end(), change, end);
      floor_ = revision;
    }
    change = end;
  }
  if (log_.size() > kMaxLog) *this = Replay();
  shown_ = log_.size();
}

bool Replay::matches(const std::vector<Change>& changes, Revision applied) {
  return std::all_of(changes.begin(), changes.end(),
                     [&](const Change& change) { return follows(change, applied); });
}

bool Replay::follows(const Change& change, Revision applied) {
  // Everything up to there has been shown already, if only by a progress notice.
  if (complete()) return change.entry.modified > applied;
  if (proven_) return same(change, log_[shown_++]);
  const Revision revision = change.entry.modified;
  const Revision last = log_.empty() ? begin_ : log_.back().entry.modified;
  if (revision < last || log_.size() > kMaxLog) return false;
  if (revision <= floor_) {
    log_.push_back(change);
    return true;
  }
  proven_ = ends_in_snapshot();
  snapshot_.clear();
  shown_ = log_.size();
  return proven_;
}

bool Replay::ends_in_snapshot() const {
  std::map<Key, const Change*> last;
  for (const Change& change : log_) last[change.entry.key] = &change;
  const auto there = std::count_if(last.begin(), last.end(),
                                   [](const auto& item) { return !item.second->deleted; });
  ptrdiff_t shown = 0;
  for (const Entry& entry : snapshot_) {
    const auto found = last.find(entry.key);
    const bool touched = found != last.end();
    if (touched != (entry.modified >= begin_)) return false;
    if (!touched) continue;
    if (!same(*found->second, {.deleted = false, .entry = entry})) return false;
    shown++;
  }
  return shown == there;
}

}  // namespace vipd
