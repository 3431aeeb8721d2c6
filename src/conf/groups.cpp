#include "conf/groups.hpp"

#include <algorithm>
#include <cassert>
#include <map>

#include "conf/keys.hpp"
#include "conf/values.hpp"

namespace vipd::conf {
namespace {

using Members = std::vector<VipConfig*>;
using Names = std::vector<std::string>;

class Settler {
 public:
  Settler(const Names& own_checks, const GivenAt& given_at, Errors* errors)
      : own_checks_(own_checks), given_at_(given_at), errors_(errors) {}

  void settle(const Members& members);

 private:
  void settle(const Members& members, const Key& key);
  // What the group has of it, as one would write it.
  [[nodiscard]] std::string value(const VipConfig& vip, const Key& key) const;
  [[nodiscard]] const Position* place(const VipConfig& vip, const Key& key) const {
    return given_at_(key_text(key, vip.name));
  }

  const Names& own_checks_;
  const GivenAt& given_at_;
  Errors* errors_;
};

const Key& key_named(std::string_view name) {
  std::string_view unused;
  const Key* const key = find_key(name, &unused);
  assert(key != nullptr);
  return *key;
}

std::string Settler::value(const VipConfig& vip, const Key& key) const {
  VipConfig shared;
  shared.priority = vip.priority;
  shared.preempt = vip.preempt;
  shared.preempt_delay = vip.preempt_delay;
  std::copy_if(vip.checks.begin(), vip.checks.end(), std::back_inserter(shared.checks),
               [this](const std::string& name) {
                 return std::find(own_checks_.begin(), own_checks_.end(), name) ==
                        own_checks_.end();
               });
  std::sort(shared.checks.begin(), shared.checks.end());
  return std::get<VipText>(key.type).print(shared);
}

void Settler::settle(const Members& members, const Key& key) {
  const auto is_given = [&](const VipConfig* vip) { return place(*vip, key) != nullptr; };
  const auto first = std::find_if(members.begin(), members.end(), is_given);
  if (first == members.end()) return;
  const std::string wanted = value(**first, key);
  for (VipConfig* vip : members) {
    if (!is_given(vip)) {
      std::string reason;
      (void)std::get<VipText>(key.type).parse(wanted, vip, &reason);
    } else if (const std::string other = value(*vip, key); other != wanted) {
      errors_->add(*place(*vip, key), key_text(key, vip->name) + " = " + other + ", but " +
                                          key_text(key, (*first)->name) + " = " + wanted + " (" +
                                          place(**first, key)->text() + "); the VIPs of group '" +
                                          vip->group + "' have one: keep one of the two");
    }
  }
}

void Settler::settle(const Members& members) {
  if (members.size() > kMostMembers) {
    const std::string key = "vip." + members[kMostMembers]->name + ".group";
    return errors_->add(*given_at_(key), key + ": group '" + members[0]->group +
                                             "' has more than " + std::to_string(kMostMembers) +
                                             " VIPs");
  }
  for (const char* key : {"priority", "preempt", "preempt_delay", "checks"}) {
    settle(members, key_named("vip.NAME." + std::string(key)));
  }
}

}  // namespace

// One with a weight lowers the priority, which is the group's.
bool is_own_check(const CheckConfig& check) {
  return check.kind == CheckKind::Arp && check.weight == 0;
}

bool parse_group(std::string_view text, VipConfig* vip, std::string* reason) {
  *reason = quoted(text) + " cannot name a group; write 1 to 63 letters, digits, '-' and '_'";
  if (!is_vip_name(text)) return false;
  vip->group = text;
  return true;
}

void settle_groups(const std::vector<VipConfig*>& vips, const std::vector<std::string>& own_checks,
                   const GivenAt& given_at, Errors* errors) {
  std::map<std::string_view, Members> groups;
  for (VipConfig* vip : vips) {
    if (!vip->group.empty()) groups[vip->group].push_back(vip);
  }
  Settler settler(own_checks, given_at, errors);
  for (const auto& [name, members] : groups) settler.settle(members);
}

}  // namespace vipd::conf
