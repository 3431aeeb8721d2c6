// Which link each `link = auto` is, by the addresses that the host itself has. Part of the network.
//
// One that was found stays while it fits, or while nothing else does: a DHCP client that sets the
// host's address anew must not cost the VIP.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "vipd/types.hpp"

namespace vipd::net {
class AddressBook;
struct Link;
}  // namespace vipd::net

namespace vipd {

class AutoLinks {
 public:
  using Links = std::map<int, net::Link>;
  // The link of the default route, 0: there is none.
  using DefaultLink = std::function<int(bool is_v6)>;

  // After each look. names: all links as they are configured, in order.
  void find(const std::vector<std::string>& names, const net::AddressBook& book, const Links& links,
            const DefaultLink& default_link);
  // 0: none. REQUIRES of both: is_auto_link(name).
  [[nodiscard]] int index(const std::string& name) const;
  // Why there is none, in words.
  [[nodiscard]] std::string fault(const std::string& name) const;

 private:
  struct Found {
    int index = 0;
    std::string fault;
  };

  std::map<std::string, Found> found_;
};

}  // namespace vipd
