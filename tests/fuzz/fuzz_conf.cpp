// links: src/conf/load.cpp src/conf/errors.cpp src/conf/reader.cpp src/conf/keys.cpp
// links: src/conf/key_value.cpp src/conf/values.cpp src/conf/endpoint.cpp src/conf/check_values.cpp
// links: src/conf/duration.cpp src/conf/nearest.cpp src/conf/print.cpp src/conf/named_files.cpp
// links: src/sys/file.cpp src/sys/user.cpp src/core/types.cpp
//
// A configuration file. What is accepted is printed as text that reads back to the same.
#include "conf/conf.hpp"
#include "fuzz/fuzz.hpp"

using namespace vipd;

namespace {

conf::Result load(std::string_view text) {
  const fuzz::File file(text);
  return conf::load({.paths = {file.path()}, .overrides = {}});
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const conf::Result result = load(fuzz::text_of(data, size));
  for (const std::string& error : result.errors) fuzz::require(!error.empty());
  if (!result.errors.empty()) return 0;
  const std::string printed = conf::print(result.config);
  const conf::Result again = load(printed);
  fuzz::require(again.errors.empty() && conf::print(again.config) == printed);
  return 0;
}
