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
