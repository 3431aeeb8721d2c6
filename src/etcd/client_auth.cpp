// Authentication: asked for when there is no token, when etcd refuses the one there is, and before
// one ends whose end is known. Requests without a token wait for it, within their own time. The
// password goes to nobody who has not just named our cluster.
#include <algorithm>
#include <utility>

#include "etcd/client_impl.hpp"
#include "etcd/codes.hpp"
#include "etcd/failure.hpp"
#include "vipd/log.hpp"

namespace vipd::etcd {
namespace {

constexpr Duration kAfterRefusal = Duration::seconds(1);

}  // namespace

void Client::Impl::wait_for_token(const CallPtr& call) {
  login.waiting.push_back(call);
  if (loop.now() < login.not_before) return defer([this] { give_up_waiting(login.refusal); });
  authenticate(call->member, call->until);
}

// At the member that has just refused or was asked: others may hang.
void Client::Impl::authenticate(MemberId member, MonoTime until) {
  if (login.under_way) return;
  if (endpoints.find(member) == nullptr) {
    return give_up_waiting({Error::kTransport, "its endpoint is no longer configured", ""});
  }
  std::string reason;
  const std::string& password = auth.password(&reason);
  if (!reason.empty()) complain({code::kUnauthenticated, reason, "etcd.password_file"});
  if (password.empty()) {
    login.refusal = {code::kUnauthenticated, "nothing is sent: etcd.password_file " + reason, ""};
    login.not_before = loop.now() + kAfterRefusal;
    return defer([this] { give_up_waiting(login.refusal); });
  }
  login.under_way = true;
  introduce(member, until,
            [this, member, until, asked = auth.settings(), sent_at = loop.now()](
                uint64_t named, const Error& error) {
              login.under_way = false;
              if (is_somebody_else(asked)) return;
              if (may_have_secrets(named)) return send_password(member, until, asked);
              auth.postponed(loop.now());
              member_did_not_authenticate(member, sent_at, no_password(named, error));
            });
}

// Of all that etcd answers only a watch tells it to everybody: without a token it is refused by a
// message that has a header (seen on 3.4.23, 3.5.16 and 3.5.30).
void Client::Impl::introduce(MemberId member, MonoTime until, Introduced done) {
  HttpRequest request = make_request(member, Purpose::Introduce, stream_headers);
  request.body = write_watch(options.key, "", 0);
  request.until = until;
  const auto line = std::make_shared<std::string>();
  request.sink = [line](std::string_view bytes) -> std::string {
    line->append(bytes);
    const bool whole = line->find('\n') != std::string::npos;
    return whole || line->size() > row_of(Purpose::Introduce).limit ? "no more is needed" : "";
  };
  http.request(std::move(request), [this, member, line, done = std::move(done)](HttpAnswer& said) {
    WatchMessage message;
    Error error = transport_error(said, options.tls);
    line->resize(std::min(line->find('\n'), line->size()));
    const bool good = !line->empty() && read_watch_line(line->data(), line->size(), message, error);
    const Endpoints::Member* found = endpoints.find(member);
    const std::string where = found == nullptr ? "" : label(found->endpoint);
    count(where, Purpose::Introduce, good ? nullptr : &error);
    complete_text(error, said, where);
    said.body = std::move(*line);
    if (!good) recognise(member, said, error);
    done(good ? message.header.cluster_id : 0, error);
  });
}

Error Client::Impl::no_password(uint64_t named, Error error) const {
  if (named != 0) {
    error.text = "it belongs to cluster " + cluster_hex(named) + ", not to " +
                 cluster_hex(cluster) + ": no password is sent to it";
  } else if (blames_member(error.code)) {
    return error;
  } else {
    error.text = "it does not name its cluster, so no password is sent to it: " + error.text;
  }
  error.code = Error::kSetup;
  return error;
}

void Client::Impl::send_password(MemberId member, MonoTime until, const AuthSettings& asked) {
  if (endpoints.find(member) == nullptr) {
    return give_up_waiting({Error::kTransport, "its endpoint is no longer configured", ""});
  }
  login.under_way = true;
  std::string reason;
  HttpRequest request = make_request(member, Purpose::Authenticate, unary_headers);
  request.body = write_authenticate(asked.user, auth.password(&reason));
  request.until = until;
  http.request(std::move(request), [this, member, asked, sent_at = loop.now()](HttpAnswer& answer) {
    login.under_way = false;
    if (!is_somebody_else(asked)) authenticated(member, sent_at, answer);
  });
}

bool Client::Impl::is_somebody_else(const AuthSettings& asked) {
  if (asked == auth.settings()) return false;
  for (const CallPtr& call : std::exchange(login.waiting, {})) launch(call);
  return true;
}

void Client::Impl::authenticated(MemberId member, MonoTime sent_at, HttpAnswer& answer) {
  std::string token;
  Error error = transport_error(answer, options.tls);
  const bool good = answer.complete && read_token(answer.body, token, error);
  const Endpoints::Member* found = endpoints.find(member);
  const std::string where = found == nullptr ? "" : label(found->endpoint);
  count(where, Purpose::Authenticate, good ? nullptr : &error);
  if (good || error.code == code::kFailedPrecondition) {
    good ? auth.granted(std::move(token), loop.now()) : auth.not_needed();
    if (!good) log::info("etcd: its authentication is off; etcd.user is not needed");
    note_answer(member, 0);
    for (const CallPtr& call : std::exchange(login.waiting, {})) launch(call);
    return;
  }
  auth.postponed(loop.now());
  complete_text(error, answer, where);
  recognise(member, answer, error);
  if (blames_member(error.code)) return member_did_not_authenticate(member, sent_at, error);
  login.refusal = {code::kUnauthenticated,
                   "user '" + auth.settings().user + "' with the password in " +
                       auth.settings().password_file + ": " + error.text,
                   error.endpoint};
  login.not_before = loop.now() + kAfterRefusal;
  complain(login.refusal);
  give_up_waiting(login.refusal);
}

// Those that were meant for another member ask there.
void Client::Impl::member_did_not_authenticate(MemberId member, MonoTime sent_at,
                                               const Error& error) {
  if (needs_mending(error)) complain(error);
  note_failure(member, 0, sent_at, error);
  const auto elsewhere =
      std::partition(login.waiting.begin(), login.waiting.end(),
                     [&](const CallPtr& call) { return call->member != member; });
  std::vector<CallPtr> failed(elsewhere, login.waiting.end());
  login.waiting.erase(elsewhere, login.waiting.end());
  for (const CallPtr& call : failed) give_up(call, error);
  if (login.waiting.empty()) return;
  const CallPtr next = login.waiting.front();
  authenticate(next->member, next->until);
}

void Client::Impl::give_up_waiting(const Error& error) {
  for (const CallPtr& call : std::exchange(login.waiting, {})) give_up(call, error);
}

void Client::Impl::give_up(const CallPtr& call, const Error& error) {
  call->given_up = true;
  call->error = error;
  HttpAnswer none;
  call->finish(none, call);
}

// The token that was refused may have been replaced while its answer was under way.
void Client::Impl::renew_token(uint64_t used, MemberId member) {
  if (used != auth.number() || loop.now() < login.not_before) return;
  authenticate(member, loop.now() + options.request_timeout);
}

std::vector<std::string> Client::Impl::with_token(std::vector<std::string> headers) const {
  // Bare: etcd takes "Bearer" only from 3.5.32 and 3.6.13 on.
  if (!auth.token().empty()) headers.push_back("Authorization: " + auth.token());
  return headers;
}

}  // namespace vipd::etcd
