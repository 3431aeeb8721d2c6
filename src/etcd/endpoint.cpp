#include "etcd/endpoint.hpp"

#include <algorithm>

#include "vipd/types.hpp"

namespace vipd::etcd {
namespace {

constexpr std::string_view kHttp = "http://";
constexpr std::string_view kHttps = "https://";
constexpr std::string_view kUnix = "unix:";
constexpr std::string_view kDefaultPort = "2379";
constexpr size_t kLongestPath = 107;  // unix(7): sun_path, less the NUL

bool is_port(std::string_view text) {
  if (text.empty() || text.size() > 5) return false;
  unsigned port = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return false;
    port = port * 10 + static_cast<unsigned>(c - '0');
  }
  return port >= 1 && port <= 65535;
}

bool is_host_name(std::string_view text) {
  constexpr std::string_view kAllowed =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
  return !text.empty() && text.size() <= 253 &&
         text.find_first_not_of(kAllowed) == std::string_view::npos;
}

bool parse_unix(std::string_view text, Endpoint& out) {
  text.remove_prefix(kUnix.size());
  if (text.starts_with("///")) text.remove_prefix(2);
  if (!text.starts_with('/') || text.starts_with("//") || text.ends_with('/')) return false;
  if (text.size() > kLongestPath) return false;
  out = Endpoint();
  out.path = text;
  out.url = std::string(kUnix) + out.path;
  return true;
}

// "HOST[:PORT]".
bool parse_host(std::string_view text, Endpoint& out) {
  const bool in_brackets = text.starts_with('[');
  const size_t host_end = in_brackets ? text.find(']') : text.find(':');
  if (in_brackets && host_end == std::string_view::npos) return false;
  const std::string_view host =
      in_brackets ? text.substr(1, host_end - 1) : text.substr(0, host_end);
  std::string_view rest = host_end == std::string_view::npos ? "" : text.substr(host_end);
  if (in_brackets) rest.remove_prefix(1);
  if (!rest.empty() && !rest.starts_with(':')) return false;
  const std::string_view port = rest.empty() ? kDefaultPort : rest.substr(1);

  const auto address = Address::parse(host);
  if (in_brackets != (address && address->is_v6())) return false;
  if (!is_port(port) || (!address && !is_host_name(host))) return false;
  out.host = host;
  out.port = port;
  out.named = !address;
  if (address) out.address = out.host;
  return true;
}

}  // namespace

bool parse_endpoint(std::string_view text, Endpoint& out) {
  if (text.starts_with(kUnix)) return parse_unix(text, out);
  Endpoint endpoint;
  endpoint.tls = text.starts_with(kHttps);
  if (!endpoint.tls && !text.starts_with(kHttp)) return false;
  text.remove_prefix(endpoint.tls ? kHttps.size() : kHttp.size());
  if (text.ends_with('/')) text.remove_suffix(1);
  if (!parse_host(text, endpoint)) return false;
  endpoint.url = url_with_host(endpoint, endpoint.host);
  out = std::move(endpoint);
  return true;
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

}  // namespace vipd::etcd
