// What must not be repeated in a message, as it may be a password: messages go to logs. Pure.
#pragma once

#include <string>
#include <string_view>

#include "conf/keys.hpp"

namespace vipd::conf {

// What is wrong with a value that may be the secret itself, in words without it; "" if the value
// may be shown.
[[nodiscard]] std::string secret_fault(const Key& key, std::string_view value);

}  // namespace vipd::conf
