#include "daemon/vips.hpp"

#include <algorithm>
#include <cassert>
#include <numeric>
#include <optional>
#include <set>

namespace vipd {

namespace {

using Before = bool (*)(const VipConfig&, const VipConfig&);

std::vector<uint32_t> sorted(const std::vector<VipConfig>& all, Before is_before) {
  std::vector<uint32_t> places(all.size());
  std::iota(places.begin(), places.end(), uint32_t{0});
  std::sort(places.begin(), places.end(),
            [&](uint32_t a, uint32_t b) { return is_before(all[a], all[b]); });
  return places;
}

}  // namespace

Vips::Vips(const std::vector<VipConfig>& configured) : configured_(configured) {
  changed();
}

void Vips::changed() {
  by_check_.clear();
  std::set<std::string> links;
  for (size_t place = 0; place < configured_.size(); place++) {
    const CheckNames& checks = configured_[place].checks;
    if (place == 0 || checks != configured_[place - 1].checks) {  // thousands may share a long list
      for (const std::string& check : checks) by_check_.emplace(check, place);
    }
    links.insert(configured_[place].link);
  }
  by_address_ = sorted(configured_, [](const VipConfig& one, const VipConfig& other) {
    return one.address < other.address;
  });
  by_name_ = sorted(configured_, [](const VipConfig& one, const VipConfig& other) {
    return one.name < other.name;
  });
  for (size_t i = 1; i < by_address_.size(); i++) {  // src/conf refuses an address given twice
    assert(configured_[by_address_[i - 1]].address != configured_[by_address_[i]].address);
  }
  links_.assign(links.begin(), links.end());
}

const VipConfig* Vips::at(const Address& address) const {
  assert(by_address_.size() == configured_.size());
  const auto found =
      std::lower_bound(by_address_.begin(), by_address_.end(), address,
                       [this](uint32_t a, const Address& b) { return configured_[a].address < b; });
  const bool is_there = found != by_address_.end() && configured_[*found].address == address;
  return is_there ? &configured_[*found] : nullptr;
}

const VipConfig* Vips::named(const std::string& name_or_address) const {
  const auto found = std::lower_bound(
      by_name_.begin(), by_name_.end(), name_or_address,
      [this](uint32_t a, const std::string& b) { return configured_[a].name < b; });
  if (found != by_name_.end() && configured_[*found].name == name_or_address) {
    return &configured_[*found];
  }
  const std::optional<Address> address = Address::parse(name_or_address);
  return address ? at(*address) : nullptr;
}

const VipConfig* Vips::first_with(const std::string& check) const {
  const auto found = by_check_.find(check);
  return found == by_check_.end() ? nullptr : &configured_[found->second];
}

}  // namespace vipd
