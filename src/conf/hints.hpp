// Hints for keys and values that are written as other programs want them. For messages only:
// nothing here makes a value valid. Pure.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace vipd::conf {

struct Key;

// Why the key cannot have this value, whatever it takes: none at all, a secret, quotes around it,
// something to expand or to fill in, a comment of another kind. "" when there is nothing of that.
[[nodiscard]] std::string value_fault(const Key& key, std::string_view value);
// What is wrong with a line that is not ASCII where it must be: a character that looks like a blank
// or a quote, with its code point. "" when there is none.
[[nodiscard]] std::string lookalike_fault(std::string_view line);

// "has no unit; write 5s", for what parse_duration() refuses.
[[nodiscard]] std::string duration_hint(std::string_view text, bool may_be_zero);
// The place of the name that is written or meant (true, INFO, warning); names.size(): of none.
[[nodiscard]] size_t chosen(std::string_view text, std::span<const std::string_view> names);
// What to do with the rest of "192.168.0.15/24 dev eth0", "[2001:db8::15]" or "fe80::15%eth0"; ""
// if there is no hint.
[[nodiscard]] std::string address_hint(std::string_view text);

// "interface" for "link": the key that is meant, as written in the table, by the last word of what
// was written, or the whole. "" when no other program is known to call one so.
[[nodiscard]] std::string_view synonym(std::string_view written);
// "unknown key 'vip.api.adress'; write 'vip.api.address'", or the nearest known one, or where they
// all are.
[[nodiscard]] std::string unknown_key(const std::string& written);

}  // namespace vipd::conf
