// The files that the configuration names, before they are needed: whether they are there and are
// what they should be. Each answers with what is wrong, in words, or with "".
#pragma once

#include <string>

namespace vipd::conf {

[[nodiscard]] std::string certificate_fault(const std::string& path);
[[nodiscard]] std::string private_key_fault(const std::string& path);
[[nodiscard]] std::string password_fault(const std::string& path);
[[nodiscard]] std::string headers_fault(const std::string& path);

}  // namespace vipd::conf
