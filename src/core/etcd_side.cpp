// Connection, watch, session and links: everything that the core says to etcd about itself.
#include <algorithm>
#include <cassert>

#include "core/core_impl.hpp"
#include "core/timing.hpp"

namespace vipd {

namespace {

// After an error another member is asked almost at once.
constexpr Duration kFirstRetry = Duration::milliseconds(10);
constexpr Duration kLastRetry = Duration::seconds(1);
// A cluster without a leader ends watches at once, and each try costs little.
constexpr Duration kLastWatchRetry = Duration::milliseconds(250);
// So many tries at one end are quick; then etcd is taken to be away for longer.
constexpr size_t kQuickTries = 32;
constexpr size_t kTriesBeforeComplaint = 3;
constexpr Duration kRevokePatience = Duration::milliseconds(500);

Duration longer(Duration backoff) {
  return std::clamp(backoff * 2, Duration::milliseconds(100), kLastRetry);
}

}  // namespace

// --- what etcd says of itself

void Core::Impl::connected() {
  if (!unreachable_) return;
  unreachable_ = false;
  report(ReportKind::Connected, "etcd answers again");
}

void Core::Impl::unreachable(const std::string& why) {
  if (unreachable_) return;
  unreachable_ = true;
  report(ReportKind::Unreachable, "no etcd member answers (" + why + "); trying on");
}

// A cluster restored from a backup forgets what it promised: everything known is void then.
bool Core::Impl::same_history(const Header& header, RequestId request) {
  const auto asked = asked_at_.find(request);
  const Revision floor = asked == asked_at_.end() ? 0 : asked->second;
  if (asked != asked_at_.end()) asked_at_.erase(asked);
  if (cluster_id_ != 0 && header.cluster_id != cluster_id_) {
    forget_cluster("the endpoints belong to another cluster now");
    return false;
  }
  if (header.revision < floor) {
    forget_cluster("etcd's revision went back from " + std::to_string(floor) + " to " +
                   std::to_string(header.revision) + ": restored from a backup?");
    return false;
  }
  revision_ = std::max(revision_, header.revision);
  return true;
}

void Core::Impl::forget_cluster(const std::string& why) {
  report(ReportKind::ClusterChanged, why + "; starting over");
  take_everything_down();
  chain_.close();
  session_state_ = SessionState::Absent;
  view_ = View();
  takeovers_.clear();
  asked_at_.clear();
  cluster_id_ = 0;
  revision_ = 0;
  loaded_ = false;
  reading_ = granting_ = checking_ = 0;
  read_at_ = grant_at_ = now_;
  watch_ = WatchState::Closed;
  taking_up_ = false;
  forget_keys();
  forget_memory();
}

void Core::Impl::forget_memory() {
  if (memory_.lease == LeaseId::None) return;
  memory_ = Memory();
  emit(action::Remember{});
}

// Keys go with their session, and revisions mean nothing in another history.
void Core::Impl::forget_keys() {
  for (Vip& vip : vips_) {
    vip.key_changed = vip.retired = vip.retiring = vip.waited_out = 0;
    vip.key_expected = false;
  }
}

// --- the snapshot and the watch

void Core::Impl::drive_connection() {
  if (loaded_ || reading_ != 0 || stopping_ || !due(read_at_)) return;
  reading_ = next_request();
  emit(action::ReadPrefix{.request = reading_});
}

void Core::Impl::on(const event::PrefixRead& e) {
  if (e.request != reading_ && e.request != checking_) return;
  const bool checking = e.request == checking_;
  (checking ? checking_ : reading_) = 0;
  if (!same_history(e.header, e.request) || checking) return;
  if (cluster_id_ == 0) report(ReportKind::Connected, "etcd answers");
  unreachable_ = false;
  cluster_id_ = e.header.cluster_id;
  read_backoff_ = Duration();
  view_.load(now_, e.header.revision, e.entries, settings_.timeout);
  anchor_ = Anchor();
  for (const Entry& entry : e.entries) {
    if (entry.key.kind == KeyKind::Session) drop_anchor(entry);
  }
  loaded_ = true;
  watch_ = WatchState::Closed;
  watch_at_ = now_;
  revoke_former_sessions(e.entries);
  if (chain_.lease() == LeaseId::None) {
    // A former session that cannot be taken up is no more than a dead one.
    if (session_state_ == SessionState::Absent && !take_up_session(e.entries)) forget_memory();
    return;
  }
  const auto own = std::find_if(e.entries.begin(), e.entries.end(), [&](const Entry& entry) {
    return entry.key.kind == KeyKind::Session && entry.key.lease == chain_.lease();
  });
  settle(chain_.found(now_, own == e.entries.end() ? nullptr : &*own, e.header.revision));
}

void Core::Impl::open_watch(bool elsewhere) {
  const bool anchor = anchor_.lease != LeaseId::None && !adrift_;
  emit(action::OpenWatch{.from = anchor ? anchor_.revision : view_.applied() + 1,
                         .avoid_current = elsewhere});
  anchored_ = !anchor;
  watch_ = WatchState::Opening;
  watch_at_ = now_ + std::max(watch_backoff_, timing::hedge_after(settings_.timeout) * 2);
}

void Core::Impl::drive_watch() {
  if (!loaded_) return;
  if (watch_ == WatchState::Closed) {
    if (due(watch_at_)) open_watch(watch_elsewhere_);
    return;
  }
  // Committed but not echoed: the member that serves the watch hangs, lags or is cut off.
  const MonoTime since = chain_.echo_missing_since();
  if (since.is_never()) return;
  const MonoTime patience = since + timing::hedge_after(settings_.timeout);
  if (!due(std::max(patience, watch_at_))) return;
  report(ReportKind::WatchReplaced, "the watch shows nothing of a heartbeat answered " +
                                        in_seconds(now_ - since) + " ago; watching elsewhere");
  watch_backoff_ = longer(watch_backoff_);
  open_watch(true);
}

void Core::Impl::on(const event::WatchCreated& e) {
  if (watch_ != WatchState::Opening) return;
  if (e.header.cluster_id != cluster_id_) {
    forget_cluster("the endpoints belong to another cluster now");
    return;
  }
  watch_ = WatchState::Open;
  // Behind what we know: a member that lags, or a cluster that was put back. Only a linearizable
  // read can tell.
  if (e.header.revision < view_.applied() && checking_ == 0) {
    checking_ = next_request();
    emit(action::ReadPrefix{.request = checking_});
  }
}

void Core::Impl::on(const event::WatchAdvanced& e) {
  if (!loaded_ || watch_ == WatchState::Closed) return;
  if (e.header.cluster_id != cluster_id_) {
    forget_cluster("the endpoints belong to another cluster now");
    return;
  }
  watch_ = WatchState::Open;
  watch_backoff_ = Duration();
  watch_elsewhere_ = false;
  if (e.changes.empty()) {
    view_.progress(e.header.revision);
    return;
  }
  if (!anchored_ && !holds_anchor(e.changes)) {
    forget_cluster("etcd's history is another one: restored from a backup?");
    return;
  }
  anchored_ = true;
  adrift_ = false;
  const Revision before = view_.applied();
  view_.apply(now_, e.changes, settings_.timeout);
  revision_ = std::max(revision_, view_.applied());
  for (const Change& change : e.changes) {
    const Key& key = change.entry.key;
    if (change.entry.modified <= before || key.kind != KeyKind::Session) continue;
    if (!change.deleted) drop_anchor(change.entry);
    if (key.lease == chain_.lease() && key.lease != LeaseId::None) own_session_seen(change);
  }
}

void Core::Impl::drop_anchor(const Entry& session) {
  if (session.modified < anchor_.revision) return;
  anchor_ = {.lease = session.key.lease,
             .revision = session.modified,
             .nonce = session.value.nonce};
}

bool Core::Impl::holds_anchor(const std::vector<Change>& changes) const {
  for (const Change& change : changes) {
    if (change.entry.modified != anchor_.revision) return false;
    if (change.entry.key.kind == KeyKind::Session && change.entry.key.lease == anchor_.lease) {
      return !change.deleted && change.entry.value.nonce == anchor_.nonce;
    }
  }
  return false;
}

void Core::Impl::own_session_seen(const Change& change) {
  if (revoking_ != 0) return;  // we asked for its end
  bool echoed = false;
  settle(chain_.seen(now_, change, &echoed));
  if (echoed) renew_at_ = now_;
}

void Core::Impl::on(const event::WatchEnded& e) {
  watch_ = WatchState::Closed;
  watch_elsewhere_ = true;
  watch_at_ = now_ + watch_backoff_;
  watch_backoff_ = std::min(longer(watch_backoff_), kLastWatchRetry);
  if (!loaded_) return;
  if (e.compacted) {
    adrift_ = true;
    read_anew("the watch fell behind a compaction");
  } else if (adrift_) {
    loaded_ = false;
    read_at_ = watch_at_;
  }
}

// History is lost: nobody knows who held what meanwhile.
void Core::Impl::read_anew(const std::string& why) {
  report(ReportKind::HistoryLost, why + "; reading everything anew");
  loaded_ = false;
  read_at_ = now_;
}

// --- the session

void Core::Impl::drive_session() {
  if (!loaded_ || stopping_) return;
  switch (session_state_) {
    case SessionState::Absent:
      if (!due(grant_at_)) return;
      granting_ = next_request();
      session_state_ = SessionState::Granting;
      emit(action::GrantLease{.request = granting_, .ttl = timing::lease_ttl(settings_.timeout)});
      return;
    case SessionState::Granting:
      return;
    case SessionState::Opening:
      // The lease may have gone meanwhile, and then no try will ever succeed.
      if (!due(opening_since_ + settings_.timeout * 2)) break;
      fence("its key could not be put", false);
      next_ = now_;
      return;
    case SessionState::Live:
      break;
  }
  if (!due(keep_at_)) return;
  keep_at_ = now_ + timing::lease_ttl(settings_.timeout) / 3;
  due(keep_at_);
  emit(action::KeepLease{.lease = chain_.lease()});
}

void Core::Impl::on(const event::LeaseGranted& e) {
  asked_at_.erase(e.request);
  if (e.request != granting_) return;  // of a cluster that is gone; the lease will expire
  granting_ = 0;
  if (cluster_id_ != 0 && e.header.cluster_id != cluster_id_) {
    forget_cluster("the endpoints belong to another cluster now");
    return;
  }
  // Each session is an instance of its own: a former one must not be taken for it.
  instance_ = settings_.instance + "-" + std::to_string(last_request_);
  chain_.open(e.lease, {.node = settings_.node,
                        .instance = instance_,
                        .timeout = settings_.timeout});
  session_state_ = SessionState::Opening;
  opening_since_ = now_;
  keep_at_ = now_ + timing::lease_ttl(settings_.timeout) / 3;
}

void Core::Impl::on(const event::LeaseKept& e) {
  if (e.alive || e.lease != chain_.lease() || revoking_ != 0) return;
  fence("the lease is gone", true);
}

void Core::Impl::on(const event::LeaseRevoked& e) {
  asked_at_.erase(e.request);
  if (e.request == revoking_) revoked_ = true;
  for (auto& [lease, takeover] : takeovers_) {
    if (takeover.revoking == e.request) takeover.revoking = 0;
  }
}

// A session that was lost never comes back. Its lease is revoked only where its key is gone anyway:
// where somebody else writes it, that may be this node's own next process.
void Core::Impl::fence(const std::string& why, bool key_gone) {
  report(ReportKind::Fenced, "session " + lease_hex(chain_.lease()) + " is lost: " + why);
  take_everything_down();
  if (key_gone) emit(action::RevokeLease{.request = next_request(), .lease = chain_.lease()});
  chain_.close();
  session_state_ = SessionState::Absent;
  grant_at_ = now_;
  taking_up_ = false;
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
  if (memory_.lease == LeaseId::None || memory_.cluster_id != cluster_id_ ||
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
  instance_ = memory_.instance;
  chain_.adopt(memory_.lease, own->modified, {.node = settings_.node,
                                              .instance = instance_,
                                              .timeout = settings_.timeout});
  session_state_ = SessionState::Opening;
  taking_up_ = true;
  opening_since_ = now_;
  keep_at_ = now_;
  for (const auto& [address, revision] : memory_.waited_out) {
    if (Vip* vip = find(address)) vip->waited_out = revision;
  }
  // What the former process was queued for and we are not configured for must be left.
  for (const Address& address : view_.vips_of(memory_.lease)) {
    if (find(address) != nullptr) continue;
    vips_.push_back({});
    vips_.back().settings.address = address;
    vips_.back().settings.name = address.text();
    vips_.back().dropped = true;
    links_.try_emplace("");
  }
  return true;
}

// What a next process of this node could take up.
void Core::Impl::drive_memory() {
  if (!loaded_ || taking_up_) return;  // what is remembered may still be taken up
  Memory memory;
  if (chain_.live() && !revoked_) {
    memory.cluster_id = cluster_id_;
    memory.lease = chain_.lease();
    memory.instance = instance_;
    memory.timeout = settings_.timeout;
    for (const Vip& vip : vips_) {
      if (vip.waited_out != 0) memory.waited_out.emplace(vip.settings.address, vip.waited_out);
    }
  }
  if (memory.lease == memory_.lease && memory.waited_out == memory_.waited_out) return;
  memory.session_revision = chain_.end();
  memory_ = memory;
  emit(action::Remember{.memory = std::move(memory)});
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
  if (session_state_ == SessionState::Opening) {
    session_state_ = SessionState::Live;
    report(taking_up_ ? ReportKind::SessionTakenUp : ReportKind::SessionOpened,
           "session " + lease_hex(chain_.lease()) +
               (taking_up_ ? " of the former process is taken up" : " is open") + ", timeout " +
               in_seconds(settings_.timeout));
    taking_up_ = false;
  }
  for (const Address& address : outcome.link.join) {
    if (Vip* vip = find(address)) {
      vip->key_changed = outcome.revision;
      vip->key_expected = true;
    }
  }
  for (const Address& address : outcome.link.leave) {
    if (Vip* vip = find(address)) {
      vip->key_changed = outcome.revision;
      vip->key_expected = false;
      vip->retired = std::max(vip->retired, vip->retiring);
      vip->retiring = 0;
      vip->waited_out = 0;
      vip->resigning = false;
    }
  }
  // Certainly refused: the chain had moved, and the key is still ours.
  for (const Address& address : outcome.refused) {
    if (Vip* vip = find(address)) vip->retiring = 0;
  }
}

Link Core::Impl::wanted_link() {
  Link link;
  const View::Session* own = view_.session(chain_.lease());
  // Somebody deleted it; a view that has not caught up with our last link says nothing of that.
  const bool missing = own != nullptr && !own->writes && view_.applied() >= chain_.end();
  link.put_writes = !chain_.live() || missing;
  // [safety] A release says that the address is gone, so the kernel must have confirmed it. Those
  // that go together are said together.
  for (Vip& vip : vips_) {
    if (link.size() == kMaxLinkSize) break;
    if (vip.address != Vip::AddressState::Absent) continue;
    const bool keyed = has_key(vip);
    if (wanted(vip) && !keyed) link.join.push_back(vip.settings.address);
    if (!wanted(vip) && keyed && !removing()) link.leave.push_back(vip.settings.address);
  }
  return link;
}

Duration Core::Impl::beat_interval() const {
  const Duration standby = timing::standby_interval(settings_.timeout, settings_.heartbeat);
  Duration interval = settings_.timeout * 1000;
  for (const Vip& vip : vips_) {
    const int place = view_.queue(vip.settings.address).position(chain_.lease());
    if (place == 0) return settings_.heartbeat;
    if (place == 1) interval = standby;
  }
  return interval;
}

bool Core::Impl::link_due(const Link& link) {
  if (!chain_.busy()) {
    if (!chain_.live() || link.size() > 0 || link.put_writes) return true;
    const Duration interval = beat_interval();
    return interval <= settings_.timeout && due(chain_.last_sent() + interval);
  }
  // A release does not wait for a heartbeat that hangs: whichever of the two commits, the other is
  // refused, and the answer tells which.
  const std::vector<Address>& sent = chain_.newest_link().leave;
  const bool news = std::any_of(link.leave.begin(), link.leave.end(), [&](const Address& a) {
    return std::find(sent.begin(), sent.end(), a) == sent.end();
  });
  if (news) return true;
  const size_t tries = chain_.tries();
  const Duration hedge =
      tries < kQuickTries ? timing::hedge_after(settings_.timeout) : kLastRetry;
  if (!chain_.newest_failed()) return due(chain_.last_sent() + hedge);
  const Duration retry = kFirstRetry * (int64_t{1} << std::min<size_t>(tries - 1, 6));
  return due(chain_.newest_failed_at() + std::min(retry, hedge));
}

void Core::Impl::drive_links() {
  if (revoking_ != 0) return;
  if (session_state_ != SessionState::Opening && session_state_ != SessionState::Live) return;
  if (session_state_ == SessionState::Opening && (stopping_ || !loaded_)) return;
  // While everything is read anew, heartbeats go on: the others must not take us for dead.
  Link link = loaded_ ? wanted_link() : Link{};
  if (link_due(link)) send_link(std::move(link));
}

void Core::Impl::send_link(Link link) {
  for (const Address& address : link.leave) {
    Vip* vip = find(address);
    vip->retiring = std::max(vip->retiring, key_created(*vip));
  }
  const RequestId request = next_request();
  const uint64_t group =
      static_cast<uint64_t>(chain_.lease()) ^ (static_cast<uint64_t>(chain_.end()) << 1) ^ 1;
  Txn txn = chain_.attempt(now_, request, fresh_nonce(), std::move(link));
  emit(action::SendTxn{.request = request, .group = group, .txn = std::move(txn)});
  const Duration hedge =
      chain_.tries() < kQuickTries ? timing::hedge_after(settings_.timeout) : kLastRetry;
  due(now_ + hedge);
}

void Core::Impl::on(const event::TxnAnswered& e) {
  if (!asked_at_.contains(e.request) || !same_history(e.header, e.request)) return;
  if (takeover_answered(e)) return;
  settle(chain_.answered(now_, e));
}

void Core::Impl::on(const event::RequestFailed& e) {
  asked_at_.erase(e.request);
  if (e.request == checking_) checking_ = 0;
  if (e.request == reading_) {
    reading_ = 0;
    read_backoff_ = longer(read_backoff_);
    read_at_ = now_ + read_backoff_;
    unreachable(e.reason);
  } else if (e.request == granting_) {
    granting_ = 0;
    session_state_ = SessionState::Absent;
    grant_at_ = now_ + Duration::milliseconds(500);
    unreachable(e.reason);
  } else if (e.request == revoking_) {
    revoked_ = true;  // the lease will expire by itself
  } else if (chain_.owns(e.request)) {
    chain_.failed(now_, e.request);
    if (chain_.tries() >= kTriesBeforeComplaint) unreachable(e.reason);
  } else {
    takeover_failed(e.request);
  }
}

// --- the end

void Core::Impl::drive_stop() {
  if (!stopping_ || finished_) return;
  const bool all_absent = std::all_of(vips_.begin(), vips_.end(), [](const Vip& v) {
    return v.address == Vip::AddressState::Absent;
  });
  const bool keyed = chain_.live() && std::any_of(vips_.begin(), vips_.end(),
                                                  [this](const Vip& v) { return has_key(v); });
  const bool late = due(stop_by_);
  if (late && keyed) {
    report(ReportKind::ReleaseGivenUp, "etcd did not take the release; the others wait " +
                                           in_seconds(settings_.timeout));
  }
  if (!late && (!all_absent || keyed)) return;
  if (!late && chain_.lease() != LeaseId::None && revoking_ == 0) {
    revoking_ = next_request();
    revoke_by_ = now_ + kRevokePatience;
    emit(action::RevokeLease{.request = revoking_, .lease = chain_.lease()});
  }
  if (!late && revoking_ != 0 && !revoked_ && !due(revoke_by_)) return;
  finished_ = true;
  emit(action::Finish{});
}

}  // namespace vipd
