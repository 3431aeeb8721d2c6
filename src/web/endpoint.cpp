#include "web/endpoint.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>

#include "vipd/types.hpp"

namespace vipd::web {
namespace {

constexpr std::string_view kHttp = "http://";
constexpr std::string_view kHttps = "https://";
constexpr std::string_view kUnix = "unix:";
constexpr std::string_view kDefaultPort = "2379";
constexpr size_t kLongestName = 253;  // RFC 1035, section 2.3.4, less the length bytes at both ends
constexpr size_t kLongestLabel = 63;
constexpr size_t kLongestPath = 107;  // unix(7): sun_path, less the NUL

constexpr std::string_view kDigits = "0123456789";
constexpr std::string_view kLabelBytes =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";

bool fail(std::string* reason, std::string words) {
  *reason = std::move(words);
  return false;
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

bool take_host(std::string_view host, Authority* out) {
  const bool in_brackets = host.starts_with('[') && host.ends_with(']');
  if (in_brackets) host = host.substr(1, host.size() - 2);
  const std::optional<Address> address = Address::parse(host);
  if (in_brackets != (address && address->is_v6())) return false;
  if (!address && !is_host_name(host)) return false;
  out->host = address ? address->text() : std::string(host);
  out->named = !address;
  return true;
}

bool parse_unix(std::string_view path, Endpoint* out, std::string* reason) {
  if (path.starts_with("///")) path.remove_prefix(2);
  if (!path.starts_with('/') || path.starts_with("//") || path.ends_with('/') ||
      path.size() > kLongestPath) {
    return fail(reason, "has no full path; write unix:/PATH, at most 107 bytes of it");
  }
  *out = Endpoint();
  out->path = path;
  out->url = std::string(kUnix) + out->path;
  return true;
}

bool parse_host_of_member(std::string_view scheme, std::string_view rest, Endpoint* out,
                          std::string* reason) {
  const std::string form = std::string(scheme) + "HOST:PORT";
  const bool has_user = rest.find('@') != std::string_view::npos;
  if (!has_user && rest.find('?') != std::string_view::npos) {
    return fail(reason, "has a query; write " + form);
  }
  if (!has_user && rest.find('/') != std::string_view::npos) {
    return fail(reason, "has a path; write " + form + ", without a / at the end");
  }
  Authority where;
  if (!parse_authority(rest, scheme, kDefaultPort, &where, reason)) return false;
  *out = Endpoint();
  out->url = std::string(scheme) + where.text();
  out->tls = scheme == kHttps;
  out->named = where.named;
  if (!where.named) out->address = where.host;
  out->host = std::move(where.host);
  out->port = std::move(where.port);
  return true;
}

}  // namespace

std::string Authority::text() const {
  return bracketed(host) + ":" + port;
}

bool parse_endpoint(std::string_view text, Endpoint* out, std::string* reason) {
  if (text.find_first_of(" \t;") != std::string_view::npos) {
    return fail(reason, "has a blank or a ';'; divide the endpoints by commas");
  }
  if (text.starts_with(kUnix)) return parse_unix(text.substr(kUnix.size()), out, reason);
  for (const std::string_view scheme : {kHttp, kHttps}) {
    if (!text.starts_with(scheme)) continue;
    return parse_host_of_member(scheme, text.substr(scheme.size()), out, reason);
  }
  return fail(reason, "does not start with http://, https:// or unix:/; write http://HOST:PORT");
}

bool parse_authority(std::string_view text, std::string_view scheme, std::string_view default_port,
                     Authority* out, std::string* reason) {
  const std::string head(scheme);
  if (text.find('@') != std::string_view::npos) {
    return fail(reason, "has a user name, which is not sent; write " + head + "HOST:PORT");
  }
  std::string_view host;
  std::string_view port;
  if (!split_port(text, default_port, &host, &port)) {
    return fail(reason, "has a [ without a ]; write " + head + "[ADDRESS]:PORT");
  }
  if (port.find(':') != std::string_view::npos) {
    return fail(reason, "has too many colons; write " + head + "[ADDRESS]:PORT for IPv6");
  }
  if (!take_host(host, out)) {
    return fail(reason,
                "has no valid host; write a name, an IPv4 address, or an IPv6 address in brackets");
  }
  if (!is_port(port)) return fail(reason, "has no valid port; write 1 to 65535");
  out->port = port;
  return true;
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

bool is_everyones_own(const Endpoint& endpoint) {
  if (endpoint.named) {
    return endpoint.host == "localhost" || endpoint.host.ends_with(".localhost");
  }
  const auto address = Address::parse(endpoint.host);
  if (!address) return false;
  const uint8_t* bytes = address->data();
  if (address->is_v4()) return bytes[0] == 127 || bytes[0] == 0;
  // ::, ::1, and both of IPv4 in IPv6.
  const auto zero = [](uint8_t byte) { return byte == 0; };
  if (std::all_of(bytes, bytes + 15, zero)) return bytes[15] <= 1;
  const bool mapped =
      std::all_of(bytes, bytes + 10, zero) && bytes[10] == 0xff && bytes[11] == 0xff;
  return mapped && (bytes[12] == 127 || bytes[12] == 0);
}

Endpoint on_port_of(const Endpoint& endpoint, const Endpoint& like) {
  Endpoint out = endpoint;
  out.tls = like.tls;
  out.port = like.port;
  out.url = url_with_host(out, out.host);
  return out;
}

std::string url_with_host(const Endpoint& endpoint, const std::string& host) {
  return std::string(endpoint.tls ? kHttps : kHttp) + bracketed(host) + ":" + endpoint.port;
}

std::string bracketed(const std::string& host) {
  return host.find(':') == std::string::npos ? host : "[" + host + "]";
}

std::string label(const Endpoint& endpoint) {
  if (!endpoint.named || endpoint.address.empty()) return endpoint.url;
  return endpoint.url + " (" + endpoint.address + ")";
}

}  // namespace vipd::web
