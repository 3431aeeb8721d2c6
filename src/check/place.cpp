// Where a check's target is.
#include <cassert>
#include <optional>

#include "check/probe.hpp"
#include "web/resolver.hpp"

namespace vipd::check {

web::Authority place_of(const std::string& target) {
  const size_t scheme = target.find("://");
  std::string_view text = target;
  if (scheme != std::string::npos) text.remove_prefix(scheme + 3);
  web::Authority place;
  std::string reason;
  const bool is_one = web::parse_authority(text.substr(0, text.find('/')), "", "", &place, &reason);
  assert(is_one);
  return place;
}

std::vector<Address> addresses_of(const Tools& tools, const web::Authority& place,
                                  std::string* fault) {
  if (const std::optional<Address> address = Address::parse(place.host)) return {*address};
  std::vector<Address> found = tools.names->addresses(place.host);
  if (found.empty()) *fault = place.host + ": " + tools.names->problem(place.host);
  return found;
}

}  // namespace vipd::check
