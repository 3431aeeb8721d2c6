#include "etcd/client.hpp"

#include <utility>

#include "etcd/client_impl.hpp"
#include "etcd/failure.hpp"
#include "vipd/log.hpp"

namespace vipd::etcd {
namespace {

constexpr size_t kRangeLimit = 16U << 20;
constexpr size_t kVersionLimit = 4096;
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
  loop.cancel_timer(deferred_timer);
  loop.cancel_timer(watch.not_created);
}

void Client::Impl::configure(Options o) {
  options = std::move(o);
  std::vector<Endpoint> parsed;
  std::vector<std::string> names;
  for (const std::string& text : options.endpoints) {
    Endpoint endpoint;
    if (!parse_endpoint(text, endpoint)) {
      log::error("etcd: %s is not an endpoint", text.c_str());
      continue;
    }
    if (!endpoint.literal) names.push_back(endpoint.host);
    parsed.push_back(std::move(endpoint));
  }
  endpoints.set(parsed);
  std::erase_if(notes, [this](const auto& note) { return endpoints.find(note.first) == nullptr; });
  if (names.empty()) resolver.reset();
  if (!names.empty() && !resolver) resolver = std::make_unique<Resolver>(loop);
  if (resolver) resolver->set_names(names);

  stream_headers = {"Content-Type: application/json", "Expect:", "Grpc-Metadata-hasleader: true"};
  unary_headers = stream_headers;
  unary_headers.push_back("Grpc-Timeout: " + std::to_string(options.request_timeout.ms()) + "m");
}

// Runs the call in a later turn: nothing is answered from inside the call that asked.
void Client::Impl::defer(std::function<void()> call) {
  deferred.push_back(std::move(call));
  if (deferred_timer != Loop::Timer::None) return;
  deferred_timer = loop.add_timer(loop.now(), [this] {
    deferred_timer = Loop::Timer::None;
    for (const auto& each : std::exchange(deferred, {})) each();
  });
}

MemberId Client::Impl::pick(Group group) {
  for (const Endpoints::Member& member : endpoints.members()) {
    if (member.endpoint.literal) continue;
    endpoints.set_usable(member.id, !resolver->addresses(member.endpoint.host).empty());
  }
  return endpoints.pick(loop.now(), group);
}

HttpRequest Client::Impl::make_request(MemberId id, const char* path,
                                       const std::vector<std::string>& headers) {
  const Endpoint& endpoint = endpoints.find(id)->endpoint;
  HttpRequest request;
  request.url = endpoint.url + path;
  request.headers = headers;
  request.timeout = options.request_timeout;
  if (!endpoint.literal) {
    const std::vector<Address>& known = resolver->addresses(endpoint.host);
    const Address& address = known[notes[id].address % known.size()];
    const std::string text = address.is_v6() ? "[" + address.text() + "]" : address.text();
    request.connect_to = endpoint.host + ":" + endpoint.port + ":" + text + ":" + endpoint.port;
  }
  return request;
}

Error Client::Impl::no_member() const {
  if (endpoints.members().empty()) return {Error::kTransport, "no endpoint is known", ""};
  const Endpoint& first = endpoints.members().front().endpoint;
  return {Error::kTransport, resolver->problem(first.host), first.url};
}

void Client::Impl::submit(const char* path, const std::string& body, Group group, size_t limit,
                          Finish finish) {
  ++in_flight;
  const MemberId id = pick(group);
  if (id == MemberId::None) {
    const Error error = no_member();
    return defer([finish = std::move(finish), error] {
      HttpAnswer none;
      none.problem = error.text;
      finish(none, {MemberId::None, error.endpoint, 0, MonoTime()});
    });
  }
  HttpRequest request = make_request(id, path, unary_headers);
  request.body = body;
  request.answer_limit = limit;
  endpoints.sent(id, group);
  Ticket ticket{id, endpoints.find(id)->endpoint.url, group, loop.now()};
  http.request(std::move(request), [finish = std::move(finish), ticket = std::move(ticket)](
                                       HttpAnswer& answer) { finish(answer, ticket); });
}

template <typename T>
void Client::Impl::call(const char* path, const std::string& body, Group group, Read<T> read,
                        Done<T> done, size_t limit) {
  submit(path, body, group, limit,
         [this, read, done = std::move(done)](HttpAnswer& answer, const Ticket& ticket) {
           T value{};
           Error error = transport_error(answer);
           const bool good = answer.complete && read(answer.body, value, error);
           if (good) note_header(header_of(value));
           if (!good) complete_text(error, answer, ticket.endpoint);
           settle(ticket, good ? nullptr : &error);
           done(good ? &value : nullptr, good ? nullptr : &error);
         });
}

void Client::Impl::settle(const Ticket& ticket, const Error* error) {
  --in_flight;
  last_failed = error != nullptr && blames_member(error->code);
  if (last_failed) return note_failure(ticket.member, ticket.group, ticket.sent_at);
  endpoints.answered(ticket.member, ticket.group);
  answered_by = ticket.member;
  answered_at = loop.now();
  ask_version(ticket.member);
}

void Client::Impl::note_failure(MemberId member, Group group, MonoTime sent_at) {
  endpoints.failed(member, group, sent_at, loop.now());
  if (endpoints.find(member) == nullptr) return;
  Notes& note = notes[member];
  ++note.address;
  note.version_asked = false;  // it may come back as another version
}

void Client::Impl::note_header(const Header& header) {
  if (header.cluster_id != 0) cluster_id = header.cluster_id;
}

void Client::Impl::ask_version(MemberId member) {
  Notes& note = notes[member];
  if (note.version_asked || endpoints.find(member) == nullptr) return;
  note.version_asked = true;
  HttpRequest request = make_request(member, "/version", stream_headers);
  request.answer_limit = kVersionLimit;
  http.request(std::move(request), [this, member](HttpAnswer& answer) {
    Error error;
    std::string version;
    if (!answer.complete || !read_version(answer.body, version, error)) return;
    if (endpoints.find(member) != nullptr) notes[member].version = std::move(version);
  });
}

Client::Client(Loop& loop, Options options)
    : impl_(std::make_unique<Impl>(loop, std::move(options))) {}
Client::~Client() = default;

void Client::reconfigure(Options options) {
  impl_->configure(std::move(options));
  impl_->end_watch_of_removed_member();
}

void Client::grant(int64_t ttl_s, Done<Granted> done) {
  impl_->call<Granted>("/v3/lease/grant", write_grant(ttl_s), 0, read_granted, std::move(done));
}

void Client::keep_alive(int64_t lease, Done<KeptAlive> done) {
  impl_->call<KeptAlive>("/v3/lease/keepalive", write_lease(lease), 0, read_kept_alive,
                         std::move(done));
}

void Client::revoke(int64_t lease, Done<Header> done) {
  constexpr int kNotFound = 5;
  impl_->call<Header>("/v3/lease/revoke", write_lease(lease), 0, read_header,
                      [done = std::move(done)](const Header* header, const Error* error) {
                        const Header gone;
                        const bool found = error == nullptr || error->code != kNotFound;
                        done(found ? header : &gone, found ? error : nullptr);
                      });
}

void Client::txn(const Txn& txn, Group group, Done<TxnAnswer> done) {
  impl_->call<TxnAnswer>("/v3/kv/txn", write_txn(txn), group, read_txn, std::move(done));
}

void Client::range(const std::string& key, const std::string& range_end, Done<RangeAnswer> done) {
  impl_->call<RangeAnswer>("/v3/kv/range", write_range(key, range_end), 0, read_range,
                           std::move(done), kRangeLimit);
}

bool Client::connected() const {
  const Duration age = impl_->loop.now() - impl_->answered_at;
  if (age <= impl_->options.request_timeout * kConnectedFor) return true;
  // A standby has long pauses between its requests: its watch says as much, until a request fails.
  return impl_->watch.stream && impl_->watch.stream->created() && !impl_->last_failed;
}

std::string Client::endpoint() const {
  const auto* member = impl_->endpoints.find(impl_->answered_by);
  return member == nullptr ? std::string() : member->endpoint.url;
}

std::string Client::version() const {
  const auto found = impl_->notes.find(impl_->answered_by);
  return found == impl_->notes.end() ? std::string() : found->second.version;
}

uint64_t Client::cluster_id() const {
  return impl_->cluster_id;
}
size_t Client::in_flight() const {
  return impl_->in_flight;
}

}  // namespace vipd::etcd
