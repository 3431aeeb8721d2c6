#include "etcd/client.hpp"

#include <algorithm>
#include <utility>

#include "etcd/client_impl.hpp"
#include "etcd/codes.hpp"
#include "etcd/failure.hpp"
#include "vipd/log.hpp"

namespace vipd::etcd {
namespace {

constexpr int64_t kConnectedFor = 4;  // request timeouts

const Header& header_of(const Header& header) {
  return header;
}
template <typename T>
const Header& header_of(const T& answer) {
  return answer.header;
}

}  // namespace

Client::Impl::~Impl() {
  loop.cancel_timer(probe_timer);
  loop.cancel_timer(watch.not_created);
}

// To the member that the call names, or to the best one.
void Client::Impl::submit(CallPtr call) {
  if (call->member == MemberId::None) call->member = endpoints.pick(loop.now(), call->group);
  call->sent_at = loop.now();
  call->until = loop.now() + options.request_timeout;
  const Endpoints::Member* member = endpoints.find(call->member);
  if (member == nullptr) {
    const Error error = no_member();
    call->endpoint = error.endpoint;
    return defer([call = std::move(call), error] {
      HttpAnswer none;
      none.problem = error.text;
      call->finish(none, call);
    });
  }
  call->endpoint = label(member->endpoint);
  endpoints.sent(call->member, call->group);
  launch(call);
}

void Client::Impl::launch(const CallPtr& call) {
  // Our secrets are not for a stranger, which may be one of ours again.
  const bool stranger = is_stranger(call->member) && !call->is_ours;
  if (stranger && !auth.settings().user.empty() && !call->introduced) {
    call->introduced = true;
    return introduce(call->member, call->until, [this, call](uint64_t named, const Error&) {
      call->is_ours = may_have_secrets(named);
      launch(call);
    });
  }
  if (auth.lacks_token() && !stranger) return wait_for_token(call);
  if (endpoints.find(call->member) == nullptr) {
    return give_up(call, {Error::kTransport, "its endpoint is no longer configured", ""});
  }
  if (auth.renewal_due(loop.now()) && !stranger) renew_token(auth.number(), call->member);
  HttpRequest request = make_request(call->member, call->purpose,
                                     stranger ? unary_headers : with_token(unary_headers));
  request.body = call->body;
  if (call->snapshot) {
    call->snapshot->restart();
    request.sink = [reader = call->snapshot](std::string_view bytes) {
      return reader->feed(bytes);
    };
  }
  request.until = call->until;
  call->credentials = request.tls ? request.tls->generation : 0;
  call->token = auth.number();
  http.request(std::move(request), [call](HttpAnswer& answer) { call->finish(answer, call); });
}

template <typename T>
Client::Impl::CallPtr Client::Impl::prepare(Purpose purpose, std::string body, Group group,
                                            Read<T> read, Done<T> done) {
  auto call = std::make_shared<Call>();
  call->purpose = purpose;
  call->body = std::move(body);
  call->group = group;
  call->finish = [this, read, done = std::move(done)](HttpAnswer& answer, const CallPtr& finished) {
    T value{};
    Error error;
    const bool good = take(*finished, answer, read, value, error) &&
                      note_header(finished->member, header_of(value), finished->sent_at, error);
    if (!good && repeat(finished, answer, error)) return;
    if (!good) error.endpoint = finished->endpoint;
    finished->too_large = answer.too_large;
    settle(*finished, good ? nullptr : &error);
    done(good ? &value : nullptr, good ? nullptr : &error);
  };
  return call;
}

template <typename T>
void Client::Impl::call(Purpose purpose, std::string body, Group group, Read<T> read,
                        Done<T> done) {
  submit(prepare<T>(purpose, std::move(body), group, std::move(read), std::move(done)));
}

// Within the same attempt, once: what was refused for a reason of ours that can be mended.
bool Client::Impl::repeat(const CallPtr& call, const HttpAnswer& answer, const Error& error) {
  if (call->repeated || call->given_up || loop.now() >= call->until) return false;
  const Endpoints::Member* member = endpoints.find(call->member);
  if (member == nullptr || (endpoints.is_stranger(*member) && !call->is_ours)) return false;
  const bool token = token_refused(error) && !auth.settings().user.empty();
  if (!token && !renewed_files(call->credentials, answer)) return false;
  call->repeated = true;
  if (token && call->token == auth.number()) {
    wait_for_token(call);
  } else {
    launch(call);
  }
  return true;
}

void Client::Impl::settle(const Call& call, const Error* error) {
  if (error != nullptr && error->code == Error::kStranger) {
    (void)endpoints.answered(call.member, call.group, loop.now());
    return arm_probe();
  }
  if (error != nullptr && needs_mending(*error) && !asked_elsewhere(call.member, *error)) {
    complain(*error);
  }
  // How much somebody else has put under a key is not the member's fault.
  const bool is_others = call.purpose == Purpose::Read && call.too_large;
  last_answer.has_failed_since = error != nullptr && blames_member(error->code) && !is_others;
  if (last_answer.has_failed_since)
    return note_failure(call.member, call.group, call.sent_at, *error);
  last_answer.member = call.member;
  last_answer.heard_at = loop.now();
  note_answer(call.member, call.group);
  ask_version(call.member);
  if (error != nullptr) return;
  proven = std::max(proven, call.credentials);
  discover(call.member);
  if (watch.stream && watch.credentials != 0 && watch.credentials < call.credentials) {
    move_watch("the certificates have changed");
  }
}

void Client::Impl::count(const std::string& endpoint, Purpose purpose, const Error* error) {
  using Result = Tally::Result;
  const bool failed = error != nullptr && blames_member(error->code);
  tally.add(endpoint, row_of(purpose).label,
            error == nullptr ? Result::Ok : (failed ? Result::Failed : Result::Refused));
}

Client::Client(Loop& loop, Options options)
    : impl_(std::make_unique<Impl>(loop, std::move(options))) {}
Client::~Client() = default;

void Client::reconfigure(Options options) {
  impl_->configure(std::move(options));
  impl_->end_watch_of_removed_endpoint();
  impl_->defer([impl = impl_.get()] { impl->tell_all_named(); });
}

void Client::grant(int64_t ttl_s, Done<Granted> done) {
  impl_->call<Granted>(Purpose::Grant, write_grant(ttl_s), 0, read_granted, std::move(done));
}

void Client::keep_alive(int64_t lease, Done<KeptAlive> done) {
  impl_->call<KeptAlive>(Purpose::KeepAlive, write_lease(lease), 0, read_kept_alive,
                         std::move(done));
}

void Client::revoke(int64_t lease, Done<Header> done) {
  impl_->call<Header>(Purpose::Revoke, write_lease(lease), 0, read_header,
                      [done = std::move(done)](Header* header, const Error* error) {
                        Header gone;
                        const bool found = error == nullptr || error->code != code::kNotFound;
                        done(found ? header : &gone, found ? error : nullptr);
                      });
}

void Client::txn(const Txn& txn, Group group, Done<TxnAnswer> done) {
  // Without its range, the answer of the else branch would say that our key is gone.
  const auto read = [yes = txn.success.size(), no = txn.failure.size()](
                        std::string& body, TxnAnswer& out, Error& error) {
    if (!read_txn(body, out, error)) return false;
    if (out.responses == (out.succeeded ? yes : no)) return true;
    error = {Error::kBadAnswer, "the answer does not match the request", ""};
    return false;
  };
  impl_->call<TxnAnswer>(Purpose::Txn, write_txn(txn), group, read, std::move(done));
}

// A txn's ranges show one revision. None of them is serializable, so it waits for a quorum.
void Client::snapshot(const std::vector<Range>& ranges, Done<RangeAnswer> done) {
  Txn txn;
  for (const Range& range : ranges) {
    txn.success.push_back({Op::Kind::Range, range.begin, range.end, "", 0});
  }
  const auto reader =
      std::make_shared<Snapshot>(ranges.size(), impl_->options.wanted, impl_->options.room);
  const auto read = [reader](std::string& body, RangeAnswer& out, Error& error) {
    body = reader->rest();  // it may tell what is there instead of a gateway
    return reader->finish(out, error);
  };
  auto call =
      impl_->prepare<RangeAnswer>(Purpose::Snapshot, write_txn(txn), 0, read, std::move(done));
  call->snapshot = reader;
  impl_->submit(std::move(call));
}

void Client::range_at(const std::string& key, int64_t revision, Done<RangeAnswer> done) {
  impl_->call<RangeAnswer>(Purpose::Compaction, write_range(key, "", revision), 0, read_range,
                           std::move(done));
}

void Client::read(const std::string& key, Done<RangeAnswer> done) {
  impl_->call<RangeAnswer>(Purpose::Read, write_range(key, "", 0), 0, read_range, std::move(done));
}

bool Client::connected() const {
  const Duration age = impl_->loop.now() - impl_->last_answer.heard_at;
  if (age <= impl_->options.request_timeout * kConnectedFor) return true;
  // A standby has long pauses between its requests: its watch says as much, until a request fails.
  return impl_->watch.stream && impl_->watch.stream->created() &&
         !impl_->last_answer.has_failed_since;
}

std::string Client::endpoint() const {
  const auto* member = impl_->endpoints.find(impl_->last_answer.member);
  return member == nullptr ? std::string() : member->endpoint.url;
}

std::string Client::version() const {
  const auto found = impl_->notes.find(impl_->last_answer.member);
  return found == impl_->notes.end() ? std::string() : found->second.version;
}

std::optional<LastError> Client::last_error() const {
  constexpr Duration kLately = Duration::seconds(60);
  if (impl_->troubles.last().text.empty()) return std::nullopt;
  LastError last{.error = impl_->troubles.last(),
                 .age = impl_->loop.now() - impl_->troubles.last_at()};
  last.matters = !connected() || (needs_mending(last.error) && last.age < kLately);
  return last;
}

const Tally& Client::tally() const {
  return impl_->tally;
}

}  // namespace vipd::etcd
