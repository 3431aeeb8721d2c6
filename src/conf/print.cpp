// The configuration as text: for --print-config, and the keys for the man page.
#include "conf/conf.hpp"
#include "conf/keys.hpp"

namespace vipd::conf {
namespace {

std::string setting(const Key& key, const Config& config, const VipConfig* vip) {
  const std::string value = print_value(key, config, vip);
  if (value.empty()) return "";  // none, and no default
  return key_text(key, vip == nullptr ? "" : vip->name) + " = " + value + "\n";
}

}  // namespace

std::string print(const Config& config) {
  // Printing copies what it is given; without the VIPs that is little.
  Config plain = config;
  plain.vips.clear();
  std::string text;
  for (const Key& key : keys()) {
    if (!key.is_for_vip()) text += setting(key, plain, nullptr);
  }
  for (const VipConfig& vip : config.vips) {
    for (const Key& key : keys()) {
      if (key.is_for_vip()) text += setting(key, plain, &vip);
    }
  }
  return text;
}

std::string document() {
  std::string text;
  for (const Key& key : keys()) {
    text.append(".It Cm ").append(key.name).append(" No = Ar ").append(argument_words(key));
    text.append("\n").append(key.help).append("\n");
    const std::string range = range_words(key);
    if (!range.empty()) text.append("Possible: ").append(range).append(".\n");
    if (!key.fallback.empty()) text.append("Default:\n.Li ").append(key.fallback).append(" .\n");
    if (!key.fallback_words.empty()) {
      text.append("Default: ").append(key.fallback_words).append(".\n");
    }
  }
  return text;
}

}  // namespace vipd::conf
