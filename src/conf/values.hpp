// What is allowed as the value of a key. Each function gives the value in its canonical form, or
// false and a reason in words: what is wrong, and what would be right. Pure, but for
// parse_account().
#pragma once

#include <string>
#include <string_view>

#include "vipd/config.hpp"

namespace vipd::conf {

// For messages: in quotes, short, nothing in it that a terminal would act on, and *** for what
// stands before an '@', if a ':' is there: it may be a password.
[[nodiscard]] std::string quoted(std::string_view text);
// Likewise, a key up to the first byte that none has: after "etcd.password: " the password follows.
[[nodiscard]] std::string quoted_key(std::string_view text);
// How each of them refuses what was given: the reason is "'TEXT' WORDS". False.
bool fail(std::string* reason, std::string_view text, std::string_view words);

[[nodiscard]] bool is_vip_name(std::string_view name);

[[nodiscard]] bool parse_node_name(std::string_view text, std::string* out, std::string* reason);
[[nodiscard]] bool parse_user(std::string_view text, std::string* out, std::string* reason);
// Must exist on this host.
[[nodiscard]] bool parse_account(std::string_view text, std::string* out, std::string* reason);
[[nodiscard]] bool parse_prefix(std::string_view text, std::string* out, std::string* reason);
// "auto", or an id of 64 bits in hexadecimal; without leading zeros in its canonical form.
[[nodiscard]] bool parse_cluster(std::string_view text, std::string* out, std::string* reason);
[[nodiscard]] bool parse_path(std::string_view text, std::string* out, std::string* reason);
[[nodiscard]] bool parse_socket_path(std::string_view text, std::string* out, std::string* reason);
[[nodiscard]] bool parse_vip_address(std::string_view text, VipConfig* vip, std::string* reason);
[[nodiscard]] std::string vip_address_text(const VipConfig& vip);
// The address of a host, without a prefix length, as inet_ntop(3) writes it.
[[nodiscard]] bool parse_neighbour(std::string_view text, std::string* out, std::string* reason);
[[nodiscard]] bool parse_yes_no(std::string_view text, bool* out, std::string* reason);
[[nodiscard]] bool parse_priority(std::string_view text, VipConfig* vip, std::string* reason);
[[nodiscard]] bool parse_preempt_delay(std::string_view text, VipConfig* vip, std::string* reason);
[[nodiscard]] bool parse_vip_link(std::string_view text, VipConfig* vip, std::string* reason);
// The VIP's address is known: auto becomes a name (vipd/auto_link.hpp), and is printed as auto.
void settle_vip_link(VipConfig* vip);
[[nodiscard]] std::string vip_link_text(const VipConfig& vip);

// The host name, with what parse_node_name() would refuse replaced.
[[nodiscard]] std::string default_node_name();

}  // namespace vipd::conf
