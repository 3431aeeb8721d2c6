// The options of a program, from one table: what getopt_long(3) wants to know, and what --help
// says. Pure.
#pragma once

#include <getopt.h>

#include <span>
#include <string>
#include <vector>

namespace vipd::sys {

struct Option {
  int value;             // what getopt_long returns: the letter, or above 255 when it has none
  const char* name;      // long
  const char* argument;  // nullptr: takes none
  const char* help;      // a second line begins after '\n'
};

constexpr int kNoLetter = 256;  // and above

[[nodiscard]] std::string short_options(std::span<const Option> options);
// Ends as getopt_long wants it to. Refers to the table.
[[nodiscard]] std::vector<option> long_options(std::span<const Option> options);
[[nodiscard]] std::string options_help(std::span<const Option> options);

}  // namespace vipd::sys
