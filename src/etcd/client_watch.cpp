// The one watch: opened, confirmed, over; and told to whoever asked for it.
#include <algorithm>
#include <utility>

#include "etcd/client_impl.hpp"
#include "etcd/failure.hpp"
#include "vipd/log.hpp"

namespace vipd::etcd {
namespace {

constexpr Duration kFirstAvoided = Duration::seconds(8);
constexpr Duration kLongestAvoided = Duration::seconds(64);
constexpr Duration kJustNow = Duration::seconds(1);
constexpr int kNoFault = 0;

}  // namespace

void Client::Impl::open_watch(std::string body, MemberId answers, WatchHandlers handlers) {
  const auto stream =
      std::make_shared<WatchStream>(wrap(std::move(handlers)), options.wanted, options.room);
  watch.stream = stream;
  watch.member = endpoints.pick(loop.now(), kWatchGroup, answers);
  watch.opened_at = loop.now();
  if (watch.member == MemberId::None) {
    return defer([stream, error = no_member()] { stream->finish(error); });
  }
  HttpRequest request = make_request(watch.member, Purpose::Watch, with_token(stream_headers));
  request.body = std::move(body);
  watch.url = endpoints.find(watch.member)->endpoint.url;
  watch.where = label(endpoints.find(watch.member)->endpoint);
  log::debug("etcd: %s: watch", watch.where.c_str());
  watch.credentials = request.tls ? request.tls->generation : 0;
  watch.token = auth.number();
  watch.http = http.stream(
      std::move(request), [stream](std::string_view bytes) { stream->feed(bytes); },
      [this, stream](HttpAnswer& answer) {
        if (answer.complete) answer.problem = "connection closed";
        Error error = transport_error(answer, options.tls);
        if (renewed_files(watch.credentials, answer)) error.code = kNoFault;
        stream->finish(error);
      });
  const std::string late =
      "watch not confirmed within " + std::to_string(options.request_timeout.ms()) + " ms";
  watch.not_created = loop.add_timer(loop.now() + options.request_timeout, [stream, late] {
    if (!stream->created()) stream->finish({Error::kTransport, late, ""});
  });
}

// Ours first, then the user's, who may open another watch from within: nothing of this one is
// touched after that.
WatchHandlers Client::Impl::wrap(WatchHandlers user) {
  WatchHandlers ours;
  ours.created = [this, created = std::move(user.created)](const Header& header) {
    if (watch_created(header)) created(header);
  };
  ours.events = [this, events = std::move(user.events)](const Header& header,
                                                        const std::vector<WatchEvent>& what) {
    if (is_of_our_cluster(header)) events(header, what);
  };
  ours.ended = [this, ended = std::move(user.ended)](const Error& error, int64_t compacted) {
    Error named = error;
    // What another cluster has compacted is no loss.
    const bool lost = compacted > 0 && watch.stream->cluster() == cluster;
    watch_ended(named);
    ended(named, lost ? compacted : 0);
  };
  return ours;
}

bool Client::Impl::watch_created(const Header& header) {
  loop.cancel_timer(std::exchange(watch.not_created, Loop::Timer::None));
  if (!is_of_our_cluster(header)) return false;
  count(watch.where, Purpose::Watch, nullptr);
  return true;
}

bool Client::Impl::is_of_our_cluster(const Header& header) {
  Error error;
  // Nobody knows when it was sent.
  if (note_header(watch.member, header, std::nullopt, error)) return true;
  const auto stream = watch.stream;
  stream->finish(error);
  return false;
}

void Client::Impl::watch_ended(Error& error) {
  const OpenWatch over = std::exchange(watch, {});
  loop.cancel_timer(over.not_created);
  http.cancel(over.http);  // after a cancel etcd leaves the stream open
  if (!over.where.empty() && !over.stream->created()) count(over.where, Purpose::Watch, &error);
  const Endpoints::Member* member = endpoints.find(over.member);
  if (member == nullptr) return;
  error.endpoint = label(member->endpoint);
  explain(error, options);
  if (token_refused(error) && !auth.settings().user.empty()) {
    renew_token(over.token, over.member);
    error.code = kNoFault;
  }
  if (needs_mending(error)) complain(error);
  if (!blames_member(error.code)) return;
  // One that says that there is no leader serves as well as any once there is.
  if (!error.no_leader()) avoid_watching(over);
  // One that served well until now fails afresh, whatever happened while it did.
  const MonoTime since = over.stream->created() ? loop.now() : over.opened_at;
  note_failure(over.member, kWatchGroup, since, error);
}

// A member may answer calls well all the same: the watch would be drawn back, and late, each time.
void Client::Impl::avoid_watching(const OpenWatch& bad) {
  if (endpoints.find(bad.member) == nullptr) return;
  Duration& pause = notes[bad.member].unwatched;
  const bool served_well = bad.stream->created() && loop.now() > bad.opened_at + kLongestAvoided;
  if (served_well) pause = Duration();
  pause = std::clamp(pause * 2, kFirstAvoided, kLongestAvoided);
  endpoints.avoid(bad.member, kWatchGroup, loop.now() + pause);
}

void Client::Impl::drop_watch() {
  OpenWatch over = std::exchange(watch, {});
  if (!over.stream) return;
  over.stream->close();
  loop.cancel_timer(over.not_created);
  http.cancel(over.http);
}

void Client::Impl::move_watch(const char* why) {
  defer([stream = watch.stream, why] { stream->finish({kNoFault, why, ""}); });
}

// An address that its name has no more may serve on.
void Client::Impl::end_watch_of_removed_endpoint() {
  if (!watch.stream) return;
  const auto same = [this](const Endpoint& e) { return e.url == watch.url; };
  if (std::none_of(configured.begin(), configured.end(), same) &&
      std::none_of(discovery.used.begin(), discovery.used.end(), same)) {
    move_watch("its endpoint is no longer configured");
  }
}

void Client::watch(const Range& range, int64_t start_revision, bool avoid_current,
                   WatchHandlers handlers) {
  if (avoid_current && impl_->watch.stream) impl_->avoid_watching(impl_->watch);
  impl_->drop_watch();
  // Where something is amiss, a member that is not known to have failed may be dead.
  const bool answers = avoid_current && impl_->loop.now() < impl_->last_answer.heard_at + kJustNow;
  impl_->open_watch(write_watch(range.begin, range.end, start_revision),
                    answers ? impl_->last_answer.member : MemberId::None, std::move(handlers));
}

}  // namespace vipd::etcd
