#include "conf/groups.hpp"

#include <algorithm>
#include <cassert>
#include <map>

#include "conf/check_values.hpp"
#include "conf/keys.hpp"
#include "conf/values.hpp"

namespace vipd::conf {
namespace {

constexpr const char* kOfGroup[] = {"priority", "preempt", "preempt_delay", "checks"};

using Numbers = std::map<std::string, size_t, std::less<>>;  // of a group, by its name

class Settler {
 public:
  Settler(const std::vector<VipConfig*>& vips, const std::set<std::string>& own_checks,
          const GivenAt& given_at, Errors* errors)
      : vips_(vips), own_checks_(own_checks), given_at_(given_at), errors_(errors) {}

  void count();
  void settle(const Key& key);

 private:
  // What the group has of it, as one would write it.
  [[nodiscard]] std::string value(const VipConfig& vip, const Key& key) const;
  [[nodiscard]] std::string setting(const VipConfig& vip, const Key& key) const {
    const bool has_own =
        key.name.ends_with("checks") &&
        std::any_of(vip.checks.begin(), vip.checks.end(),
                    [this](const auto& name) { return own_checks_.contains(name); });
    return key_text(key, vip.name) + " = " + value(vip, key) +
           (has_own ? " besides its own arp checks" : "");
  }
  [[nodiscard]] const Position* place(const VipConfig& vip, const Key& key) const {
    return given_at_(key_text(key, vip.name));
  }

  const std::vector<VipConfig*>& vips_;
  const std::set<std::string>& own_checks_;
  const GivenAt& given_at_;
  Errors* errors_;
};

std::string Settler::value(const VipConfig& vip, const Key& key) const {
  if (!key.name.ends_with("checks")) return std::get<VipText>(key.type).print(vip);
  std::vector<std::string> shared;
  for (const std::string& name : vip.checks) {
    if (!own_checks_.contains(name)) shared.push_back(name);
  }
  std::sort(shared.begin(), shared.end());
  return check_names_text(CheckNames(std::move(shared)));
}

void Settler::count() {
  Numbers members;
  for (const VipConfig* vip : vips_) {
    std::string_view group = vip->group;
    if (group.empty() || ++members.emplace(group, size_t{0}).first->second != kMostMembers + 1)
      continue;
    const std::string key = "vip." + vip->name + ".group";
    errors_->add(*given_at_(key), key + ": group '" + vip->group + "' has more than " +
                                      std::to_string(kMostMembers) + " VIPs");
  }
}

void Settler::settle(const Key& key) {
  Numbers givers;
  for (size_t i = 0; i < vips_.size(); ++i) {
    std::string_view group = vips_[i]->group;
    if (!group.empty() && place(*vips_[i], key) != nullptr) givers.emplace(group, size_t{i});
  }
  for (VipConfig* vip : vips_) {
    const auto giver = givers.find(vip->group);
    if (giver == givers.end()) continue;
    const VipConfig& first = *vips_[giver->second];
    const std::string wanted = value(first, key);
    std::string reason;
    if (place(*vip, key) == nullptr) {
      (void)std::get<VipText>(key.type).parse(wanted, vip, &reason);
    } else if (value(*vip, key) != wanted) {
      errors_->add(*place(*vip, key), setting(*vip, key) + ", but " + setting(first, key) + " (" +
                                          place(first, key)->text() + "); the VIPs of group '" +
                                          vip->group + "' share this setting: keep one of the two");
    }
  }
}

}  // namespace

// One with a weight lowers the priority, which is the group's.
bool is_own_check(const CheckConfig& check) {
  return check.kind == CheckKind::Arp && check.weight == 0;
}

bool parse_group(std::string_view text, VipConfig* vip, std::string* reason) {
  *reason = quoted(text) + " cannot name a group; write 1 to 63 letters, digits, '-' and '_'";
  vip->group = is_vip_name(text) ? text : "";
  return !vip->group.empty();
}

void settle_groups(const std::vector<VipConfig*>& vips, const std::set<std::string>& own_checks,
                   const GivenAt& given_at, Errors* errors) {
  Settler settler(vips, own_checks, given_at, errors);
  settler.count();
  for (const Key& key : keys()) {
    const std::string_view last = key.name.substr(key.name.rfind('.') + 1);
    const bool is_of_group =
        std::find(std::begin(kOfGroup), std::end(kOfGroup), last) != std::end(kOfGroup);
    if (key.scope() == Scope::Vip && is_of_group) settler.settle(key);
  }
}

}  // namespace vipd::conf
