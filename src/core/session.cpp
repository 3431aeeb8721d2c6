// Our session: its lease, the links of its chain, what a next process may take up, and its end.
#include <algorithm>
#include <cassert>

#include "core/core_impl.hpp"
#include "core/timing.hpp"

namespace vipd {

namespace {

// After an error another member is asked almost at once.
constexpr Duration kFirstRetry = Duration::milliseconds(10);
constexpr Duration kLastRetry = Duration::seconds(1);
constexpr size_t kTriesBeforeComplaint = 3;
constexpr Duration kRememberAgain = Duration::seconds(1);

}  // namespace

// --- the session

void Core::Impl::drive_session() {
  if (!snapshot_.loaded() || orders_.stopping) return;
  switch (session_.state()) {
    case SessionState::Absent: {
      if (!due(session_.grant_at())) return;
      const RequestId request = next_request();
      session_.granting(request);
      emit(action::GrantLease{.request = request, .ttl = timing::lease_ttl(settings_.timeout)});
      return;
    }
    case SessionState::Granting:
      return;
    case SessionState::Opening:
      // The lease may have gone meanwhile, and then no try will ever succeed.
      if (!due(session_.opening_since() + settings_.timeout * 2)) break;
      fence("its key could not be put", false);
      step_.again(now_);
      return;
    case SessionState::Live:
      if (const MonoTime since = chain_.echo_missing_since();
          since.is_never() || now_ < hold_.until || !due(since + settings_.timeout * 2)) {
        break;
      }
      // What is written but never shown gives no authority, and keeps the others away.
      fence("no watch shows its heartbeats", true);
      step_.again(now_);
      return;
  }
  if (!due(session_.keep_at())) return;
  session_.keeping(now_, timing::lease_ttl(settings_.timeout));
  due(session_.keep_at());
  emit(action::KeepLease{.lease = chain_.lease()});
}

void Core::Impl::on(const event::LeaseGranted& e) {
  requests_.done(e.request);
  if (!session_.is_granting(e.request)) return;  // of a cluster that is gone; it will expire
  session_.open(now_, settings_.instance + "-" + std::to_string(requests_.last()),
                step_.incarnation(), timing::lease_ttl(settings_.timeout));
  chain_.open(e.lease, {.node = settings_.node,
                        .instance = session_.instance(),
                        .timeout = settings_.timeout,
                        .incarnation = session_.incarnation()});
}

void Core::Impl::on(const event::LeaseKept& e) {
  if (e.lease != chain_.lease() || session_.is_revoking()) return;
  session_.kept(now_, timing::lease_ttl(settings_.timeout));
  // Only a session that was never live is given up for it. A member asks the one that it takes for
  // the leader, by its peer URL, and a member that was re-created there answers for its own
  // cluster. A lease that is gone takes its keys along, which the watch and the next heartbeat
  // tell.
  if (!e.alive && session_.state() == SessionState::Opening) fence("the lease is gone", true);
}

void Core::Impl::on(const event::LeaseRevoked& e) {
  requests_.done(e.request);
  if (session_.is_revoking(e.request)) session_.revoked();
  for (auto& [lease, takeover] : takeovers_.sessions) {
    if (takeover.revoking == e.request) takeover.revoking = 0;
  }
}

// A session that was lost never comes back. Its lease is revoked only where its key is gone anyway:
// where somebody else writes it, that may be this node's own next process.
void Core::Impl::fence(const std::string& why, bool key_gone) {
  take_everything_down();
  report(ReportKind::Fenced, "session " + lease_hex(chain_.lease()) + " is lost: " + why);
  if (key_gone) {
    session_is_lost();
    emit(action::RevokeLease{.request = next_request(), .lease = chain_.lease()});
  }
  chain_.close();
  end_terms();
  session_.lost(now_);
  read_beats_.end();
  forget_keys();
}

// A restored backup brings sessions back that this process has given up: nobody should have to wait
// until they are taken for dead.
void Core::Impl::revoke_former_sessions(const std::vector<Entry>& entries) {
  for (const Entry& entry : entries) {
    if (entry.key.kind != KeyKind::Session || entry.key.lease == chain_.lease()) continue;
    if (!entry.value.valid || !entry.value.instance.starts_with(settings_.instance + "-")) continue;
    emit(action::RevokeLease{.request = next_request(), .lease = entry.key.lease});
  }
}

// Only the very session that is remembered will do, in the very cluster.
bool Core::Impl::take_up_session(const std::vector<Entry>& entries) {
  if (memory_.lease == LeaseId::None || memory_.cluster_id != binding_.cluster() ||
      memory_.timeout != settings_.timeout) {
    return false;
  }
  const auto own = std::find_if(entries.begin(), entries.end(), [this](const Entry& entry) {
    return entry.key.kind == KeyKind::Session && entry.key.lease == memory_.lease;
  });
  if (own == entries.end() || !own->value.valid || own->value.instance != memory_.instance ||
      own->modified < memory_.session_revision) {
    return false;
  }
  session_.take_up(now_, memory_.instance, step_.incarnation());
  chain_.adopt(*own, {.node = settings_.node,
                      .instance = session_.instance(),
                      .timeout = settings_.timeout,
                      .incarnation = session_.incarnation()});
  hold_.marked = true;
  // [safety] What it entered may be in force: obeyed as if we had entered it, without a grant yet.
  if (const auto term = view_.peers().find(memory_.lease); term != view_.peers().end()) {
    peer_lease_.take_up(term->second.term, term->second.modified, now_);
  }
  for (const auto& [address, revision] : memory_.waited_out) {
    Vip* vip = find(address);
    if (vip == nullptr) continue;
    vip->key.waited_out(revision);
    vip->key.had(revision);
    vip->remembered = revision;
  }
  // What the former process was queued for and we are not configured for must be left.
  const size_t configured = vips_.size();
  for (const Address& address : view_.vips_of(memory_.lease)) {
    if (vips_.at(address) != nullptr) continue;
    Vip* vip = vips_.add();
    vip->settings.address = address;
    vip->settings.name = address.text();
    vip->dropped = true;
    vip->link = &links_[""];
  }
  if (vips_.size() == configured) return true;
  vips_.group(settings_.vips);
  session_.strangers_gone_at = now_ + timing::kLongestLifetime;
  return true;
}

// What is remembered of the VIPs, against what would be now; numbers tell it sooner than addresses.
Core::Impl::Waits Core::Impl::compare_waits(bool has_session) const {
  size_t count = 0;
  Waits waits = Waits::Same;
  for (const Vip& vip : vips_) {
    const Revision now = has_session ? vip.key.waited_out() : 0;
    if (vip.remembered == now) {
      count += now != 0 ? 1 : 0;
    } else if (vip.remembered != 0) {
      return Waits::Other;
    } else {
      waits = Waits::More;
    }
  }
  return count == memory_.waited_out.size() ? waits : Waits::Other;
}

void Core::Impl::remember(Memory memory) {
  memory_ = std::move(memory);
  const bool none = memory_.waited_out.empty();
  for (Vip& vip : vips_) vip.remembered = none ? 0 : vip.key.waited_out();
}

// Of thousands that go, what fills a link is released before the last has gone. [safety] And
// forgotten before, so that it is never taken up again.
bool Core::Impl::may_release() const {
  return kernel_.removals() % kMaxLinkSize == 0;
}

// What a next process of this node could take up.
void Core::Impl::drive_memory() {
  // What is remembered may still be taken up. A call to the kernel that is under way ends in a step
  // of its own, which must not be overtaken.
  if (!snapshot_.loaded() || session_.taking_up() || kernel_.adding() || !may_release()) return;
  Memory memory;
  memory.cluster_id = binding_.cluster();
  memory.others = binding_.outvoted() || !due(binding_.others_until());
  const bool has_session = chain_.live() && !session_.is_revoked();
  if (has_session) {
    memory.lease = chain_.lease();
    memory.instance = session_.instance();
    memory.timeout = settings_.timeout;
  }
  memory.incarnations = hold_.incarnations(chain_.live() ? session_.incarnation() : 0);
  const Waits waits = compare_waits(has_session);
  // All of thousands are written at a time: what only adds to them waits for the end of a burst, or
  // for a second.
  const bool may_wait = waits == Waits::More && step_.burst_waits();
  const bool waits_said =
      waits == Waits::Same || (may_wait && !due(session_.remembered_at + kRememberAgain));
  if (memory.cluster_id == memory_.cluster_id && memory.others == memory_.others &&
      memory.lease == memory_.lease && waits_said && memory.incarnations == memory_.incarnations) {
    return;
  }
  for (const Vip& vip : vips_) {
    if (has_session && vip.key.waited_out() != 0)
      memory.waited_out.emplace(vip.settings.address, vip.key.waited_out());
  }
  memory.session_revision = chain_.end();
  remember(std::move(memory));
  session_.remembered_at = now_;
  emit(action::Remember{.memory = memory_});
}

// --- links

void Core::Impl::settle(const Chain::Outcome& outcome) {
  switch (outcome.kind) {
    case Chain::Outcome::Kind::Nothing:
      return;
    case Chain::Outcome::Kind::Fenced:
      fence(outcome.why, outcome.key_gone);
      return;
    case Chain::Outcome::Kind::Committed:
      break;
  }
  connected();
  space_is_back();
  settle_term(outcome);
  if (session_.state() == SessionState::Opening) {
    report(session_.taking_up() ? ReportKind::SessionTakenUp : ReportKind::SessionOpened,
           "session " + lease_hex(chain_.lease()) +
               (session_.taking_up() ? " of the former process is resumed" : " is open") +
               ", timeout " + in_seconds(settings_.timeout));
    session_.live();
  }
  for (const auto& [address, priority] : outcome.link.join) {
    if (Vip* vip = find(address)) {
      vip->key.was_put(outcome.revision);
    }
  }
  if (!outcome.link.leave.empty()) stop_goes_on();
  for (const Address& address : outcome.link.leave) {
    if (Vip* vip = find(address)) {
      vip->key.was_deleted(outcome.revision);
      vip->resigning = false;
    }
  }
  // Certainly refused, however long ago it was tried: the chain has moved, and the key is still
  // ours.
  for (Vip& vip : vips_) vip.key.release_refused();
}

void Core::Impl::add_to(Link* link, std::vector<Address>* places, const Vip& vip) const {
  const Address& address = vip.settings.address;
  // etcd refuses a transaction that puts and deletes one key.
  if (!read_beats_.wanted() && to_leave(vip)) {
    (vip.key.was_held(key_created(vip)) ? link->leave : *places).push_back(address);
  } else if (wanted(vip) && (to_join(vip) || priority_is_stale(vip))) {
    link->join.push_back({.vip = address, .priority = vip.priority});
  }
}

Link Core::Impl::wanted_link() {
  Link link;
  const View::Session* own = view_.session(chain_.lease());
  // Somebody deleted it; a view that has not caught up with our last link says nothing of that.
  const bool missing = own != nullptr && !own->writes && view_.applied() >= chain_.end();
  link.put_writes = !chain_.live() || missing;
  std::vector<Address> places;  // to be given up without having held the VIP
  bool is_full = false;
  for (Vip& vip : vips_) {
    const size_t size = vips_.size_of_group_at(vip);
    is_full = link.size() + size > kMaxLinkSize;
    if (is_full) break;
    if (size == 0) continue;  // with the first of its group
    vips_.each_of_group(&vip, [&](const Vip* each) { add_to(&link, &places, *each); });
  }
  // What goes together is said together; of thousands, what fills a link.
  if (kernel_.removing() && !(is_full && may_release())) link.leave.clear();
  if (kernel_.removing()) places.clear();
  // [safety] One word for all that a link leaves: what was held goes first, the rest by the next.
  link.held = !link.leave.empty();
  if (!link.held) {
    places.resize(std::min(places.size(), kMaxLinkSize - link.join.size()));
    link.leave = std::move(places);
  }
  add_term_to(&link);
  return link;
}

Duration Core::Impl::beat_interval() const {
  const Duration standby = timing::standby_interval(settings_.timeout, settings_.heartbeat);
  // What is shown next proves the snapshot; where nobody else beats, nothing would be.
  if (!replay_.proven() || hold_.in_doubt || hold_.doubts_others) {
    return settings_.heartbeat;
  }
  Duration interval = settings_.timeout * 1000;
  for (const Vip& vip : vips_) {
    const int place = view_.queue(vip.settings.address).position(chain_.lease());
    if (place == 0) return settings_.heartbeat;
    if (place == 1) interval = standby;
  }
  return interval;
}

// After an outage of etcd the heartbeat that is committed first may be one that was sent long ago.
// A head without authority does not wait for the interval to send the next.
bool Core::Impl::head_lacks_authority() const {
  if (!chain_.echo_missing_since().is_never()) return false;  // one is on its way
  const MonoTime deadline = chain_.deadline();
  if (deadline == MonoTime::long_ago() || deadline - now_ >= timing::kLeastAuthority) return false;
  return std::any_of(vips_.begin(), vips_.end(),
                     [this](const Vip& vip) { return wanted(vip) && headed_since(vip) != 0; });
}

bool Core::Impl::link_due(const Link& link) {
  if (read_beats_.wanted()) return due(chain_.last_tried() + settings_.heartbeat);
  if (!chain_.busy()) {
    if (!chain_.live() || link.size() > 0 || link.put_writes) return true;
    if (link.enter || link.leave_term) return true;
    if (verification_due() || head_lacks_authority()) return true;
    const Duration interval = beat_interval();
    return interval <= settings_.timeout && due(chain_.last_sent() + interval);
  }
  // A release does not wait for a heartbeat that hangs: whichever of the two commits, the other is
  // refused, and the answer tells which.
  const std::vector<Address>& sent = chain_.newest_link().leave;
  const bool news = std::any_of(link.leave.begin(), link.leave.end(), [&](const Address& a) {
    return std::find(sent.begin(), sent.end(), a) == sent.end();
  });
  const bool leaves = link.leave_term && !chain_.newest_link().leave_term;
  if ((news || leaves) && !chain_.full()) return true;
  // What was sent while etcd had no leader is lost. Once etcd shows something, a head without
  // authority sends at once, and so does a node that has tried for long: the others soon judge it.
  if ((head_lacks_authority() || chain_.full()) && chain_.last_tried() < watch_.shown_at()) {
    const Duration pause =
        chain_.full() ? timing::hedge_after(settings_.timeout) : timing::kWordAgain;
    return due(chain_.last_tried() + pause);
  }
  if (!chain_.newest_failed()) return due(chain_.last_tried() + hedge());
  const Duration retry = kFirstRetry * (int64_t{1} << std::min<size_t>(chain_.tries() - 1, 6));
  return due(chain_.newest_failed_at() + std::min(retry, hedge()));
}

// Many attempts at one end are quick; then etcd is taken to be away for longer.
Duration Core::Impl::hedge() const {
  return chain_.full() ? kLastRetry : timing::hedge_after(settings_.timeout);
}

void Core::Impl::drive_links() {
  if (session_.is_revoking()) return;
  if (!session_.has_lease()) return;
  if (session_.state() == SessionState::Opening && (orders_.stopping || !snapshot_.loaded()))
    return;
  // While everything is read anew, heartbeats go on: the others must not take us for dead.
  Link link = snapshot_.loaded() ? wanted_link() : Link{};
  if (link_due(link)) send_link(std::move(link));
}

void Core::Impl::send_link(Link link) {
  const RequestId request = next_request();
  const uint64_t group =
      static_cast<uint64_t>(chain_.lease()) ^ (static_cast<uint64_t>(chain_.end()) << 1) ^ 1;
  Txn txn = chain_.full() ? chain_.again(now_, request) : attempt(request, std::move(link));
  emit(action::SendTxn{.request = request, .group = group, .txn = std::move(txn)});
  due(now_ + hedge());
}

Txn Core::Impl::attempt(RequestId request, Link link) {
  for (const Address& address : link.leave) {
    Vip* vip = find(address);
    vip->key.releasing(key_created(*vip));
  }
  link.seen = acted_on();
  link.host = own_host();
  // [safety] Obeyed, by the kernel as well, from before it is sent.
  if (link.enter) {
    peer_lease_.entering(*link.enter);
    hold_.marked = hold_.marked || link.mark;
    refresh_peer_deadline();
    update_fence();
  }
  return chain_.attempt(now_, request, fresh_nonce(), std::move(link));
}

void Core::Impl::on(const event::TxnAnswered& e) {
  if (!requests_.awaits(e.request) || !same_history(e.header, e.request)) return;
  if (takeover_answered(e) || deletion_answered(e) || term_deletion_answered(e)) return;
  if (mark_deletion_answered(e.request)) return;
  settle(chain_.answered(now_, e));
}

void Core::Impl::on(const event::RequestFailed& e) {
  requests_.done(e.request);
  read_beats_.failed(e.request);
  if (e.no_space) space_ran_out();
  if (snapshot_.take_check(e.request) || read_beats_.take_deletion(e.request) ||
      terms_.take_deletion(e.request)) {
    return;
  }
  if (snapshot_.take_read(e.request)) {
    read_failed(e.reason);
  } else if (session_.is_granting(e.request)) {
    session_.grant_failed(now_);
    if (!e.no_space) unreachable(e.reason);
  } else if (session_.is_revoking(e.request)) {
    session_.revoked();  // the lease will expire by itself
  } else if (chain_.owns(e.request)) {
    chain_.failed(now_, e.request);
    session_.heartbeats.failed++;
    if (chain_.tries() >= kTriesBeforeComplaint && !e.no_space) unreachable(e.reason);
  } else if (!mark_deletion_answered(e.request)) {
    takeover_failed(e);
  }
}

// --- the end

void Core::Impl::drive_stop() {
  if (!orders_.stopping || orders_.finished) return;
  const bool all_absent = std::all_of(vips_.begin(), vips_.end(), [](const Vip& v) {
    return v.address == Vip::AddressState::Absent;
  });
  // Where etcd takes no writes, a release cannot be said.
  const bool keyed =
      chain_.live() && !read_beats_.wanted() &&
      std::any_of(vips_.begin(), vips_.end(), [this](const Vip& v) { return has_key(v); });
  const bool late = due(orders_.stop_by);
  if (late && keyed) {
    report(ReportKind::ReleaseGivenUp, "etcd did not confirm the release; the other nodes wait " +
                                           in_seconds(settings_.timeout));
  }
  if (!late && (!all_absent || keyed)) return;
  if (!late && chain_.lease() != LeaseId::None && !session_.is_revoking()) {
    const RequestId request = next_request();
    session_.revoking(request, now_);
    emit(action::RevokeLease{.request = request, .lease = chain_.lease()});
  }
  if (!late && session_.is_revoking() && !session_.is_revoked() && !due(session_.revoke_by()))
    return;
  orders_.finished = true;
  emit(action::Finish{});
}

}  // namespace vipd
