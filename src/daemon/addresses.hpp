// The VIPs' addresses as the kernel shows them: those that were set, left behind by a former
// process, lost, or set by other programs. Part of the network.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "vipd/event.hpp"
#include "vipd/loop.hpp"

namespace vipd::net {
class AddressBook;
class Netlink;
struct AddressInfo;
}  // namespace vipd::net

namespace vipd {

class Links;
class Routes;
class Vips;
struct VipConfig;

class Addresses {
 public:
  struct Handlers {
    std::function<void(const Event&)> feed;
    std::function<void(Duration)> look_within;  // the kernel's lists are to be read again by then
    // What on this host stands in the way of a VIP, after each look; empty: nothing.
    std::function<void(const VipConfig&, const std::string& obstacle)> obstacle;
  };

  Addresses(const Vips& vips, const Links& links, Handlers handlers);
  ~Addresses();
  Addresses(const Addresses&) = delete;
  Addresses& operator=(const Addresses&) = delete;

  // An address that the former process put there lives on by the lifetime that it has, if
  // `former` is a session that may still be taken up; otherwise it is removed. True when there may
  // still be one of vipd's that is not configured, or could not be removed.
  bool meet_leftovers(const net::AddressBook& book, const Memory& former, net::Netlink* netlink);
  [[nodiscard]] const std::vector<Address>& inherited() const { return inherited_; }

  // A notice of the kernel, of any address on any link.
  void added(const net::AddressInfo& info);
  void removed(const net::AddressInfo& info);
  // Compares all VIPs with what the kernel's lists show: what was lost or left behind.
  void compare(const net::AddressBook& book, net::Netlink* netlink);
  // ... and, for a few VIPs more, what others have set; sets routes that are missing. False: those
  // were the last since compare(). REQUIRES: the book that was compared last.
  [[nodiscard]] bool judge_some(const net::AddressBook& book, net::Netlink* netlink);

  // Sets the VIP on that link for `lifetime_s` seconds, or renews it; on another link it is removed
  // first. 0 or an errno, as net::Netlink::add_address().
  [[nodiscard]] int add(const VipConfig& vip, int link_index, int lifetime_s,
                        net::Netlink* netlink);
  // Removes the address from the link where it was set, whatever the configuration says by now. 0
  // or an errno.
  [[nodiscard]] int remove(const Address& address, net::Netlink* netlink);

  [[nodiscard]] bool is_up(const Address& address) const;  // by us, as far as we know
  [[nodiscard]] bool any_is_up() const;
  // Why one of its routes is missing; empty: none is.
  [[nodiscard]] std::string route_fault(const Address& vip) const;

 private:
  // One of each VIP, and of each address that a former process left.
  struct Known {
    int link_index = 0;  // where it is, or was last
    unsigned prefix_length = 32;
    int lifetime_s = 0;  // 0: of a former process
    bool is_up = false;
    bool was_up = false;    // when the lists were read that are judged by
    bool is_alone = false;  // no address of the host's own is in its subnet, says the last look
    size_t oddity = 0;      // a hash of what is odd about it, says the last look; 0: nothing
  };

  [[nodiscard]] bool meet_stranger(const net::AddressBook& book, const Address& address,
                                   const Memory& former, net::Netlink* netlink) const;
  bool remove_stray(const std::string& name, const net::AddressInfo& info, const char* what,
                    net::Netlink* netlink) const;
  [[nodiscard]] bool is_in_place(const net::AddressInfo& info) const;
  void lose(const Address& address, bool expired, uint32_t by_port);
  [[nodiscard]] std::string answered_anyway(const VipConfig& vip,
                                            const net::AddressBook& book) const;
  void follow(const VipConfig& vip, net::Netlink* netlink);
  void keep_routes(const VipConfig& vip, net::Netlink* netlink);
  const std::string& who(uint32_t port);
  void find_lost(const net::AddressBook& book);
  void find_strays(const net::AddressBook& book, net::Netlink* netlink);
  void judge(const VipConfig& vip, const net::AddressBook& book, net::Netlink* netlink);
  int take_away(const Address& address, const Known& place, net::Netlink* netlink);

  const Vips& vips_;
  const Links& links_;
  Handlers handlers_;
  std::map<Address, Known> known_;
  std::set<Address> expired_;  // by a notice that may be out of date
  std::vector<Address> inherited_;
  std::unique_ptr<Routes> routes_;
  std::optional<std::pair<uint32_t, std::string>> culprit_;  // since the last look
  size_t next_ = 0;                                          // VIP to be judged
  size_t left_ = 0;                                          // VIPs to be judged by this look
  size_t odd_ = 0;                                           // found by it
};

}  // namespace vipd
