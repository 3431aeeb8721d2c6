#include "conf/endpoint.hpp"

#include <optional>

#include "conf/values.hpp"
#include "vipd/types.hpp"
#include "web/endpoint.hpp"

namespace vipd::conf {

bool parse_endpoint(std::string_view text, std::string* out, std::string* reason) {
  web::Endpoint endpoint;
  std::string words;
  if (!web::parse_endpoint(text, &endpoint, &words)) return fail(reason, text, words);
  *out = std::move(endpoint.url);
  return true;
}

bool parse_authority(std::string_view whole, std::string_view text, std::string_view scheme,
                     std::string_view default_port, std::string* out, std::string* reason) {
  web::Authority where;
  std::string words;
  if (!web::parse_authority(text, scheme, default_port, &where, &words)) {
    return fail(reason, whole, words);
  }
  *out = where.text();
  return true;
}

bool parse_host(std::string_view text, std::string* out, std::string* reason) {
  const std::optional<Address> address = Address::parse(text);
  if (!address && !web::is_host_name(text)) {
    return fail(reason, text,
                "is not a host; write a name or an address, without brackets or port");
  }
  *out = address ? address->text() : std::string(text);
  return true;
}

bool parse_listen(std::string_view text, std::string* out, std::string* reason) {
  out->clear();
  if (text == "off") return true;
  const size_t colon = text.rfind(':');
  const std::string_view host = text.substr(0, colon);
  const bool in_brackets = host.starts_with('[') && host.ends_with(']');
  const std::optional<Address> address =
      Address::parse(in_brackets ? host.substr(1, host.size() - 2) : host);
  if (colon == std::string_view::npos || !address || address->is_v6() != in_brackets ||
      !web::is_port(text.substr(colon + 1))) {
    return fail(reason, text,
                "is not ADDRESS:PORT; write 127.0.0.1:9300, [::1]:9300, 0.0.0.0:9300 or "
                "[::]:9300 (every address), or off");
  }
  *out = web::bracketed(address->text()) + std::string(text.substr(colon));
  return true;
}

}  // namespace vipd::conf
