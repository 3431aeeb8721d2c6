// The configuration: flat `key = value` files, one table of keys {name, type, range, default, help}
// that parses, prints and documents. Reads files, never writes; touches nothing else.
#pragma once

#include <string>
#include <vector>

#include "vipd/config.hpp"

namespace vipd::conf {

struct Sources {
  // Files or folders (their *.conf in the order of names). Empty: /etc/vipd.conf, then
  // /etc/vipd.d/*.conf, whichever exist.
  std::vector<std::string> paths;
  std::vector<std::string> overrides;  // "KEY=VALUE", from the command line; they win
};

struct Result {
  Config config;  // valid only when errors is empty
  std::vector<std::string>
      errors;  // "FILE:LINE: what is wrong, and what would be right", all of them
};

[[nodiscard]] Result load(const Sources& sources);
// The effective configuration, defaults included, in the syntax of the files; it reads back to the
// same.
[[nodiscard]] std::string print(const Config& config);
// The keys as mdoc(7) list items, for vipd.conf(5): the page and the parser cannot drift.
[[nodiscard]] std::string document();

}  // namespace vipd::conf
