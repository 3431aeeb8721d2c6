// What a failed request says: about the member, and to people. Pure.
#pragma once

#include <string>
#include <string_view>

#include "etcd/client.hpp"
#include "web/endpoint.hpp"
#include "web/http.hpp"

namespace vipd::etcd {

using web::Endpoint;

using web::HttpAnswer;
using web::TlsTrouble;

// Whether an error says that the member (or what is behind the address) is of no use at present,
// rather than that it has judged the request.
[[nodiscard]] bool blames_member(int code);

// Whether somebody has to mend it: a certificate, a password, a permission.
[[nodiscard]] bool needs_mending(const Error& error);

// Of an answer that did not come, or not whole. `tls` names the files.
[[nodiscard]] Error transport_error(const HttpAnswer& answer, const TlsSettings& tls);

// Whether the token was refused, or there was none.
[[nodiscard]] bool token_refused(const Error& error);

// What was seen of a port that does not answer as etcd's JSON gateway.
struct Seen {
  long status = 0;   // of a call to the gateway; 0: its answer was not HTTP
  std::string body;  // of that answer
  long version = 0;  // the status of GET /version; 0: not known
  long health = 0;   // the status of GET /health
  std::string etcd;  // which etcd it is, as /version says
};

// Whether only GET /version and GET /health can tell what it is.
[[nodiscard]] bool needs_a_look(const Seen& seen);

// What it is, and what to change; empty when that is not known.
[[nodiscard]] std::string_view what_it_is(const Seen& seen);

// Of a member that has never answered: adds what its silence may mean.
void explain_silence(Error& error, const Endpoint& endpoint);

// Adds what can be done, where that is known.
void explain(Error& error, const Options& options);

// Adds the endpoint; and the status, which decides nothing but says much to people, where the
// answer is no JSON of etcd's.
void complete_text(Error& error, const HttpAnswer& answer, const std::string& endpoint);

}  // namespace vipd::etcd
