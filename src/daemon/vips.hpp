// The VIPs that are configured: found by address or by name, and the links that they are for. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "vipd/config.hpp"

namespace vipd {

// A VIP and the host's network, in words.
struct VipNetwork {
  std::string link;         // the name of what `link = auto` is, else as configured
  std::string no_link;      // why `link = auto` is none; empty: it is, or the link is named
  std::string route_fault;  // empty: all of its routes are set
};

class Vips {
 public:
  // REQUIRES: `configured` outlives this; changed() is called whenever its contents changed.
  explicit Vips(const std::vector<VipConfig>& configured);
  void changed();

  // What these return is good until the next change. nullptr: it is not configured.
  [[nodiscard]] const std::vector<VipConfig>& all() const { return configured_; }
  [[nodiscard]] const VipConfig* at(const Address& address) const;
  [[nodiscard]] const VipConfig* named(const std::string& name_or_address) const;
  // The first that needs the check.
  [[nodiscard]] const VipConfig* first_with(const std::string& check) const;

  // As the configuration calls them, each once, in order.
  [[nodiscard]] const std::vector<std::string>& links() const { return links_; }

 private:
  const std::vector<VipConfig>& configured_;
  // Places of all of them, in order: a node of a map for each would be ten times as large.
  std::vector<uint32_t> by_address_;
  std::vector<uint32_t> by_name_;
  std::unordered_map<std::string_view, size_t> by_check_;  // the first that needs it
  std::vector<std::string> links_;
};

}  // namespace vipd
