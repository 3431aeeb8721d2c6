#include "core/vip.hpp"

#include <algorithm>
#include <cassert>
#include <map>
#include <numeric>

namespace vipd {

void KeyRights::was_put(Revision revision) {
  assert(revision > changed_);
  changed_ = revision;
  put_ = true;
}

void KeyRights::was_deleted(Revision revision) {
  assert(revision >= changed_);
  changed_ = revision;
  put_ = false;
  retired_ = std::max(retired_, releasing_);
  releasing_ = 0;
  waited_out_ = 0;
}

void KeyRights::installing(Revision created) {
  assert(usable(created));
  waited_out_ = asked_ = created;
}

void KeyRights::forget() {
  changed_ = retired_ = releasing_ = waited_out_ = held_ = had_ = 0;
  held_in_ = 0;
  put_ = false;
}

void VipTable::group(const std::vector<VipSettings>& settings) {
  by_address_.resize(vips_.size());
  std::iota(by_address_.begin(), by_address_.end(), uint32_t{0});
  std::sort(by_address_.begin(), by_address_.end(), [this](uint32_t one, uint32_t other) {
    return vips_[one].settings.address < vips_[other].settings.address;
  });
  groups_.clear();
  for (Vip& vip : vips_) vip.group = Vip::kAlone;
  std::map<std::string, size_t> numbers;
  for (const VipSettings& member : settings) {
    if (member.group.empty()) continue;
    Vip* vip = find(member.address);
    if (vip == nullptr) continue;
    const size_t number = numbers.try_emplace(member.group, groups_.size()).first->second;
    if (number == groups_.size()) groups_.emplace_back();
    groups_[number].push_back(static_cast<size_t>(vip - vips_.data()));
    vip->group = static_cast<int>(number);
  }
}

// They are walked through in the same order again and again: the one after the last is the likely
// next.
Vip* VipTable::find(const Address& address) {
  for (const size_t place : {found_, found_ + 1}) {
    const bool is_it = place < vips_.size() && vips_[place].settings.address == address;
    if (!is_it) continue;
    found_ = place;
    return &vips_[place];
  }
  const Vip* vip = at(address);
  if (vip == nullptr) return nullptr;
  found_ = static_cast<size_t>(vip - vips_.data());
  return &vips_[found_];
}

const Vip* VipTable::at(const Address& address) const {
  assert(by_address_.size() <= vips_.size());
  const auto found = std::lower_bound(by_address_.begin(), by_address_.end(), address,
                                      [this](uint32_t place, const Address& wanted) {
                                        return vips_[place].settings.address < wanted;
                                      });
  const bool is_there = found != by_address_.end() && vips_[*found].settings.address == address;
  return is_there ? &vips_[*found] : nullptr;
}

}  // namespace vipd
