// Base64 as etcd's gateway speaks it: RFC 4648 section 4, padded, one line. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace vipd::etcd {

[[nodiscard]] std::string base64_encode(std::string_view bytes);
// Nothing for a foreign character, wrong padding, or bits left over (RFC 4648, 3.3 and 3.5): a text
// that decodes is the only text of its bytes.
[[nodiscard]] std::optional<std::string> base64_decode(std::string_view text);

}  // namespace vipd::etcd
