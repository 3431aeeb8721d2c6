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
constexpr Duration kMinute = Duration::seconds(60);
// Below this a stall of 0.4 F, begun just before a renewal, would leave too little of F.
constexpr Duration kUnhurried = Duration::milliseconds(500);

Duration whole_milliseconds(Duration d) {
  return Duration::milliseconds((d.ns() + 999'999) / 1'000'000);
}

bool listed(const PeerTerm& term, uint64_t incarnation) {
  return std::any_of(term.grantors.begin(), term.grantors.end(),
                     [&](const Grantor& g) { return g.incarnation == incarnation; });
}

std::vector<uint64_t> incarnations_of(const std::vector<Grantor>& grantors) {
  std::vector<uint64_t> out;
  out.reserve(grantors.size());
  for (const Grantor& grantor : grantors) out.push_back(grantor.incarnation);
  return out;
}

void add_once(LinkNames* links, const std::string& link) {
  if (std::find(links->begin(), links->end(), link) == links->end()) links->push_back(link);
}

}  // namespace

// --- the deadline

// [safety] Whatever is owned needs both: a heartbeat that etcd has shown, or the grants of all
// while it is away, and the grants of every term that may be in force.
MonoTime Core::Impl::deadline() const {
  return std::min(std::max(chain_.deadline(), hold_.until), terms_.deadline());
}

// To be called whenever a term, a grant or the links that carry an address may have changed.
void Core::Impl::refresh_peer_deadline() {
  LinkNames carrying;
  for (const Vip& vip : vips_) {
    if (vip.address != Vip::AddressState::Absent) add_once(&carrying, vip.settings.link);
  }
  carry(std::move(carrying));
}

void Core::Impl::carry(LinkNames links) {
  terms_.carry(std::move(links));
  terms_.set_deadline(peer_lease_.deadline(terms_.carrying()));
  hold_.until = hold_deadline(terms_.carrying());
}

// As refresh_peer_deadline() where one address more is on its way, without a look at all the
// others.
void Core::Impl::carry_one_more(const std::string& link) {
  LinkNames carrying = terms_.carrying();
  add_once(&carrying, link);
  carry(std::move(carrying));
}

// [safety] The kernel drops the VIPs' packets from the same instant on, whatever this process does.
// What a former process left on a link is guarded by what that process set, until we have
// authority.
void Core::Impl::update_fence() {
  if (!fence_.known() || (!fence_.is_told() && !chain_.live())) return;
  const auto is_inherited = [](const Vip& vip) {
    return vip.address == Vip::AddressState::Inherited;
  };
  if (now_ >= deadline() && std::any_of(vips_.begin(), vips_.end(), is_inherited)) return;
  const bool guards = peer_lease_.obeys() || !terms_.carrying().empty();
  MonoTime wanted = guards ? deadline() : MonoTime::never();
  if (leaves_one_behind()) wanted = MonoTime::long_ago();
  if (!fence_.tell(wanted)) return;
  emit(action::SetFence{.deadline = wanted, .suspended = step_.suspended()});
}

// [safety] The kernel may refuse to remove an address, and another node may have it by now. New
// authority, perhaps of another session, does not cover that address.
bool Core::Impl::leaves_one_behind() const {
  return std::any_of(vips_.begin(), vips_.end(), [this](const Vip& vip) {
    return vip.address == Vip::AddressState::Removing && !vip.key.is_of(headed_since(vip));
  });
}

bool Core::Impl::peers_allow(const Vip& vip) const {
  if (!peer_lease_.obeys()) return true;
  if (fence_.missed_a_grant() || !fence_.in_force()) return false;
  const LinkNames& carrying = terms_.carrying();
  MonoTime until = terms_.deadline();
  if (std::find(carrying.begin(), carrying.end(), vip.settings.link) == carrying.end()) {
    LinkNames links = carrying;
    links.push_back(vip.settings.link);
    until = peer_lease_.deadline(links);
  }
  return now_ < until - timing::kTakeDownMargin;
}

void Core::Impl::on(const event::FenceChanged& e) {
  fence_.changed(e.in_force, e.reason);
}

// --- the process and its session

void Core::Impl::end_terms() {
  terms_.lost(peer_lease_.obeys(), now_);
  peer_lease_.close();
  fence_.missed_a_grant(false);
  hold_.until = MonoTime::long_ago();
  hold_.shown = hold_.never = 0;
  hold_.marked = false;
}

// --- trying

void Core::Impl::drive_term() {
  if (!chain_.live() && !peer_lease_.obeys()) return;
  ask_where_needed();
  consider_leaving();
}

void Core::Impl::drive_peers() {
  if (!chain_.live() && !peer_lease_.obeys()) return;
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
  LinkNames links = terms_.carrying();
  for (const Vip& vip : vips_) {
    if (std::find(links.begin(), links.end(), vip.settings.link) != links.end()) continue;
    if (wanted(vip) && headed_since(vip) != 0) links.push_back(vip.settings.link);
  }
  if (!terms_.ask_on(std::move(links), now_)) return;
  for (Term* term : peer_lease_.terms()) term->renew_at = now_;
}

// While etcd does not answer, terms stay as they are.
bool Core::Impl::may_try() const {
  return settings_.peer_timeout > Duration() && fence_.in_force() && has_any() &&
         snapshot_.loaded() && !read_beats_.wanted() && !orders_.stopping && !terms_.is_leaving() &&
         replay_.proven() && is_echoed();
}

// Whether etcd shows our heartbeats, as of now.
bool Core::Impl::is_echoed() const {
  const MonoTime sent = chain_.deadline() - settings_.timeout;
  return now_ - sent < silence();
}

// Without heartbeats for that long, etcd is taken to be away.
Duration Core::Impl::silence() const {
  return settings_.heartbeat * 5 / 2;
}

// A watch that lags goes on with news, or misses a heartbeat that was committed: then other nodes
// may see more of etcd than this one. Both must last: after an outage our echo may come behind
// others.
bool Core::Impl::etcd_is_away() const {
  const Duration patience = settings_.timeout / 2;
  const MonoTime missing = chain_.echo_missing_since();
  const bool lags = !missing.is_never() && now_ - missing >= patience;
  return !is_echoed() && !lags && watch_.news_last(now_, silence()) < patience;
}

// The quickest first; the slow ones are left out before they make the term long.
std::vector<uint64_t> Core::Impl::candidates() {
  std::vector<uint64_t> all;
  for (const auto& [lease, session] : view_.sessions()) {
    if (!session.present || session.incarnation == 0 || lease == chain_.lease()) continue;
    const bool has =
        peer_lease_.in_force() && listed(peer_lease_.in_force()->key(), session.incarnation);
    if (has || due(grantors_.try_at(session.incarnation))) all.push_back(session.incarnation);
  }
  const auto quicker = [this](uint64_t a, uint64_t b) {
    return std::pair(grantors_.delay(a), a) < std::pair(grantors_.delay(b), b);
  };
  std::sort(all.begin(), all.end(), quicker);
  const auto is_slow = [this](uint64_t who) {
    return grantors_.delay(who) * 4 > settings_.peer_timeout;
  };
  while (all.size() > kMostGrantors || (all.size() > 2 && is_slow(all.back()))) all.pop_back();
  while (all.size() > 1 && grantors_.delay(all.back()) * 8 > settings_.timeout) all.pop_back();
  return all;
}

// A grantor's host may stall now and then, as virtual machines do. A term with one grantor has to
// outlast its death, and an election of etcd's leader with it.
Duration Core::Impl::timeout_for(const std::vector<uint64_t>& incarnations) const {
  Duration timeout = settings_.peer_timeout;
  for (const uint64_t who : incarnations) {
    timeout = std::max(timeout, grantors_.delay(who) * 4);
  }
  if (incarnations.size() == 1) timeout = std::max(timeout, settings_.timeout / 2);
  return whole_milliseconds(timeout);
}

bool Core::Impl::key_in_place() const {
  if (view_.applied() < peer_lease_.revision()) return true;  // not shown yet
  const auto found = view_.peers().find(chain_.lease());
  const bool marked = view_.mark(chain_.lease()) != nullptr;
  return found != view_.peers().end() && found->second.modified == peer_lease_.revision() &&
         (settings_.hold ? mark_counts() : !marked);
}

bool Core::Impl::change_wanted(const std::vector<uint64_t>& candidates) {
  const Term& term = *peer_lease_.in_force();
  const PeerTerm& key = term.key();
  if (!key_in_place()) return true;
  for (const Grantor& grantor : key.grantors) {
    const MonoTime newest =
        std::max(term.since(), term.newest(grantor.incarnation, terms_.carrying()));
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
  return term.granted_since(lately, terms_.carrying()).size() == term.key().grantors.size();
}

void Core::Impl::consider_trying() {
  if (peer_lease_.trying() || peer_lease_.is_entering() || !may_try() || !due(terms_.try_at()))
    return;
  const std::vector<uint64_t> who = candidates();
  if (who.empty()) return refuse_term("no other node takes part");
  const bool has = peer_lease_.in_force().has_value();
  if (has && (!due(terms_.entered_at() + kBetweenTerms) || !change_wanted(who))) return;
  const Duration timeout = timeout_for(who);
  if (timeout * 2 > settings_.timeout) {
    return refuse_term("the other nodes answer too slowly for a term below half of the timeout");
  }
  try_term(who, timeout);
}

void Core::Impl::refuse_term(const std::string& why) {
  terms_.try_at(now_ + kTryAgain);
  due(terms_.try_at());
  if (peer_lease_.obeys() || !terms_.refused(why)) return;
  report(ReportKind::TermRefused, "no peer lease: " + why);
}

void Core::Impl::try_term(const std::vector<uint64_t>& incarnations, Duration timeout) {
  assert(!incarnations.empty() && incarnations.size() <= kMostGrantors);
  assert(timeout * 2 <= settings_.timeout && fence_.in_force());
  PeerTerm key{.number = fresh_nonce(), .timeout = timeout};
  for (const uint64_t who : incarnations) {
    const View::Session* session = session_of(who);
    key.grantors.push_back({.incarnation = who,
                            .secret = fresh_nonce(),
                            .host = session == nullptr ? Host{} : session->host});
  }
  peer_lease_.try_term(std::move(key), now_);
  terms_.trying(now_ + timeout / 2);
}

// Only those that granted in time are listed.
void Core::Impl::judge_try() {
  std::optional<Term>& term = peer_lease_.trying();
  if (!term || terms_.is_ready()) return;
  const PeerTerm& key = term->key();
  const std::vector<Grantor> granted = term->granted_since(term->since(), terms_.asking());
  if (granted.size() < key.grantors.size() && !due(terms_.try_until())) return;
  for (const Grantor& grantor : key.grantors) {
    if (std::find(granted.begin(), granted.end(), grantor) != granted.end()) continue;
    grantors_.ignored(grantor.incarnation, now_);
  }
  const std::vector<uint64_t> who = incarnations_of(granted);
  const Duration timeout = granted.empty() ? Duration() : timeout_for(who);
  const std::optional<Term>& old = peer_lease_.in_force();
  // A grantor that let the old term expire grants in a new one only, so even the same list needs
  // one.
  const bool same =
      old && key_in_place() && old->key().timeout == key.timeout && all_renew(*old) &&
      old->key().grantors.size() == granted.size() &&
      std::all_of(who.begin(), who.end(), [&](uint64_t each) { return listed(old->key(), each); });
  if (granted.empty() || same || timeout * 2 > settings_.timeout) {
    peer_lease_.drop_try();
    if (!same) terms_.counts.refused++;
    if (!same) return refuse_term("no other node grants a term in time");
    terms_.try_at(now_ + kTryAgain);
    due(terms_.try_at());
    return;
  }
  if (timeout > key.timeout) {  // fewer than were asked, or slower
    peer_lease_.drop_try();
    return try_term(who, timeout);
  }
  term->keep_only(granted);
  terms_.ready();
}

// --- entering and leaving: links of the chain

// What of the peer lease the next link does.
void Core::Impl::add_term_to(Link* link) {
  if (read_beats_.wanted() || !chain_.live()) return;
  link->leave_term = terms_.is_leaving() && peer_lease_.obeys();
  std::optional<Term>& term = peer_lease_.trying();
  link->mark = settings_.hold;
  link->unmark = hold_.marked;
  if (link->leave_term || !term || !terms_.is_ready() || !may_try()) return;
  const Duration left = term->deadline(terms_.carrying()) - now_;
  if (peer_lease_.is_entering(term->key())) {
    link->enter = term->key();
  } else if (terms_.carrying().empty() || left * 2 < term->key().timeout) {
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
  assert(!link.enter || peer_lease_.in_force()->key() == *link.enter);
  if (link.enter) {
    terms_.entered(now_, had);
    report(ReportKind::TermEntered, "peer lease: renewed by " + nodes_of(*link.enter) +
                                        ", timeout " + std::to_string(link.enter->timeout.ms()) +
                                        " ms");
  }
  if (obeyed && !peer_lease_.obeys()) term_is_left(had);
  refresh_peer_deadline();
}

// Nothing is obeyed any more.
void Core::Impl::term_is_left(bool was_in_force) {
  terms_.left(was_in_force, now_ + kTryAgain);
  fence_.missed_a_grant(false);
}

void Core::Impl::leave_term(const std::string& why) {
  if (terms_.is_leaving()) return;
  assert(peer_lease_.obeys());
  terms_.leave(why);
  peer_lease_.drop_try();
  report(ReportKind::TermLeft, "peer lease left: " + why);
  refresh_peer_deadline();
  drive_fence();
  update_fence();
}

void Core::Impl::consider_leaving() {
  if (!peer_lease_.obeys() || terms_.is_leaving()) return;
  if (settings_.peer_timeout == Duration() && !is_holding()) {
    return leave_term("it is switched off");
  }
  if (!fence_.in_force()) return leave_term(fence_.reason());
  if (fence_.missed_a_grant()) return leave_term("the packet fence did not see a grant");
  if (terms_.asking().empty()) return leave_term("this node owns no VIP");
  // A deletion that is sent while etcd is away may be executed without an answer, and then the
  // others must wait for the whole timeout.
  if (!is_echoed()) return;
  // A term without grants also holds back a node that is about to own something.
  const LinkNames& links = terms_.carrying().empty() ? terms_.asking() : terms_.carrying();
  for (const Term* term : peer_lease_.obeyed()) {
    const Duration half = term->key().timeout / 2;
    const MonoTime late = std::max(term->since() + half, term->deadline(links) - half);
    if (due(late)) return leave_term("the other nodes do not grant it in time");
    // On a link without grantors a VIP is worth more than the term, which would keep it away.
    const MonoTime asked = std::max(term->since(), terms_.asking_since()) + term->key().timeout;
    const bool is_renewed = !due(std::max(asked, term->deadline(terms_.asking()) - half));
    if (!is_renewed) return leave_term("the other nodes do not renew it on all links");
  }
}

// While etcd takes no writes it takes deletions. [safety] This one ends the term of that revision
// and no other: one that is being entered is obeyed until the chain says what became of it.
void Core::Impl::delete_term() {
  const bool wanted =
      read_beats_.wanted() && terms_.is_leaving() && peer_lease_.in_force().has_value();
  if (!wanted || terms_.is_deleting() || !due(terms_.delete_at())) return;
  const Key key{KeyKind::Peers, chain_.lease(), {}};
  const Revision revision = peer_lease_.revision();
  Txn txn;
  txn.compares = {{.kind = Compare::Kind::ModifiedIs, .key = key, .revision = revision}};
  txn.success = {{.kind = Op::Kind::Delete, .key = key}};
  if (hold_.marked) {
    txn.success.push_back({.kind = Op::Kind::Delete, .key = {KeyKind::Hold, chain_.lease(), {}}});
  }
  hold_.never = revision;
  const Key session{KeyKind::Session, chain_.lease(), {}};
  txn.failure = {{.kind = Op::Kind::Range, .key = key}, {.kind = Op::Kind::Range, .key = session}};
  const RequestId request = next_request();
  terms_.deleting(request, revision, now_ + timing::hedge_after(settings_.timeout));
  emit(action::SendTxn{
      .request = request, .group = static_cast<uint64_t>(chain_.lease()), .txn = std::move(txn)});
}

// Where etcd takes no writes, the outcome of a term that was being entered may stay unknown for
// hours. Without its grants this node may not own, so it leaves the queue to others.
void Core::Impl::make_way() {
  if (!read_beats_.wanted() || !peer_lease_.is_entering() || terms_.asking().empty()) return;
  MonoTime without = peer_lease_.deadline(terms_.asking());
  for (const Term* term : peer_lease_.obeyed()) without = std::max(without, term->since());
  if (!due(without + settings_.timeout)) return;
  for (Vip& vip : vips_) {
    const bool others = view_.queue(vip.settings.address).candidates.size() > 1;
    const bool idle = vip.address == Vip::AddressState::Absent && headed_since(vip) != 0;
    if (idle && others) vip.resigning = true;
  }
}

bool Core::Impl::term_deletion_answered(const event::TxnAnswered& e) {
  if (!terms_.take_deletion(e.request)) return false;
  // Gone by this try, or by an earlier one whose answer was lost. [safety] A key that is gone says
  // nothing by itself: whoever ended our session has deleted it, too.
  const bool gone = e.entries.size() == 1 && e.entries.front().key.kind == KeyKind::Session &&
                    e.entries.front().modified == chain_.end();
  const bool had = peer_lease_.in_force().has_value();
  if (e.succeeded || gone) peer_lease_.deleted(terms_.deleting_revision());
  if (had && !peer_lease_.obeys()) term_is_left(true);
  return true;
}

// --- asking

// Each wake-up costs, three in a turn: so they are asked as seldom as a stall of 0.4 F allows, and
// whoever did not answer is asked again before F / 2 is over.
Duration Core::Impl::renewal_interval(const PeerTerm& key) {
  return key.timeout >= kUnhurried ? key.timeout * 5 / 16 : key.timeout / 4;
}

// Unicast, so that switches and wireless networks do not carry it everywhere; to all again where
// the last one had no answer, since a host may have another card by now.
void Core::Impl::ask_grantors(Term* term) {
  assert(session_.incarnation() != 0);
  const PeerTerm& key = term->key();
  const bool all = due(term->renew_at);
  const bool again = term->lacks_answer(terms_.asking()) && due(term->again_at);
  if (!all && !again) return;
  if (all) term->renew_at = now_ + renewal_interval(key);
  term->again_at = now_ + key.timeout / 8;
  due(std::min(term->renew_at, term->again_at));
  for (const Grantor& grantor : key.grantors) {
    if (!all && !term->lacks_answer(grantor.incarnation, terms_.asking())) continue;
    PeerFrame frame{.kind = PeerFrame::Kind::Renew,
                    .term = key.number,
                    .from = session_.incarnation(),
                    .to = grantor.incarnation,
                    .nonce = fresh_nonce()};
    for (const std::string& link : terms_.asking()) {
      action::SendPeerFrame send{.frame = frame, .link = link};
      const MacAddress* mac = grantors_.mac(grantor.incarnation, link);
      if (mac != nullptr && !term->ignores_us(grantor.incarnation, link)) send.to = *mac;
      emit(std::move(send));
    }
    term->asked(grantor.incarnation, frame.nonce, now_);
  }
}

}  // namespace vipd
