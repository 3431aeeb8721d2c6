#include "core/peer_lease.hpp"

#include <algorithm>
#include <cassert>

namespace vipd {

// --- one term

std::vector<Term::Member> Term::members() const {
  assert(key_.valid() && key_.grantors.size() <= kMostGrantors);
  std::vector<Member> members;
  for (const Grantor& grantor : key_.grantors) members.push_back({.who = grantor});
  return members;
}

Term::Member* Term::find(uint64_t incarnation) {
  const auto found = std::find_if(members_.begin(), members_.end(), [&](const Member& member) {
    return member.who.incarnation == incarnation;
  });
  return found == members_.end() ? nullptr : &*found;
}

void Term::asked(uint64_t incarnation, uint64_t nonce, MonoTime now) {
  assert(nonce != 0);
  Member* member = find(incarnation);
  assert(member != nullptr);
  assert(member->asked.empty() || member->asked.back().sent <= now);
  // What an older one grants has run out already.
  std::erase_if(member->asked,
                [&](const Request& request) { return request.sent + key_.timeout <= now; });
  member->asked.push_back({.nonce = nonce, .sent = now});
}

std::optional<Duration> Term::granted(uint64_t incarnation, uint64_t nonce, const std::string& link,
                                      MonoTime now) {
  Member* member = find(incarnation);
  if (member == nullptr) return std::nullopt;
  const auto request = std::find_if(member->asked.begin(), member->asked.end(),
                                    [&](const Request& r) { return r.nonce == nonce; });
  if (request == member->asked.end()) return std::nullopt;
  assert(request->sent <= now);
  MonoTime& newest = member->granted.try_emplace(link, MonoTime::long_ago()).first->second;
  // [safety] From before the request was sent, whenever the answer came.
  newest = std::max(newest, request->sent);
  return now - request->sent;
}

void Term::forget_grants() {
  for (Member& member : members_) {
    member.asked.clear();
    member.granted.clear();
  }
}

// The oldest counts: a grant on one link proves nothing of another.
MonoTime Term::newest(const Member& member, const LinkNames& links) {
  MonoTime oldest = MonoTime::never();
  for (const std::string& link : links) {
    const auto found = member.granted.find(link);
    oldest = std::min(oldest, found == member.granted.end() ? MonoTime::long_ago() : found->second);
  }
  return oldest;
}

MonoTime Term::deadline(const LinkNames& links) const {
  if (links.empty()) return MonoTime::never();
  std::vector<MonoTime> newest;
  for (const Member& member : members_) newest.push_back(Term::newest(member, links));
  std::sort(newest.begin(), newest.end(), std::greater<>());
  const size_t needed = key_.needed_to_own();
  assert(needed >= 1 && needed <= newest.size());
  const MonoTime sent = newest[needed - 1];
  return sent == MonoTime::long_ago() ? sent : sent + key_.timeout;
}

MonoTime Term::first_end(const LinkNames& links) const {
  if (links.empty()) return MonoTime::long_ago();
  MonoTime oldest = MonoTime::never();
  for (const Member& member : members_) oldest = std::min(oldest, newest(member, links));
  return oldest == MonoTime::long_ago() ? oldest : oldest + key_.timeout;
}

std::vector<Grantor> Term::granted_since(MonoTime since, const LinkNames& links) const {
  std::vector<Grantor> grantors;
  for (const Member& member : members_) {
    const bool counts = !links.empty() && newest(member, links) >= since;
    if (counts) grantors.push_back(member.who);
  }
  return grantors;
}

bool Term::ignores_us(uint64_t incarnation, const std::string& link) const {
  for (const Member& member : members_) {
    if (member.who.incarnation != incarnation || member.asked.empty()) continue;
    return newest(member, {link}) < member.asked.back().sent;
  }
  return false;
}

bool Term::lacks_answer(uint64_t incarnation, const LinkNames& links) const {
  return std::any_of(links.begin(), links.end(),
                     [&](const std::string& link) { return ignores_us(incarnation, link); });
}

bool Term::lacks_answer(const LinkNames& links) const {
  return std::any_of(members_.begin(), members_.end(), [&](const Member& member) {
    return lacks_answer(member.who.incarnation, links);
  });
}

MonoTime Term::newest(uint64_t incarnation, const LinkNames& links) const {
  for (const Member& member : members_) {
    if (member.who.incarnation == incarnation) return newest(member, links);
  }
  return MonoTime::long_ago();
}

void Term::keep_only(const std::vector<Grantor>& kept) {
  assert(!kept.empty());
  key_.grantors = kept;
  std::erase_if(members_, [&](const Member& member) {
    return std::find(kept.begin(), kept.end(), member.who) == kept.end();
  });
  assert(members_.size() == kept.size());
}

// --- all of them

void PeerLease::try_term(PeerTerm key, MonoTime now) {
  assert(find(key.number) == nullptr);
  trying_.emplace(std::move(key), now);
}

void PeerLease::entering(const PeerTerm& key) {
  if (is_entering(key)) return;
  assert(trying_ && trying_->key() == key);
  entering_.push_back(*trying_);
}

bool PeerLease::is_entering(const PeerTerm& key) const {
  return std::any_of(entering_.begin(), entering_.end(),
                     [&](const Term& term) { return term.key() == key; });
}

void PeerLease::settled(const PeerTerm* entered, bool left, Revision revision) {
  assert(entered == nullptr || !left);
  if (entered != nullptr) {
    const auto won = std::find_if(entering_.begin(), entering_.end(),
                                  [&](const Term& term) { return term.key() == *entered; });
    assert(won != entering_.end() && revision > revision_);
    in_force_ = *won;
    revision_ = revision;
  }
  if (left) {
    in_force_.reset();
    revision_ = 0;
  }
  // What was granted since was noted in the copy that was being entered.
  if (trying_ && is_entering(trying_->key())) trying_.reset();
  entering_.clear();
}

void PeerLease::take_up(PeerTerm key, Revision revision, MonoTime now) {
  assert(!obeys() && revision > 0);
  in_force_.emplace(std::move(key), now);
  revision_ = revision;
}

void PeerLease::deleted(Revision revision) {
  if (revision != revision_) return;  // another term is in force by now
  in_force_.reset();
  revision_ = 0;
}

void PeerLease::close() {
  *this = PeerLease();
}

void PeerLease::forget_grants() {
  for (Term* term : terms()) term->forget_grants();
}

MonoTime PeerLease::deadline(const LinkNames& links) const {
  MonoTime earliest = MonoTime::never();
  for (const Term* term : obeyed()) earliest = std::min(earliest, term->deadline(links));
  return earliest;
}

std::vector<Term*> PeerLease::terms() {
  std::vector<Term*> all;
  if (in_force_) all.push_back(&*in_force_);
  for (Term& term : entering_) all.push_back(&term);
  const bool tried_only = trying_ && !is_entering(trying_->key());
  if (tried_only) all.push_back(&*trying_);
  return all;
}

std::vector<const Term*> PeerLease::obeyed() const {
  std::vector<const Term*> all;
  if (in_force_) all.push_back(&*in_force_);
  for (const Term& term : entering_) all.push_back(&term);
  return all;
}

Term* PeerLease::find(uint64_t number) {
  for (Term* term : terms()) {
    if (term->key().number == number) return term;
  }
  return nullptr;
}

// --- their course

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
