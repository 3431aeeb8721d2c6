#include "daemon/vips.hpp"

#include <algorithm>
#include <cassert>
#include <optional>
#include <set>

namespace vipd {

Vips::Vips(const std::vector<VipConfig>& configured) : configured_(configured) {
  changed();
}

void Vips::changed() {
  by_address_.clear();
  std::set<std::string> links;
  for (const VipConfig& vip : configured_) {
    by_address_.emplace(vip.address, by_address_.size());
    links.insert(vip.link);
  }
  assert(by_address_.size() == configured_.size());  // src/conf refuses an address given twice
  links_.assign(links.begin(), links.end());
}

const VipConfig* Vips::at(const Address& address) const {
  const auto found = by_address_.find(address);
  if (found == by_address_.end()) return nullptr;
  assert(found->second < configured_.size());
  return &configured_[found->second];
}

const VipConfig* Vips::named(const std::string& name_or_address) const {
  const std::optional<Address> address = Address::parse(name_or_address);
  for (const VipConfig& vip : configured_) {
    if (vip.name == name_or_address || (address && vip.address == *address)) return &vip;
  }
  return nullptr;
}

const VipConfig* Vips::first_with(const std::string& check) const {
  for (const VipConfig& vip : configured_) {
    if (std::find(vip.checks.begin(), vip.checks.end(), check) != vip.checks.end()) return &vip;
  }
  return nullptr;
}

}  // namespace vipd
