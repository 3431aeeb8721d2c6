// The terms of our own peer lease (ARCHITECTURE.md, "The peer lease"): when one is tried, entered,
// changed and left, and the deadline that follows from it.
#include <algorithm>
#include <cassert>
#include <utility>

#include "core/core_impl.hpp"
#include "core/timing.hpp"

namespace vipd {

namespace {

constexpr Duration kTryAgain = Duration::seconds(1);
// A flapping node must not cost etcd much.
constexpr Duration kBetweenTerms = Duration::seconds(2);
constexpr Duration kFirstBackoff = Duration::seconds(2);
constexpr Duration kLastBackoff = Duration::seconds(60);
constexpr Duration kMinute = Duration::seconds(60);

Duration whole_milliseconds(Duration d) {
  return Duration::milliseconds((d.ns() + 999'999) / 1'000'000);
}

bool listed(const PeerTerm& term, uint64_t incarnation) {
  return std::any_of(term.grantors.begin(), term.grantors.end(),
                     [&](const Grantor& g) { return g.incarnation == incarnation; });
}

std::vector<uint64_t> incarnations_of(const std::vector<Grantor>& grantors) {
  std::vector<uint64_t> out;
  for (const Grantor& grantor : grantors) out.push_back(grantor.incarnation);
  return out;
}

void add_once(LinkNames* links, const std::string& link) {
  if (std::find(links->begin(), links->end(), link) == links->end()) links->push_back(link);
}

}  // namespace

// --- the deadline

// [safety] Whatever is owned needs both: a heartbeat that etcd has shown, and the grants of every
// term that may be in force.
MonoTime Core::Impl::deadline() const {
  return std::min(chain_.deadline(), peer_deadline_);
}

// To be called whenever a term, a grant or the links that carry an address may have changed.
void Core::Impl::refresh_peer_deadline() {
  carrying_.clear();
  for (const Vip& vip : vips_) {
    if (vip.address != Vip::AddressState::Absent) add_once(&carrying_, vip.settings.link);
  }
  peer_deadline_ = peer_lease_.deadline(carrying_);
}

// [safety] The kernel drops the VIPs' packets from the same instant on, whatever this process does.
// What a former process left on a link is guarded by what that process set, until we have
// authority.
void Core::Impl::update_fence() {
  if (!fence_told_ || (!fence_ && !chain_.live())) return;
  const bool inherits = std::any_of(vips_.begin(), vips_.end(), [](const Vip& vip) {
    return vip.address == Vip::AddressState::Inherited;
  });
  if (inherits && now_ >= deadline()) return;
  const bool guards = peer_lease_.obeys() || !carrying_.empty();
  MonoTime wanted = guards ? deadline() : MonoTime::never();
  if (leaves_one_behind()) wanted = MonoTime::long_ago();
  if (fence_ == wanted) return;
  fence_ = wanted;
  emit(action::SetFence{.deadline = wanted, .suspended = step_.suspended()});
}

// [safety] The kernel may refuse to remove an address, and somebody else may have it by now. New
// authority, of another session perhaps, does not speak for that one.
bool Core::Impl::leaves_one_behind() const {
  return std::any_of(vips_.begin(), vips_.end(), [this](const Vip& vip) {
    return vip.address == Vip::AddressState::Removing && !vip.key.is_of(headed_since(vip));
  });
}

bool Core::Impl::peers_allow(const Vip& vip) const {
  if (!peer_lease_.obeys()) return true;
  if (unfenced_ || !fence_in_force_) return false;
  LinkNames links = carrying_;
  add_once(&links, vip.settings.link);
  return now_ < peer_lease_.deadline(links) - timing::kTakeDownMargin;
}

void Core::Impl::on(const event::FenceChanged& e) {
  fence_told_ = true;
  fence_in_force_ = e.in_force;
  fence_reason_ = e.reason;
  fence_.reset();
  // What counts from now on was seen by the new one.
  if (e.in_force) unfenced_ = false;
}

// --- the process and its session

void Core::Impl::begin_incarnation() {
  incarnation_ = step_.incarnation();
}

void Core::Impl::end_incarnation() {
  incarnation_ = 0;
  if (peer_lease_.obeys()) {
    terms_.lost++;
    left_because_ = leaving_.empty() ? "the session in etcd was lost" : leaving_;
  }
  peer_lease_.close();
  leaving_.clear();
  unfenced_ = false;
  deleting_term_ = 0;
  try_at_ = now_;
}

// --- trying

void Core::Impl::drive_peers() {
  if (!chain_.live() && !peer_lease_.obeys()) return;
  ask_where_needed();
  consider_leaving();
  if (!may_try()) peer_lease_.drop_try();
  judge_try();
  consider_trying();
  for (Term* term : peer_lease_.terms()) ask_grantors(term);
  delete_term();
  make_way();
}

// On each link that carries an address, or is about to. On another one than before at once: without
// grants on it nothing is taken there.
void Core::Impl::ask_where_needed() {
  LinkNames links = carrying_;
  for (const Vip& vip : vips_) {
    if (wanted(vip) && headed_since(vip) != 0) add_once(&links, vip.settings.link);
  }
  const bool another = std::any_of(links.begin(), links.end(), [this](const std::string& link) {
    return std::find(asking_.begin(), asking_.end(), link) == asking_.end();
  });
  asking_ = std::move(links);
  if (!another) return;
  asking_since_ = now_;
  for (Term* term : peer_lease_.terms()) term->renew_at = now_;
}

// While etcd does not answer, terms stay as they are.
bool Core::Impl::may_try() const {
  const bool owns = std::any_of(vips_.begin(), vips_.end(), [](const Vip& vip) {
    return vip.address == Vip::AddressState::Present;
  });
  return settings_.peer_timeout > Duration() && fence_in_force_ && owns && snapshot_.loaded() &&
         !read_beats_.wanted() && !orders_.stopping && leaving_.empty() && replay_.proven() &&
         is_echoed();
}

// Whether etcd shows our heartbeats, as of now.
bool Core::Impl::is_echoed() const {
  const MonoTime sent = chain_.deadline() - settings_.timeout;
  return now_ - sent < settings_.heartbeat * 5 / 2;
}

// The quickest first; the slow ones are left out before they make the term long.
std::vector<uint64_t> Core::Impl::candidates() {
  std::vector<uint64_t> all;
  for (const auto& [lease, session] : view_.sessions()) {
    if (!session.present || session.incarnation == 0 || lease == chain_.lease()) continue;
    const bool has =
        peer_lease_.in_force() && listed(peer_lease_.in_force()->key(), session.incarnation);
    if (has || due(peers_[session.incarnation].try_at)) all.push_back(session.incarnation);
  }
  const auto quicker = [this](uint64_t a, uint64_t b) {
    return std::pair(peers_[a].delay(), a) < std::pair(peers_[b].delay(), b);
  };
  std::sort(all.begin(), all.end(), quicker);
  const auto is_slow = [this](uint64_t who) {
    return peers_[who].delay() * 4 > settings_.peer_timeout;
  };
  while (all.size() > kMostGrantors || (all.size() > 2 && is_slow(all.back()))) all.pop_back();
  while (all.size() > 1 && peers_[all.back()].delay() * 8 > settings_.timeout) all.pop_back();
  return all;
}

// A grantor's host may stall now and then, as virtual machines do. A term with one grantor has to
// outlast its death, and an election of etcd's leader with it.
Duration Core::Impl::timeout_for(const std::vector<uint64_t>& incarnations) const {
  Duration timeout = settings_.peer_timeout;
  for (const uint64_t who : incarnations) {
    const auto peer = peers_.find(who);
    if (peer != peers_.end()) timeout = std::max(timeout, peer->second.delay() * 4);
  }
  if (incarnations.size() == 1) timeout = std::max(timeout, settings_.timeout / 2);
  return whole_milliseconds(timeout);
}

bool Core::Impl::key_in_place() const {
  if (view_.applied() < peer_lease_.revision()) return true;  // not shown yet
  const auto found = view_.peers().find(chain_.lease());
  return found != view_.peers().end() && found->second.modified == peer_lease_.revision();
}

bool Core::Impl::change_wanted(const std::vector<uint64_t>& candidates) {
  const Term& term = *peer_lease_.in_force();
  const PeerTerm& key = term.key();
  if (!key_in_place()) return true;
  for (const Grantor& grantor : key.grantors) {
    const MonoTime newest = std::max(term.since(), term.newest(grantor.incarnation, carrying_));
    if (due(newest + key.timeout / 2)) return true;
  }
  const bool another = std::any_of(candidates.begin(), candidates.end(),
                                   [&](uint64_t who) { return !listed(key, who); });
  if (another && key.grantors.size() < kMostGrantors) return true;
  const Duration wanted = timeout_for(incarnations_of(key.grantors));
  return wanted > key.timeout || (wanted * 2 <= key.timeout && due(term.since() + kMinute));
}

bool Core::Impl::all_renew(const Term& term) const {
  const MonoTime lately = now_ - term.key().timeout / 2;
  return term.granted_since(lately, carrying_).size() == term.key().grantors.size();
}

void Core::Impl::consider_trying() {
  if (peer_lease_.trying() || peer_lease_.is_entering() || !may_try() || !due(try_at_)) return;
  const std::vector<uint64_t> who = candidates();
  if (who.empty()) return refuse_term("no other node takes part");
  const bool has = peer_lease_.in_force().has_value();
  if (has && (!due(entered_at_ + kBetweenTerms) || !change_wanted(who))) return;
  const Duration timeout = timeout_for(who);
  if (timeout * 2 > settings_.timeout) {
    return refuse_term("the other nodes answer too slowly for a term below half of the timeout");
  }
  try_term(who, timeout);
}

void Core::Impl::refuse_term(const std::string& why) {
  try_at_ = now_ + kTryAgain;
  due(try_at_);
  if (peer_lease_.obeys() || no_term_ == why) return;
  no_term_ = why;
  report(ReportKind::TermRefused, "no peer lease: " + why);
}

void Core::Impl::try_term(const std::vector<uint64_t>& incarnations, Duration timeout) {
  assert(!incarnations.empty() && timeout * 2 <= settings_.timeout);
  PeerTerm key{.number = fresh_nonce(), .timeout = timeout};
  for (const uint64_t who : incarnations) {
    key.grantors.push_back({.incarnation = who, .secret = fresh_nonce()});
  }
  peer_lease_.try_term(std::move(key), now_);
  try_judged_ = false;
  try_until_ = now_ + timeout / 2;
}

// Only those that granted in time are listed.
void Core::Impl::judge_try() {
  std::optional<Term>& term = peer_lease_.trying();
  if (!term || try_judged_) return;
  const PeerTerm& key = term->key();
  const std::vector<Grantor> granted = term->granted_since(term->since(), asking_);
  if (granted.size() < key.grantors.size() && !due(try_until_)) return;
  for (const Grantor& grantor : key.grantors) {
    if (std::find(granted.begin(), granted.end(), grantor) != granted.end()) continue;
    Peer& peer = peers_[grantor.incarnation];
    if (now_ - peer.try_at > kLastBackoff * 10) peer.backoff = Duration();
    peer.backoff = std::clamp(peer.backoff * 2, kFirstBackoff, kLastBackoff);
    peer.try_at = now_ + peer.backoff;
  }
  const std::vector<uint64_t> who = incarnations_of(granted);
  const Duration timeout = granted.empty() ? Duration() : timeout_for(who);
  const std::optional<Term>& old = peer_lease_.in_force();
  // Whoever let the old one expire grants in a new one only, though the list is the same.
  const bool same =
      old && key_in_place() && old->key().timeout == key.timeout && all_renew(*old) &&
      old->key().grantors.size() == granted.size() &&
      std::all_of(who.begin(), who.end(), [&](uint64_t each) { return listed(old->key(), each); });
  if (granted.empty() || same || timeout * 2 > settings_.timeout) {
    peer_lease_.drop_try();
    if (!same) terms_.refused++;
    if (!same) return refuse_term("no other node grants one in time");
    try_at_ = now_ + kTryAgain;
    due(try_at_);
    return;
  }
  if (timeout > key.timeout) {  // fewer than were asked, or slower
    peer_lease_.drop_try();
    return try_term(who, timeout);
  }
  term->keep_only(granted);
  try_judged_ = true;
}

// --- entering and leaving: links of the chain

// What of the peer lease the next link does.
void Core::Impl::add_term_to(Link* link) {
  if (read_beats_.wanted() || !chain_.live()) return;
  link->leave_term = !leaving_.empty() && peer_lease_.obeys();
  std::optional<Term>& term = peer_lease_.trying();
  if (link->leave_term || !term || !try_judged_ || !may_try()) return;
  const Duration left = term->deadline(carrying_) - now_;
  if (peer_lease_.is_entering(term->key())) {
    link->enter = term->key();
  } else if (carrying_.empty() || left * 2 < term->key().timeout) {
    peer_lease_.drop_try();  // what was granted is too old by now
    step_.again(now_);
  } else {
    link->enter = term->key();
  }
}

void Core::Impl::settle_term(const Chain::Outcome& outcome) {
  const Link& link = outcome.link;
  const bool obeyed = peer_lease_.obeys();
  const bool had = peer_lease_.in_force().has_value();
  peer_lease_.settled(link.enter ? &*link.enter : nullptr, link.leave_term, outcome.revision);
  if (link.enter) {
    entered_at_ = now_;
    no_term_.clear();
    (had ? terms_.changed : terms_.entered)++;
    report(ReportKind::TermEntered, "peer lease: renewed by " + nodes_of(*link.enter) +
                                        ", timeout " + std::to_string(link.enter->timeout.ms()) +
                                        " ms");
  }
  if (obeyed && !peer_lease_.obeys()) term_is_left(had);
  refresh_peer_deadline();
}

// Nothing is obeyed any more. One that was never in force does not count.
void Core::Impl::term_is_left(bool was_in_force) {
  if (was_in_force) {
    terms_.left++;
    left_because_ = leaving_;
  }
  leaving_.clear();
  unfenced_ = false;
  try_at_ = now_ + kTryAgain;
}

void Core::Impl::leave_term(const std::string& why) {
  if (!leaving_.empty()) return;
  assert(peer_lease_.obeys() && !why.empty());
  leaving_ = why;
  peer_lease_.drop_try();
  report(ReportKind::TermLeft, "peer lease left: " + why);
}

void Core::Impl::consider_leaving() {
  if (!peer_lease_.obeys() || !leaving_.empty()) return;
  if (settings_.peer_timeout == Duration()) return leave_term("it was switched off");
  if (!fence_in_force_) return leave_term(fence_reason_);
  if (unfenced_) return leave_term("the packet fence did not see a grant");
  if (asking_.empty()) return leave_term("nothing is owned");
  // A deletion that is sent into the void may be executed when nobody hears of it, and then the
  // others must wait for the whole timeout.
  if (!is_echoed()) return;
  // Whoever is about to own something is held back by a term without grants just as well.
  const LinkNames& links = carrying_.empty() ? asking_ : carrying_;
  for (const Term* term : peer_lease_.obeyed()) {
    const Duration half = term->key().timeout / 2;
    const MonoTime late = std::max(term->since() + half, term->deadline(links) - half);
    if (due(late)) return leave_term("the other nodes do not grant it in time");
    // Where nobody is to renew it, no term is worth a VIP that could be had without one.
    const MonoTime asked = std::max(term->since(), asking_since_) + term->key().timeout;
    const bool is_renewed = !due(std::max(asked, term->deadline(asking_) - half));
    if (!is_renewed) return leave_term("the other nodes do not renew it on all links");
  }
}

// While etcd takes no writes it takes deletions. [safety] This one ends the term of that revision
// and no other: one that is being entered is obeyed until the chain says what became of it.
void Core::Impl::delete_term() {
  const bool wanted =
      read_beats_.wanted() && !leaving_.empty() && peer_lease_.in_force().has_value();
  if (!wanted || deleting_term_ != 0 || !due(delete_term_at_)) return;
  const Key key{KeyKind::Peers, chain_.lease(), {}};
  deleting_revision_ = peer_lease_.revision();
  Txn txn;
  txn.compares = {{.kind = Compare::Kind::ModifiedIs, .key = key, .revision = deleting_revision_}};
  txn.success = {{.kind = Op::Kind::Delete, .key = key}};
  const Key session{KeyKind::Session, chain_.lease(), {}};
  txn.failure = {{.kind = Op::Kind::Range, .key = key}, {.kind = Op::Kind::Range, .key = session}};
  deleting_term_ = next_request();
  delete_term_at_ = now_ + timing::hedge_after(settings_.timeout);
  emit(action::SendTxn{.request = deleting_term_,
                       .group = static_cast<uint64_t>(chain_.lease()),
                       .txn = std::move(txn)});
}

// Where etcd takes no writes, nothing tells for hours what became of a term that was being entered.
// Without its grants nobody here may own, and somebody else shall.
void Core::Impl::make_way() {
  if (!read_beats_.wanted() || !peer_lease_.is_entering() || asking_.empty()) return;
  MonoTime without = peer_lease_.deadline(asking_);
  for (const Term* term : peer_lease_.obeyed()) without = std::max(without, term->since());
  if (!due(without + settings_.timeout)) return;
  for (Vip& vip : vips_) {
    const bool others = view_.queue(vip.settings.address).candidates.size() > 1;
    const bool idle = vip.address == Vip::AddressState::Absent && headed_since(vip) != 0;
    if (idle && others) vip.resigning = true;
  }
}

bool Core::Impl::term_deletion_answered(const event::TxnAnswered& e) {
  if (deleting_term_ == 0 || e.request != deleting_term_) return false;
  deleting_term_ = 0;
  // Gone by this try, or by an earlier one whose answer was lost. [safety] A key that is gone says
  // nothing by itself: whoever ended our session has deleted it, too.
  const bool gone = e.entries.size() == 1 && e.entries.front().key.kind == KeyKind::Session &&
                    e.entries.front().modified == chain_.end();
  const bool had = peer_lease_.in_force().has_value();
  if (e.succeeded || gone) peer_lease_.deleted(deleting_revision_);
  if (had && !peer_lease_.obeys()) term_is_left(true);
  return true;
}

// --- asking

// Unicast, so that switches and wireless networks do not carry it everywhere; to all again where
// the last one had no answer, since a host may have another card by now.
void Core::Impl::ask_grantors(Term* term) {
  if (!due(term->renew_at)) return;
  const PeerTerm& key = term->key();
  term->renew_at = now_ + key.timeout / 4;
  due(term->renew_at);
  for (const Grantor& grantor : key.grantors) {
    const std::map<std::string, MacAddress>& macs = peers_[grantor.incarnation].macs;
    PeerFrame frame{.kind = PeerFrame::Kind::Renew,
                    .term = key.number,
                    .from = incarnation_,
                    .to = grantor.incarnation,
                    .nonce = fresh_nonce()};
    for (const std::string& link : asking_) {
      action::SendPeerFrame send{.frame = frame, .link = link};
      const auto mac = macs.find(link);
      if (mac != macs.end() && !term->ignores_us(grantor.incarnation, link)) send.to = mac->second;
      emit(std::move(send));
    }
    term->asked(grantor.incarnation, frame.nonce, now_);
  }
}

}  // namespace vipd
