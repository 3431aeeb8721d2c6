// What is behind an endpoint that does not answer as etcd's gateway: two requests tell which of
// etcd's ports it is.
#include <utility>

#include "etcd/client_impl.hpp"
#include "etcd/failure.hpp"

namespace vipd::etcd {
namespace {

constexpr size_t kLimit = 4096;
constexpr Duration kBetweenLooks = Duration::seconds(60);

}  // namespace

void Client::Impl::recognise(MemberId member, const HttpAnswer& answer, Error& error) {
  if (error.code != Error::kBadAnswer && error.code != Error::kTransport) return;
  if (endpoints.find(member) == nullptr) return;
  Seen& seen = notes[member].seen;
  seen.status = answer.status;
  seen.body = answer.body.substr(0, kLimit);
  const std::string_view text = what_it_is(seen);
  if (needs_a_look(seen)) look(member);
  if (text.empty()) return;
  error.code = Error::kSetup;
  error.text = text;
}

void Client::Impl::look(MemberId member) {
  MonoTime& at = notes[member].seen_at;
  if (loop.now() < at + kBetweenLooks) return;
  at = loop.now();
  get(member, Purpose::Version, [this, member](HttpAnswer& answer) {
    Seen& seen = notes[member].seen;
    seen.version = answer.status;
    Error ignored;
    seen.etcd.clear();
    if (answer.complete) static_cast<void>(read_version(answer.body, seen.etcd, ignored));
    get(member, Purpose::Health, [this, member](HttpAnswer& health) {
      notes[member].seen.health = health.status;
      looked(member);
    });
  });
}

// Nothing comes of it where the member is no longer there.
void Client::Impl::get(MemberId member, Purpose purpose, std::function<void(HttpAnswer&)> done) {
  if (endpoints.find(member) == nullptr) return;
  HttpRequest request = make_request(member, purpose, stream_headers);
  http.request(std::move(request), [this, member, done = std::move(done)](HttpAnswer& answer) {
    if (endpoints.find(member) != nullptr) done(answer);
  });
}

void Client::Impl::looked(MemberId member) {
  const std::string_view text = what_it_is(notes[member].seen);
  if (text.empty()) return;
  const Error error{Error::kSetup, std::string(text), label(endpoints.find(member)->endpoint)};
  if (!asked_elsewhere(member, error)) complain(error);
}

}  // namespace vipd::etcd
