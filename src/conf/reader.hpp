// From files to `key = value` pairs with their places. Knows the syntax, and no key.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "conf/errors.hpp"

namespace vipd::conf {

// Good for as long as the text.
struct Setting {
  std::string_view key;
  std::string_view value;
  Position place;
};

using TakeSetting = std::function<void(const Setting&)>;

// Splits the text of one file and hands each setting on; adds what is no setting to errors. Ends
// early once errors are full.
void read_settings(std::string_view text, std::string_view file, Errors* errors,
                   const TakeSetting& take);
// The same for a file of at most 1 MiB. False, and a fault, when it cannot be read.
[[nodiscard]] bool read_file(const std::string& path, Errors* errors, const TakeSetting& take);
// The *.conf of a folder in the order of their names; hidden ones are left out.
[[nodiscard]] std::vector<std::string> list_folder(const std::string& path, Errors* errors);

}  // namespace vipd::conf
