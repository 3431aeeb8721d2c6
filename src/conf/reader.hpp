// From files to `key = value` pairs with their places. Knows the syntax, and no key.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "conf/errors.hpp"

namespace vipd::conf {

struct Setting {
  std::string key;
  std::string value;
  Place place;
};

// Splits the text of one file; adds what is no setting to errors.
[[nodiscard]] std::vector<Setting> read_settings(std::string_view text, const std::string& file,
                                                 Errors* errors);
// The file's settings; at most 1 MiB. False, and a fault, when the file cannot be read.
[[nodiscard]] bool read_file(const std::string& path, std::vector<Setting>* settings,
                             Errors* errors);
// The *.conf of a folder in the order of their names; hidden ones are left out.
[[nodiscard]] std::vector<std::string> list_folder(const std::string& path, Errors* errors);

}  // namespace vipd::conf
