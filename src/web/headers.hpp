// Headers of HTTP from a file of the user's. They may hold a secret: nothing of them is in a
// reason.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace vipd::web {

// "NAME: VALUE" each, as RFC 9110 (section 5) allows them, without blanks around the value. False
// and a reason for any line that is not one, for no line or too many, and where
// sys::read_private() refuses the file. Empty lines are skipped.
[[nodiscard]] bool read_headers(const std::string& path, std::vector<std::string>* lines,
                                std::string* reason);

// Adds those lines; what they name in other words before goes.
void add_headers(const std::vector<std::string>& lines, std::vector<std::string>* headers);

}  // namespace vipd::web
