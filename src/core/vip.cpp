#include "core/vip.hpp"

#include <map>

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
  changed_ = retired_ = releasing_ = waited_out_ = held_ = 0;
  held_in_ = 0;
  put_ = false;
}

void VipTable::group(const std::vector<VipSettings>& settings) {
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

}  // namespace vipd
