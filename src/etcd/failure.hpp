// What a failed request says: about the member, and to people. Pure.
#pragma once

#include <string>

#include "etcd/client.hpp"
#include "etcd/endpoint.hpp"
#include "web/http.hpp"

namespace vipd::etcd {

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

// Of a member that has never answered: adds what its silence may mean.
void explain_silence(Error& error, const Endpoint& endpoint);

// Adds what can be done, where that is known.
void explain(Error& error, const Options& options);

// Adds the endpoint; and the status, which decides nothing but says much to people, where the
// answer is no JSON of etcd's.
void complete_text(Error& error, const HttpAnswer& answer, const std::string& endpoint);

}  // namespace vipd::etcd
