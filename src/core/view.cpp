#include "core/view.hpp"

#include <algorithm>
#include <unordered_set>

#include "core/timing.hpp"

namespace vipd {

int View::Queue::position(LeaseId lease) const {
  for (size_t i = 0; i < candidates.size(); i++) {
    if (candidates[i].lease == lease) return static_cast<int>(i);
  }
  return -1;
}

void View::gather(const std::vector<Entry>& entries) {
  Change change;  // one for all: of thousands the memory would be asked for again and again
  for (const Entry& entry : entries) {
    change.entry = entry;
    apply_change(MonoTime::long_ago(), change);
  }
}

void View::load(MonoTime now, Revision revision, View&& gathered, Duration own_timeout) {
  // What had to be waited out before still has to be.
  MonoTime not_before = unknown_.not_before;
  for (const auto& [vip, queue] : queues_) not_before = std::max(not_before, queue.not_before);
  const MonoTime echoed = echoed_;
  *this = std::move(gathered);
  echoed_ = echoed;
  const Duration longest = std::max(own_timeout, longest_timeout());
  unknown_.not_before = std::max(not_before, now + timing::with_drift(longest));
  for (auto& [vip, queue] : queues_) {
    queue.not_before = unknown_.not_before;
    queue.since.fill(now);
  }
  // [safety] As of now, however early its part of the snapshot came.
  for (auto& [lease, session] : sessions_) {
    (session.present ? session.last_seen : session.gone_since) = now;
  }
  suspect_marked(&unknown_, revision);
  for (auto& [vip, queue] : queues_) suspect_marked(&queue, revision);
  applied_ = revision;
}

// [safety] Nobody knows what was just before a first snapshot: whoever may hold on may have any VIP
// that it is not queued for. Where it is queued, it has let go of whatever it had before.
void View::suspect_marked(Queue* queue, Revision revision) const {
  queue->suspects.clear();
  for (const auto& [lease, mark] : marks_) {
    if (queue->position(lease) < 0) queue->suspects.push_back({.lease = lease, .since = revision});
  }
}

void View::apply(MonoTime now, const std::vector<Change>& changes, Duration own_timeout) {
  const std::span<const Change> all(changes);
  for (size_t begin = 0; begin < all.size();) {
    const Revision revision = all[begin].entry.modified;
    size_t end = begin;
    while (end < all.size() && all[end].entry.modified == revision) end++;
    if (revision > applied_) {
      apply_revision(now, all.subspan(begin, end - begin), own_timeout);
      applied_ = revision;
    }
    begin = end;
  }
}

void View::progress(Revision revision) {
  applied_ = std::max(applied_, revision);
}

void View::restart_waits(MonoTime before, MonoTime now, Duration own_timeout) {
  const MonoTime anew = now + timing::with_drift(std::max(own_timeout, longest_timeout()));
  const auto restart = [&](Queue* queue) {
    if (queue->not_before > before) queue->not_before = std::max(queue->not_before, anew);
    queue->since.fill(now);
  };
  restart(&unknown_);
  for (auto& [vip, queue] : queues_) restart(&queue);
  for (auto& [lease, session] : sessions_) session.last_seen = session.gone_since = now;
}

View::Before View::remember(const Address& vip) const {
  Before before{.vip = vip};
  const std::vector<Candidate>& candidates = queue(vip).candidates;
  for (size_t i = 0; i < before.first.size() && i < candidates.size(); i++) {
    before.first[i] = candidates[i];
  }
  const Session* head = session(before.first[0].lease);
  if (head != nullptr) {
    before.writes = head->writes;
    before.instance = head->instance;
  }
  return before;
}

// One revision is one moment: keys that went in it went together.
void View::apply_revision(MonoTime now, std::span<const Change> changes, Duration own_timeout) {
  std::vector<Before> touched;
  std::unordered_set<Address, Address::Hash> listed;
  std::vector<Release> released;
  bool shrank = false;
  for (const Change& change : changes) {
    const Key& key = change.entry.key;
    shrank = shrank || change.deleted;
    if (key.kind == KeyKind::Session && !change.deleted && change.entry.value.released) {
      released.push_back({.lease = key.lease, .held = change.entry.value.held});
    }
    if (key.kind != KeyKind::Candidate) continue;
    if (listed.insert(key.vip).second) touched.push_back(remember(key.vip));
  }
  for (const Change& change : changes) apply_change(now, change);
  for (const Before& before : touched) {
    const LeaseId head = before.first[0].lease;
    const auto release = std::find_if(released.begin(), released.end(),
                                      [&](const Release& r) { return r.lease == head; });
    judge_head(now, before, release == released.end() ? nullptr : &*release,
               changes.front().entry.modified, own_timeout);
  }
  if (shrank) drop_forgotten(now);
}

void View::apply_change(MonoTime now, const Change& change) {
  const Key& key = change.entry.key;
  switch (key.kind) {
    case KeyKind::Session:
      apply_session(now, change);
      break;
    case KeyKind::Writes:
      sessions_[key.lease].writes = !change.deleted;
      break;
    case KeyKind::Candidate:
      apply_candidate(change);
      break;
    case KeyKind::Peers:
      apply_peers(change);
      break;
    case KeyKind::Hold:
      apply_mark(change);
      break;
  }
}

// A mark that somebody wrote over is there until it is deleted.
void View::apply_mark(const Change& change) {
  const Entry& entry = change.entry;
  const LeaseId lease = entry.key.lease;
  if (change.deleted) {
    marks_.erase(lease);
    return clear_suspects(lease, entry.modified);
  }
  Peers& mark = marks_[lease];
  mark.modified = entry.modified;
  if (!entry.value.valid) return;
  mark.term = entry.value.peers;
  mark.node = entry.value.node;
  mark.owner = {.incarnation = entry.value.incarnation, .host = entry.value.host};
}

// What it has acted on up to `seen`, it has let go of.
void View::clear_suspects(LeaseId lease, Revision seen) {
  const auto clear = [&](Queue* queue) {
    std::erase_if(queue->suspects,
                  [&](const Suspect& s) { return s.lease == lease && s.since <= seen; });
  };
  clear(&unknown_);
  for (auto& [vip, queue] : queues_) clear(&queue);
}

void View::apply_peers(const Change& change) {
  const Entry& entry = change.entry;
  if (change.deleted || !entry.value.valid) {
    peers_.erase(entry.key.lease);
    return;
  }
  peers_[entry.key.lease] = {.term = entry.value.peers, .modified = entry.modified};
}

void View::apply_session(MonoTime now, const Change& change) {
  Session& session = sessions_[change.entry.key.lease];
  if (change.deleted) {
    session.present = false;
    session.gone_since = now;
    return;
  }
  const Value& value = change.entry.value;
  session.present = true;
  session.known = true;
  session.modified = change.entry.modified;
  session.last_seen = now;
  // A value that somebody scribbled over says nothing of the timeout: what was known still holds.
  if (value.valid) {
    session.timeout = value.timeout;
    session.node = value.node;
    session.instance = value.instance;
    session.incarnation = value.incarnation;
    session.honours = value.honours;
    session.host = value.host;
    session.seen = std::max(session.seen, value.seen);
    // Only an owner with a mark is a suspect.
    if (marks_.contains(change.entry.key.lease)) {
      clear_suspects(change.entry.key.lease, session.seen);
    }
  }
}

void View::apply_candidate(const Change& change) {
  as_of_.number++;
  const Entry& entry = change.entry;
  auto [place, fresh] = queues_.try_emplace(entry.key.vip, Slot{unknown_, nullptr});
  std::vector<Candidate>& candidates = place->second.candidates;
  const auto same = std::find_if(candidates.begin(), candidates.end(),
                                 [&](const Candidate& c) { return c.lease == entry.key.lease; });
  const bool there = same != candidates.end();
  if (change.deleted) {
    if (!there) return;
    if (!same->ours) foreign_--;
    candidates.erase(same);
    sessions_[entry.key.lease].candidates--;
    return;
  }
  const Candidate candidate{.lease = entry.key.lease,
                            .created = entry.created,
                            .node = entry.value.node,
                            .priority = entry.value.priority,
                            .ours = entry.value.valid};
  if (there) {
    if (!same->ours) foreign_--;
    candidates.erase(same);
  } else {
    sessions_[entry.key.lease].candidates++;
  }
  if (!candidate.ours) foreign_++;
  const auto behind = std::find_if(candidates.begin(), candidates.end(), [&](const Candidate& c) {
    return c.created > candidate.created;
  });
  candidates.insert(behind, candidate);
}

// [safety] Whoever was head may have held the VIP until its fencing deadline, however its key went,
// unless the same revision says that it had let go.
void View::judge_head(MonoTime now, const Before& before, const Release* release, Revision revision,
                      Duration own_timeout) {
  Queue& queue = queues_[before.vip];
  const auto stays = [&](size_t place) {
    const Candidate& was = before.first[place];
    if (place >= queue.candidates.size()) return was.lease == LeaseId::None;
    const Candidate& is = queue.candidates[place];
    return is.lease == was.lease && is.created == was.created;
  };
  for (size_t place = 0; place < queue.since.size(); place++) {
    if (!stays(place)) queue.since[place] = now;
  }
  // A candidate that was not better before is so from now on.
  if (stays(1) && queue.candidates.size() > 1 &&
      queue.candidates[1].priority > before.first[1].priority) {
    queue.since[1] = now;
  }
  const Candidate& head = before.first[0];
  if (stays(0) || head.lease == LeaseId::None) return;
  const std::string who = head.node.empty() ? lease_hex(head.lease) : head.node;
  const Session* session = this->session(head.lease);
  queue.handed_on = false;
  if (release != nullptr) {
    // Whoever ends a silent session has waited it out, and says so in its own name.
    const bool itself = session != nullptr && session->instance == before.instance;
    queue.cause = itself ? TakeoverCause::Released : TakeoverCause::Silent;
    queue.how = who + (itself ? " released it" : " fell silent and was waited out");
    // [safety] Whoever held a VIP had waited out everybody before it, so nobody is left to be
    // waited for. A place in the queue that is given up proves nothing of the kind.
    queue.handed_on = itself && release->held;
    if (queue.handed_on) {
      queue.not_before = now;
      queue.suspects.clear();
    }
    queue.handed_on_after = echoed_;
    judge_suspect(&queue, head.lease, itself, revision);
    return;
  }
  judge_suspect(&queue, head.lease, false, revision);
  queue.cause = TakeoverCause::Vanished;
  queue.how = who + " left without a release and was waited out";
  const bool known = session != nullptr && session->known;
  const Duration timeout = known && session->timeout > Duration() ? session->timeout : own_timeout;
  // A session whose heartbeats are reads leaves no trace of them, and nobody knows how a foreign
  // candidate lets go: both are waited for from now on.
  const MonoTime last = known && before.writes ? session->last_seen : now;
  queue.not_before = std::max(queue.not_before, last + timing::with_drift(timeout));
}

// [safety] Whoever has a mark may hold on without etcd, however its key went, unless it says that
// it has let go. Whoever ends a session with the word of a grantor deletes its mark as well.
void View::judge_suspect(Queue* queue, LeaseId head, bool released, Revision revision) const {
  std::erase_if(queue->suspects, [&](const Suspect& s) { return s.lease == head; });
  if (released || !marks_.contains(head)) return;
  queue->suspects.push_back({.lease = head, .since = revision});
}

void View::drop_forgotten(MonoTime now) {
  std::erase_if(sessions_, [](const auto& item) {
    const Session& session = item.second;
    return !session.present && !session.writes && session.candidates == 0;
  });
  const size_t erased = std::erase_if(queues_, [&](const auto& item) {
    const Queue& queue = item.second;
    return queue.candidates.empty() && queue.suspects.empty() && queue.not_before <= now &&
           unknown_.not_before <= now;
  });
  if (erased != 0) forget_order();
}

const View::Peers* View::mark(LeaseId lease) const {
  const auto found = marks_.find(lease);
  return found == marks_.end() ? nullptr : &found->second;
}

bool View::all_honour_marks() const {
  return foreign_ == 0 && std::all_of(sessions_.begin(), sessions_.end(), [](const auto& item) {
           return !item.second.present || item.second.honours;
         });
}

const View::Session* View::session(LeaseId lease) const {
  const auto found = sessions_.find(lease);
  return found == sessions_.end() ? nullptr : &found->second;
}

// The VIPs are always walked through in the same order: the queue that was asked for after this one
// the last time is the likely next, and needs no search.
const View::Queue& View::queue(const Address& vip) const {
  if (asked_ != nullptr && asked_->first == vip) return asked_->second;
  const std::pair<const Address, Slot>* found =
      asked_ == nullptr ? nullptr : asked_->second.next_asked;
  if (found == nullptr || found->first != vip) {
    const auto searched = queues_.find(vip);
    if (searched == queues_.end()) return unknown_;
    found = &*searched;
    if (asked_ != nullptr) asked_->second.next_asked = found;
  }
  asked_ = found;
  return found->second;
}

void View::forget_order() {
  asked_ = nullptr;
  for (auto& [vip, slot] : queues_) slot.next_asked = nullptr;
}

std::vector<Address> View::vips_of(LeaseId lease) const {
  std::vector<Address> vips;
  for (const auto& [vip, queue] : queues_) {
    if (queue.position(lease) >= 0) vips.push_back(vip);
  }
  std::sort(vips.begin(), vips.end());
  return vips;
}

const View::Candidate* View::candidate(const Address& vip, LeaseId lease) const {
  for (const Candidate& candidate : queue(vip).candidates) {
    if (candidate.lease == lease) return &candidate;
  }
  return nullptr;
}

Duration View::longest_timeout() const {
  Duration longest;
  for (const auto& [lease, session] : sessions_) longest = std::max(longest, session.timeout);
  return longest;
}

}  // namespace vipd
