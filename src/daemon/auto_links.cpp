#include "daemon/auto_links.hpp"

#include <algorithm>
#include <cassert>
#include <optional>
#include <utility>

#include "net/address_book.hpp"
#include "sys/number.hpp"
#include "vipd/auto_link.hpp"

namespace vipd {
namespace {

struct Subnet {
  std::string text;
  Address address;
  unsigned length = 0;
};

// Of "auto (192.168.0.0/24)".
Subnet subnet_of(const std::string& name) {
  const size_t begin = name.find('(') + 1, slash = name.find('/'), end = name.find(')');
  assert(begin < slash && slash < end && end != std::string::npos);
  const std::string_view text = name;
  const std::optional<Address> address = Address::parse(text.substr(begin, slash - begin));
  const auto length = sys::parse_number<unsigned>(text.substr(slash + 1, end - slash - 1));
  assert(address && length);
  return {name.substr(begin, end - begin), *address, *length};
}

std::string list_of(const std::vector<int>& indexes, const AutoLinks::Links& links) {
  std::string text;
  for (const int index : indexes) text += (text.empty() ? "" : " and ") + links.at(index).name;
  return text;
}

}  // namespace

void AutoLinks::find(const std::vector<std::string>& names, const net::AddressBook& book,
                     const Links& links, const DefaultLink& default_link) {
  std::map<std::string, Found> before = std::exchange(found_, {});
  std::map<bool, int> by_family;  // asked of the kernel once
  for (const std::string& name : names) {
    if (!is_auto_link(name)) continue;
    const Subnet subnet = subnet_of(name);
    const std::vector<int> fitting = book.links_for(subnet.address, subnet.length);
    const int present = links.contains(before[name].index) ? before[name].index : 0;
    const bool is_kept =
        fitting.empty() || std::find(fitting.begin(), fitting.end(), present) != fitting.end();
    Found found;
    if (present != 0 && is_kept) {
      found.index = present;
    } else if (fitting.size() == 1) {
      found.index = fitting.front();
    } else if (fitting.empty() && subnet.length == 8 * subnet.address.size()) {
      const bool is_v6 = subnet.address.is_v6();
      if (!by_family.contains(is_v6)) by_family[is_v6] = default_link(is_v6);
      found.index = by_family[is_v6];
    }
    if (!links.contains(found.index)) found.index = 0;
    const std::string of = " have an address of " + subnet.text + "; write the link's name";
    found.fault = fitting.size() > 1 ? "link = auto: " + list_of(fitting, links) + of
                                     : "link = auto: no link has an address of " + subnet.text;
    found_.emplace(name, std::move(found));
  }
}

int AutoLinks::index(const std::string& name) const {
  const auto found = found_.find(name);
  return found == found_.end() ? 0 : found->second.index;
}

std::string AutoLinks::fault(const std::string& name) const {
  const auto found = found_.find(name);
  return found == found_.end() ? "link = auto: not looked for yet" : found->second.fault;
}

}  // namespace vipd
