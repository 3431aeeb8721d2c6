#include "daemon/beforehand.hpp"

#include <memory>
#include <set>
#include <utility>

#include "daemon/links.hpp"
#include "daemon/vips.hpp"
#include "net/address_book.hpp"
#include "net/netlink.hpp"
#include "vipd/config.hpp"
#include "vipd/loop.hpp"

namespace vipd {
namespace {

class Judge {
 public:
  Judge(const Links& links, const net::AddressBook& book) : links_(links), book_(book) {}

  void vip(const VipConfig& vip) {
    const std::string head = "vip." + vip.name;
    if (!has_link(head + ".link", vip.link)) return;
    const net::Link& link = *links_.named(vip.link);
    std::string fault = book_.obstacle(vip.address, link.index, false);
    // On lo and its like no address is in a subnet.
    if (fault.empty() && link.has_arp) {
      fault = book_.oddity(vip.address, vip.prefix_length, link.index);
    }
    if (!fault.empty()) said_.push_back(head + ".address: " + fault);
  }
  void check(const CheckConfig& check) {
    if (check.kind == CheckKind::Link) has_link("check." + check.name + ".link", check.target);
  }
  std::vector<std::string> take() { return std::move(said_); }

 private:
  // Each link that is not there is named once.
  bool has_link(const std::string& key, const std::string& link) {
    if (links_.named(link) != nullptr) return true;
    if (!missing_.insert(link).second) return false;
    const std::string fault = links_.auto_fault(link);
    said_.push_back(key + ": " + (fault.empty() ? "there is no link " + link : fault) +
                    " (there are: " + links_.names() + ")");
    return false;
  }

  const Links& links_;
  const net::AddressBook& book_;
  std::set<std::string> missing_;
  std::vector<std::string> said_;
};

}  // namespace

std::vector<std::string> lacks(const Config& config) {
  Loop loop;
  std::string reason;
  std::vector<net::Link> found;
  std::vector<net::AddressInfo> addresses;
  const std::unique_ptr<net::Netlink> kernel = net::Netlink::open(loop, {}, &reason);
  if (kernel == nullptr || !kernel->dump(&found, &addresses)) return {};
  const Vips vips(config.vips);
  Links links(loop, vips, {});
  links.set(std::move(found));
  const net::AddressBook book(links.all(), addresses);
  links.find_auto(book, [&](bool is_v6) { return kernel->default_link(is_v6); });
  Judge judge(links, book);
  for (const VipConfig& vip : config.vips) judge.vip(vip);
  for (const CheckConfig& check : config.checks) judge.check(check);
  return judge.take();
}

}  // namespace vipd
