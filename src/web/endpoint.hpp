// Where a server can be reached, as people and etcd's members write it. Pure; never resolves a
// name. Whatever is refused comes with a reason in words that goes on from the text: "has a path".
#pragma once

#include <string>
#include <string_view>

namespace vipd::web {

// "HOST[:PORT]" of a URL (RFC 3986, section 3.2).
struct Authority {
  std::string host;  // a name, or an address in its canonical form, without brackets
  std::string port;  // 1 to 65535
  bool named = false;

  [[nodiscard]] std::string text() const;
};

// Where etcd's gateway is.
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

// "http://HOST[:PORT]", "https://..." with an IPv6 address in brackets; "unix:/PATH" or
// "unix:///PATH". On false `out` is as it was.
[[nodiscard]] bool parse_endpoint(std::string_view text, Endpoint* out, std::string* reason);

// An IPv6 address is in brackets. With an empty default_port there must be one. `scheme` is for the
// reason.
[[nodiscard]] bool parse_authority(std::string_view text, std::string_view scheme,
                                   std::string_view default_port, Authority* out,
                                   std::string* reason);

// Labels of letters, digits, '-' and '_' (RFC 1035, section 2.3.1, and what people use); a dot at
// the end is allowed.
[[nodiscard]] bool is_host_name(std::string_view name);

// 1 to 65535, in decimal, without leading zeros.
[[nodiscard]] bool is_port(std::string_view text);

// Whether it means the local host on every host: a loopback or unspecified address, or "localhost"
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

}  // namespace vipd::web
