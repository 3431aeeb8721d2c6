// What a shell, a supervisor or a template would replace in a value, as $NAME, %H, {{name}}, @NAME@
// and <name>. Nothing replaces it here, so it is refused, except where such bytes are usual. Pure.
#pragma once

#include <string_view>

namespace vipd::conf {

// What is wrong with the value of this key, as written in the table; "" if nothing is.
[[nodiscard]] std::string_view expansion_fault(std::string_view key, std::string_view value);
// Whether a shell would replace a part of these words: $NAME, ${NAME}, $(command), ~/.
[[nodiscard]] bool wants_expansion(std::string_view words);

}  // namespace vipd::conf
