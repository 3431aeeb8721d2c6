// What the host's addresses mean for an address that is to be shared: who put it there, what stands
// in its way, what looks odd. Pure: judges one dump, remembers nothing else.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "net/netlink.hpp"

namespace vipd::net {

class AddressBook {
 public:
  // installed: whether this process has set an address, for kernels that keep no marks; none: it
  // has set none. REQUIRES: links and addresses outlive the book.
  AddressBook(const std::map<int, Link>& links, const std::vector<AddressInfo>& addresses,
              const std::function<bool(const Address&)>& installed = nullptr);

  // Whether vipd set it, judged by its mark, or by its kind of lifetime if the kernel keeps no
  // marks.
  [[nodiscard]] bool is_ours(const AddressInfo& info) const;
  [[nodiscard]] std::vector<Address> ours() const;
  [[nodiscard]] bool has(const Address& address, int link_index, unsigned prefix_length) const;
  [[nodiscard]] const std::vector<const AddressInfo*>& all(const Address& address) const;

  // Why an address may not be added to a link, in words; empty: nothing stands in the way. is_up:
  // it is there by us already. link_index 0: the link is not there. Another link that answers no
  // ARP (lo, a dummy, IPVS) may have it: there it is for what this host forwards or serves itself.
  [[nodiscard]] std::string obstacle(const Address& vip, int link_index, bool is_up) const;
  // Another link without ARP that has it, too; empty: none has.
  [[nodiscard]] std::string silent_copy(const Address& vip, int link_index) const;
  // Whether the host's own addresses on the link are unrelated to the VIP's subnet: none is in it,
  // and none has a subnet that contains the VIP. False for a whole length (/32, /128): no subnet.
  [[nodiscard]] bool is_alone(const Address& vip, unsigned prefix_length, int link_index) const;
  // The links with ARP of which is_alone() would be false, but for a whole length: those with a
  // subnet that the address is in. In the order of their numbers.
  [[nodiscard]] std::vector<int> links_for(const Address& vip, unsigned prefix_length) const;
  // What may be wrong with the address on that link, in words; empty: nothing.
  [[nodiscard]] std::string oddity(const Address& vip, unsigned prefix_length,
                                   int link_index) const;

 private:
  using Infos = std::vector<const AddressInfo*>;

  [[nodiscard]] std::string link_name(int index) const;
  [[nodiscard]] bool is_silent(int link_index) const;
  [[nodiscard]] bool has_to_do_with(const Address& vip, unsigned prefix_length,
                                    int link_index) const;
  [[nodiscard]] const Infos& others_on(int link_index) const;

  const std::map<int, Link>& links_;
  std::map<Address, Infos> by_address_;
  std::map<int, Infos> others_;  // not ours, by link
  bool marks_are_kept_ = false;
  Infos none_;
};

}  // namespace vipd::net
