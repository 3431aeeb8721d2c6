// Small JSON texts and the cleaning of strings that come from elsewhere. Pure.
#pragma once

#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace vipd::ctl {

// An object whose members are texts, in this order.
using Texts = std::initializer_list<std::pair<std::string_view, std::string_view>>;
[[nodiscard]] std::string object_json(Texts members);
// {"name":["...", ...]}
[[nodiscard]] std::string list_json(std::string_view name, std::span<const std::string> texts);
// {"error":"reason"}
[[nodiscard]] std::string error_json(std::string_view reason);
[[nodiscard]] bool is_ascii(std::string_view text);
// Names come from other nodes through etcd: what is not UTF-8 becomes U+FFFD, so that the JSON that
// holds them is valid.
[[nodiscard]] std::string valid_utf8(std::string_view text);

}  // namespace vipd::ctl
