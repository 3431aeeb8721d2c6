// The configuration as text, for --print-config.
#include "conf/conf.hpp"
#include "conf/keys.hpp"

namespace vipd::conf {
namespace {

std::string settings(Scope scope, const std::string& name, const Source& source) {
  std::string text;
  for (const Key& key : keys()) {
    if (key.scope() != scope) continue;
    const std::string value = print_value(key, source);
    if (!value.empty())
      text += key_text(key, name) + " = " + value + "\n";  // else none, no default
  }
  return text;
}

}  // namespace

std::string print(const Config& config) {
  // Printing copies what it is given; without the VIPs and checks that is little.
  Config plain = config;
  plain.vips.clear();
  plain.checks.clear();
  std::string text = settings(Scope::Daemon, "", {.config = &plain});
  for (const VipConfig& vip : config.vips) {
    text += settings(Scope::Vip, vip.name, {.config = &plain, .vip = &vip});
  }
  for (const CheckConfig& check : config.checks) {
    text += settings(Scope::Check, check.name, {.config = &plain, .check = &check});
  }
  return text;
}

}  // namespace vipd::conf
