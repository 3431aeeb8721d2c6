#include "net/arp_ignore.hpp"

#include "sys/file.hpp"

namespace vipd::net {
namespace {

bool is_zero(const std::string& name) {
  std::string text, reason;
  const std::string path = "/proc/sys/net/ipv4/conf/" + name + "/arp_ignore";
  return sys::read_bounded(path, 16, &text, &reason) && text.starts_with('0');
}

}  // namespace

// The larger of the two counts.
bool answers_for_other_links(const std::string& link_name) {
  return is_zero("all") && is_zero(link_name);
}

}  // namespace vipd::net
