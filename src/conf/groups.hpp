// VIPs of one group (vip.NAME.group) have one place in the queue. So priority, preempt,
// preempt_delay and checks are the group's: given at one member, they hold for all. Pure.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "conf/errors.hpp"
#include "conf/warnings.hpp"
#include "vipd/config.hpp"

namespace vipd::conf {

// All members of a group queue up in one txn of etcd, and each looks at all others.
inline constexpr size_t kMostMembers = 16;

// Where a group has several members, checks that ask on a VIP's link stay that member's own.
[[nodiscard]] bool is_own_check(const CheckConfig& check);

// A name as VIPs have it; a reason in words as in conf/values.hpp.
[[nodiscard]] bool parse_group(std::string_view text, VipConfig* vip, std::string* reason);

// Gives each member what another was given, and adds the faults: more than kMostMembers, or two
// values. REQUIRES: vips in the order of the files, with their checks; `given_at` knows of valid
// values alone.
void settle_groups(const std::vector<VipConfig*>& vips, const std::set<std::string>& own_checks,
                   const GivenAt& given_at, Errors* errors);

}  // namespace vipd::conf
