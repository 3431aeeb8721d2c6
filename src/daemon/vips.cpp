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
  by_name_.clear();
  by_check_.clear();
  std::set<std::string> links;
  for (const VipConfig& vip : configured_) {
    const size_t place = by_address_.size();
    by_address_.emplace(vip.address, place);
    by_name_.emplace(vip.name, place);
    for (const std::string& check : vip.checks) by_check_.emplace(check, place);
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
  if (const auto found = by_name_.find(name_or_address); found != by_name_.end()) {
    return &configured_[found->second];
  }
  const std::optional<Address> address = Address::parse(name_or_address);
  return address ? at(*address) : nullptr;
}

const VipConfig* Vips::first_with(const std::string& check) const {
  const auto found = by_check_.find(check);
  return found == by_check_.end() ? nullptr : &configured_[found->second];
}

}  // namespace vipd
