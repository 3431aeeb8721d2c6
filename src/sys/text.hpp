// Texts of ASCII, whatever the locale. Pure.
#pragma once

#include <string>
#include <string_view>

namespace vipd::sys {

// Without the blanks around it.
[[nodiscard]] std::string_view trimmed(std::string_view text, std::string_view blanks = " \t");
// A to Z as a to z, and all else as it is.
[[nodiscard]] std::string lower(std::string_view text);
// A token of HTTP, such as a header's name (RFC 9110, section 5.6.2).
[[nodiscard]] bool is_token(std::string_view text);

}  // namespace vipd::sys
