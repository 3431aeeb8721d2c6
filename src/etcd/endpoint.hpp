// Where a member of etcd can be reached, as people write it. Pure; never resolves a name.
#pragma once

#include <string>
#include <string_view>

namespace vipd::etcd {

struct Endpoint {
  std::string url;      // canonical: "https://HOST:PORT" or "unix:/PATH"
  std::string host;     // without brackets; empty for a Unix socket
  std::string port;     // empty for a Unix socket
  std::string path;     // of the Unix socket
  std::string address;  // what to connect to: of a name one of its addresses, or nothing so far
  bool tls = false;

  [[nodiscard]] bool is_unix() const { return !path.empty(); }
  // Whether the host is a name that has to be resolved.
  bool named = false;

  bool operator==(const Endpoint&) const = default;
};

// "http://HOST[:PORT][/]", "https://..." with an IPv6 address in brackets; "unix:/PATH" or
// "unix:///PATH". False for anything else.
[[nodiscard]] bool parse_endpoint(std::string_view text, Endpoint& out);

// Whether it is this host whoever says it: a loopback or unspecified address, or "localhost"
// (RFC 6761, 6.3). Not for a Unix socket.
[[nodiscard]] bool is_everyones_own(const Endpoint& endpoint);

// The endpoint with another scheme and port: those of `like`, which is no Unix socket.
[[nodiscard]] Endpoint on_port_of(const Endpoint& endpoint, const Endpoint& like);

// "https://NAME:PORT", whatever the endpoint's own host is.
[[nodiscard]] std::string url_with_host(const Endpoint& endpoint, const std::string& host);

// "ADDRESS", or "[ADDRESS]" where a colon would be taken for the port's.
[[nodiscard]] std::string bracketed(const std::string& host);

// For messages: the URL, and the address where the URL has a name.
[[nodiscard]] std::string label(const Endpoint& endpoint);

}  // namespace vipd::etcd
