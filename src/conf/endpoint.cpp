#include "conf/endpoint.hpp"

#include <charconv>
#include <cstdint>
#include <optional>

#include "conf/values.hpp"
#include "vipd/types.hpp"

namespace vipd::conf {
namespace {

constexpr std::string_view kHttp = "http://";
constexpr std::string_view kHttps = "https://";
constexpr std::string_view kUnix = "unix:";
constexpr std::string_view kDefaultPort = "2379";
constexpr size_t kLongestName = 253;  // RFC 1035, section 2.3.4, less the length bytes at both ends
constexpr size_t kLongestLabel = 63;

constexpr std::string_view kDigits = "0123456789";
constexpr std::string_view kLabelBytes =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";

bool fail(std::string* reason, std::string_view text, std::string_view words) {
  *reason = quoted(text) + " " + std::string(words);
  return false;
}

bool is_host_name(std::string_view name) {
  if (name.empty() || name.size() > kLongestName) return false;
  // inet_aton(3) would take "10.1" or "0x7f.1" for an address; here an address has all its parts.
  if (name.find_last_not_of("0123456789.") == std::string_view::npos) return false;
  if (name.ends_with('.')) name.remove_suffix(1);  // the form that needs no search list
  while (true) {
    const size_t dot = name.find('.');
    const std::string_view label = name.substr(0, dot);
    if (label.empty() || label.size() > kLongestLabel || label.front() == '-') return false;
    if (label.find_first_not_of(kLabelBytes) != std::string_view::npos) return false;
    if (dot == std::string_view::npos) return true;
    name.remove_prefix(dot + 1);
  }
}

bool is_port(std::string_view text) {
  unsigned port = 0;
  if (text.empty() || text.size() > 5) return false;
  if (text.find_first_not_of(kDigits) != std::string_view::npos) return false;
  std::from_chars(text.data(), text.data() + text.size(), port);
  return text.front() != '0' && port <= UINT16_MAX;
}

// Splits "HOST[:PORT]" or "[IPV6][:PORT]"; the brackets stay with the host.
bool split_port(std::string_view text, std::string_view fallback, std::string_view* host,
                std::string_view* port) {
  const size_t bracket = text.starts_with('[') ? text.find(']') : 0;
  if (bracket == std::string_view::npos) return false;
  const size_t colon = text.find(':', bracket);
  *host = text.substr(0, colon);
  *port = colon == std::string_view::npos ? fallback : text.substr(colon + 1);
  return true;
}

std::optional<std::string> canonical_host(std::string_view host) {
  if (host.starts_with('[') && host.ends_with(']')) {
    const std::optional<Address> address = Address::parse(host.substr(1, host.size() - 2));
    if (!address || !address->is_v6()) return std::nullopt;
    return "[" + address->text() + "]";
  }
  const std::optional<Address> address = Address::parse(host);
  if ((address && address->is_v4()) || is_host_name(host)) return std::string(host);
  return std::nullopt;
}

bool parse_unix(std::string_view text, std::string* out, std::string* reason) {
  std::string_view path = text.substr(kUnix.size());
  if (path.starts_with("///")) path.remove_prefix(2);
  std::string words;
  std::string canonical;
  if (path.starts_with("//") || !parse_socket_path(path, &canonical, &words)) {
    return fail(reason, text, "has no full path; write unix:/PATH, at most 107 bytes of it");
  }
  *out = std::string(kUnix) + canonical;
  return true;
}

bool parse_url_of_member(std::string_view scheme, std::string_view text, std::string* out,
                         std::string* reason) {
  const std::string_view rest = text.substr(scheme.size());
  const std::string form = std::string(scheme) + "HOST:PORT";
  if (rest.find('@') == std::string_view::npos && rest.find('?') != std::string_view::npos) {
    return fail(reason, text, "has a query; write " + form);
  }
  if (rest.find('@') == std::string_view::npos && rest.find('/') != std::string_view::npos) {
    return fail(reason, text, "has a path; write " + form + ", without a / at the end");
  }
  if (!parse_authority(text, rest, scheme, kDefaultPort, out, reason)) return false;
  out->insert(0, scheme);
  return true;
}

}  // namespace

bool parse_authority(std::string_view whole, std::string_view text, std::string_view scheme,
                     std::string_view default_port, std::string* out, std::string* reason) {
  const std::string head(scheme);
  if (text.find('@') != std::string_view::npos) {
    return fail(reason, whole, "has a user name, which is not sent; write " + head + "HOST:PORT");
  }
  std::string_view host;
  std::string_view port;
  if (!split_port(text, default_port, &host, &port)) {
    return fail(reason, whole, "has a [ without a ]; write " + head + "[ADDRESS]:PORT");
  }
  if (port.find(':') != std::string_view::npos) {
    return fail(reason, whole, "has too many colons; write " + head + "[ADDRESS]:PORT for IPv6");
  }
  const std::optional<std::string> canonical = canonical_host(host);
  if (!canonical) {
    return fail(reason, whole,
                "has no valid host; write a name, an IPv4 address, or an IPv6 address in brackets");
  }
  if (!is_port(port)) return fail(reason, whole, "has no valid port; write 1 to 65535");
  *out = *canonical + ":" + std::string(port);
  return true;
}

bool parse_endpoint(std::string_view text, std::string* out, std::string* reason) {
  if (text.find_first_of(" \t;") != std::string_view::npos) {
    return fail(reason, text, "has a blank or a ';'; divide the endpoints by commas");
  }
  if (text.starts_with(kUnix)) return parse_unix(text, out, reason);
  for (const std::string_view scheme : {kHttp, kHttps}) {
    if (text.starts_with(scheme)) return parse_url_of_member(scheme, text, out, reason);
  }
  return fail(reason, text,
              "does not start with http://, https:// or unix:/; write http://HOST:PORT");
}

bool parse_host(std::string_view text, std::string* out, std::string* reason) {
  const std::optional<Address> address = Address::parse(text);
  if (!address && !is_host_name(text)) {
    return fail(reason, text, "is no host; write a name or an address, without brackets or port");
  }
  *out = address ? address->text() : std::string(text);
  return true;
}

bool parse_listen(std::string_view text, std::string* out, std::string* reason) {
  out->clear();
  if (text == "off") return true;
  const size_t colon = text.rfind(':');
  const std::string_view host = text.substr(0, colon);
  const bool bracketed = host.starts_with('[') && host.ends_with(']');
  const std::optional<Address> address =
      Address::parse(bracketed ? host.substr(1, host.size() - 2) : host);
  if (colon == std::string_view::npos || !address || address->is_v6() != bracketed ||
      !is_port(text.substr(colon + 1))) {
    return fail(reason, text,
                "is no ADDRESS:PORT; write 127.0.0.1:9300, [::1]:9300, 0.0.0.0:9300 or "
                "[::]:9300 (every address), or off");
  }
  const std::string where = bracketed ? "[" + address->text() + "]" : address->text();
  *out = where + std::string(text.substr(colon));
  return true;
}

}  // namespace vipd::conf
