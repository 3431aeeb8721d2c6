// The values of keys that name a place in the network: canonical text, or a reason that quotes what
// was given. Pure; never resolves a name.
#pragma once

#include <string>
#include <string_view>

namespace vipd::conf {

// A member of etcd, as web::parse_endpoint() reads it.
[[nodiscard]] bool parse_endpoint(std::string_view text, std::string* out, std::string* reason);

// "HOST[:PORT]" as "HOST:PORT", an IPv6 address in brackets. With an empty default_port it must
// have one. `whole` and `scheme` are for the messages.
[[nodiscard]] bool parse_authority(std::string_view whole, std::string_view text,
                                   std::string_view scheme, std::string_view default_port,
                                   std::string* out, std::string* reason);

// A name, an IPv4 address, or an IPv6 address without brackets.
[[nodiscard]] bool parse_host(std::string_view text, std::string* out, std::string* reason);

// "ADDRESS:PORT" or "[ADDRESS]:PORT" to listen at, in its canonical form; empty for "off".
[[nodiscard]] bool parse_listen(std::string_view text, std::string* out, std::string* reason);

}  // namespace vipd::conf
