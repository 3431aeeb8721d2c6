// Where a check's target is.
#include <optional>

#include "check/probe.hpp"
#include "web/resolver.hpp"

namespace vipd::check {

Place place_of(const std::string& target) {
  const size_t scheme = target.find("://");
  std::string text = scheme == std::string::npos ? target : target.substr(scheme + 3);
  text = text.substr(0, text.find('/'));
  const size_t colon = text.rfind(':');
  Place place{.host = text.substr(0, colon), .port = text.substr(colon + 1)};
  if (place.host.starts_with('[')) place.host = place.host.substr(1, place.host.size() - 2);
  place.is_name = !Address::parse(place.host);
  return place;
}

std::vector<Address> addresses_of(const Tools& tools, const Place& place, std::string* fault) {
  if (const std::optional<Address> address = Address::parse(place.host)) return {*address};
  std::vector<Address> found = tools.names->addresses(place.host);
  if (found.empty()) *fault = place.host + ": " + tools.names->problem(place.host);
  return found;
}

}  // namespace vipd::check
