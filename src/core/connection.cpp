// Connection, snapshot and watch: what etcd shows, and whether it is still the same etcd.
#include <algorithm>
#include <cassert>
#include <utility>

#include "core/core_impl.hpp"
#include "core/timing.hpp"

namespace vipd {

// --- whether it answers

void Core::Impl::connected() {
  if (requests_.heard(now_)) report(ReportKind::Connected, "etcd answers again");
}

// One failed request is not reported while others are answered.
void Core::Impl::unreachable(const std::string& why) {
  if (!requests_.lost(now_, settings_.timeout / 4)) return;
  report(ReportKind::Unreachable, "no usable etcd member (" + why + "); retrying");
}

// --- the snapshot and the watch

void Core::Impl::drive_connection() {
  if (!snapshot_.wanted() || orders_.stopping || !due(snapshot_.read_at())) return;
  const RequestId request = next_request();
  snapshot_.reading(request);
  emit(action::ReadPrefix{.request = request});
}

// A long answer is taken in part by part. Before the last of them nothing is decided by it.
bool Core::Impl::is_part_of_answer(const Event& event) {
  const auto* read = std::get_if<event::PrefixRead>(&event);
  if (read == nullptr || !read->goes_on) return false;
  (void)snapshot_.arrives(*read);
  return true;
}

void Core::Impl::on(const event::PrefixRead& e) {
  Snapshot::Arrived& all = snapshot_.arrives(e);
  if (beat_read(e.request, e.header, all.entries)) return;
  const bool checking = snapshot_.take_check(e.request);
  if (!checking && !snapshot_.take_read(e.request)) return;
  if (!same_history(e.header, e.request) || checking) return;
  if (!snapshot_.answered()) {
    report(ReportKind::Connected, "etcd answers, cluster " + cluster_hex(binding_.cluster()));
  }
  requests_.heard(now_);
  view_.load(now_, e.header.revision, std::move(all.view), settings_.timeout);
  watch_goes_on();
  const std::vector<Entry>& entries = replay_.load(e.header.revision, std::move(all.entries));
  snapshot_.load();
  watch_.close(now_);
  revoke_former_sessions(entries);
  if (chain_.lease() == LeaseId::None) {
    // A former session that cannot be taken up is no more than a dead one.
    if (session_.state() == SessionState::Absent && !take_up_session(entries)) forget_memory();
    return;
  }
  const auto own = std::find_if(entries.begin(), entries.end(), [&](const Entry& entry) {
    return entry.key.kind == KeyKind::Session && entry.key.lease == chain_.lease();
  });
  settle(chain_.found(now_, own == entries.end() ? nullptr : &*own, e.header.revision));
}

void Core::Impl::read_failed(const std::string& why) {
  snapshot_.failed(now_);
  if (binding_.objection().empty()) unreachable(why);
}

// A watch that cannot be verified has to follow its snapshot at once.
void Core::Impl::open_watch(bool elsewhere) {
  if (watch_.take_adrift()) replay_.let_go();
  const bool held = replay_.begin() != 0;
  if (!held && !snapshot_.fresh()) return read_again();
  snapshot_.watched();
  emit(action::OpenWatch{.from = held ? replay_.begin() : view_.applied() + 1,
                         .avoid_current = elsewhere});
  replay_.restart();
  watch_.opening(now_, timing::hedge_after(settings_.timeout));
}

void Core::Impl::drive_watch() {
  if (!snapshot_.loaded()) return;
  if (watch_.is_closed()) {
    if (due(watch_.next_at())) open_watch(watch_.elsewhere());
    return;
  }
  // Committed but not echoed: the watch's member hangs, lags or is cut off. While no member
  // answers, as in an election, the watch stays: any other would be no better.
  MonoTime late = MonoTime::never();
  if (const MonoTime since = chain_.echo_missing_since(); !since.is_never()) {
    late = std::max(since + timing::hedge_after(settings_.timeout), watch_.next_at());
  }
  const bool awaits = watch_.awaits_beyond(view_.applied());
  if (awaits) late = std::min(late, watch_.shown_by());
  if (!due(late)) return;
  report(ReportKind::WatchReplaced,
         std::string(awaits ? "end of a session not shown" : "heartbeat not echoed") +
             " in time; moving the watch to another member");
  watch_.late();
  open_watch(true);
}

void Core::Impl::on(const event::WatchCreated& e) {
  if (!watch_.is_opening()) return;
  watch_.created();
  // Behind what we know: a member that lags, or a cluster that was put back. Only a linearizable
  // read can tell.
  if (e.header.revision < view_.applied() && !snapshot_.is_checking()) {
    const RequestId request = next_request();
    snapshot_.checking(request);
    emit(action::ReadPrefix{.request = request});
  }
}

void Core::Impl::on(const event::WatchAdvanced& e) {
  if (!snapshot_.loaded() || watch_.is_closed()) return;
  watch_.advanced();
  watch_goes_on();
  if (e.changes.empty()) {
    if (replay_.complete()) view_.progress(e.header.revision);
    requests_.shown(view_.applied());
    return;
  }
  if (replay_.begin() == 0) return adrift_advanced(e.changes);
  if (!replay_.matches(e.changes, view_.applied())) {
    forget_cluster("etcd's history has changed: restored from a backup?");
    return;
  }
  const Revision before = view_.applied();
  view_.echoed(chain_.by_read() ? MonoTime::long_ago() : chain_.deadline() - settings_.timeout);
  view_.apply(now_, e.changes, settings_.timeout);
  if (view_.applied() > before) watch_.news(now_, silence());
  replay_.add(e.changes);
  requests_.shown(view_.applied());
  say_differences();
  for (const Change& change : e.changes) {
    const Key& key = change.entry.key;
    const bool own = key.lease == chain_.lease() && key.lease != LeaseId::None;
    if (own && key.kind == KeyKind::Hold && !change.deleted) {
      hold_.shown = std::max(hold_.shown, change.entry.modified);
    }
    if (change.entry.modified <= before || key.kind != KeyKind::Session) continue;
    if (own) own_session_seen(change);
  }
}

// [safety] Such a watch may follow another history than the snapshot's, so nothing that it shows is
// believed; but with a session put in it the next snapshot can be verified.
void Core::Impl::adrift_advanced(const std::vector<Change>& changes) {
  const bool session_put = std::any_of(changes.begin(), changes.end(), [](const Change& change) {
    return change.entry.key.kind == KeyKind::Session && !change.deleted;
  });
  if (session_put) read_again();
}

void Core::Impl::own_session_seen(const Change& change) {
  if (session_.is_revoking()) return;  // we asked for its end
  bool echoed = false;
  settle(chain_.seen(now_, change, &echoed));
  if (!echoed) return;
  authority_renewed();
  hold_echoed();
}

void Core::Impl::authority_renewed() {
  kernel_.renew_at(next_round());
  session_.heartbeats.echoed++;
  session_.heartbeats.took.add(now_ - (chain_.deadline() - settings_.timeout));
}

void Core::Impl::on(const event::WatchEnded& e) {
  watch_.ended(now_);
  if (!snapshot_.loaded() || !e.compacted) return;
  // Not even the last session put in sight is there any more.
  watch_.adrift(!replay_.proven());
  read_anew("the watch fell behind a compaction");
  snapshot_.read_at(watch_.next_at());
}

// Nobody knows who held what meanwhile.
void Core::Impl::read_anew(const std::string& why) {
  report(ReportKind::HistoryLost, why + "; reading everything again");
  read_again();
}

void Core::Impl::read_again() {
  snapshot_.read_again(now_);
  step_.again(now_);
}

}  // namespace vipd
