#include "daemon/links.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "daemon/auto_links.hpp"
#include "daemon/vips.hpp"
#include "net/claims.hpp"
#include "net/netlink.hpp"
#include "vipd/auto_link.hpp"
#include "vipd/log.hpp"

namespace vipd {

namespace {

constexpr std::string_view kMacPrefix = "mac:";
constexpr size_t kLinksNamed = 8;  // in a message
// However many claims there are, a few tell as much.
constexpr Duration kBetweenClaims = Duration::milliseconds(20);

// A bond's ports share its MAC, and VLANs that of the link they are on: what is meant is neither a
// port of another link nor made on one.
int rank(const net::Link& link) {
  return (link.master != 0 ? 2 : 0) + (link.lower != 0 && link.lower != link.index ? 1 : 0);
}

}  // namespace

Links::Links(Loop& loop, const Vips& vips, Handlers handlers)
    : loop_(loop),
      vips_(vips),
      handlers_(std::move(handlers)),
      auto_(std::make_unique<AutoLinks>()) {}

Links::~Links() = default;

void Links::set(std::vector<net::Link> links) {
  links_.clear();
  for (net::Link& link : links) links_.emplace(link.index, std::move(link));
  by_text_.clear();
}

void Links::changed(const net::Link& link) {
  links_[link.index] = link;
  by_text_.clear();
}

void Links::removed(int index) {
  links_.erase(index);
  by_text_.clear();
}

// Of two links that fit, the first: by the order of their numbers, and for a MAC by rank.
void Links::list() const {
  for (const auto& [index, link] : links_) {
    by_text_.emplace(link.name, index);
    for (const std::string& name : link.altnames) by_text_.emplace(name, index);
    int& best =
        by_text_.try_emplace(std::string(kMacPrefix) + link.mac.text(), index).first->second;
    if (rank(link) < rank(links_.at(best))) best = index;
  }
}

void Links::reconfigured() {
  const std::vector<std::string>& names = vips_.links();
  std::erase_if(told_, [&](const auto& item) {
    return !std::binary_search(names.begin(), names.end(), item.first);
  });
}

void Links::find_auto(const net::AddressBook& book,
                      const std::function<int(bool is_v6)>& default_link) {
  auto_->find(vips_.links(), book, links_, default_link);
}

std::string Links::auto_fault(const std::string& text) const {
  return is_auto_link(text) && named(text) == nullptr ? auto_->fault(text) : "";
}

std::string Links::shown(const std::string& text) const {
  const net::Link* const link = is_auto_link(text) ? named(text) : nullptr;
  return link == nullptr ? text : link->name;
}

const net::Link* Links::named(const std::string& text) const {
  if (is_auto_link(text)) {
    const auto link = links_.find(auto_->index(text));
    return link == links_.end() ? nullptr : &link->second;
  }
  if (by_text_.empty()) list();
  const auto found = by_text_.find(text);
  return found == by_text_.end() ? nullptr : &links_.at(found->second);
}

std::string Links::names() const {
  std::string text;
  size_t count = 0;
  for (const auto& [index, link] : links_) {
    if (count++ < kLinksNamed) text += (text.empty() ? "" : ", ") + link.name;
  }
  return text + (count > kLinksNamed ? ", ..." : "");
}

bool Links::is_of_vip(int index) const {
  return std::any_of(told_.begin(), told_.end(),
                     [index](const auto& link) { return link.second.index == index; });
}

int Links::told_index(const std::string& text) const {
  const auto told = told_.find(text);
  return told == told_.end() ? 0 : told->second.index;
}

// A link that was replaced by one of the same name between two looks is the same to the core: what
// was on it is found to be lost, and put on the new one.
void Links::tell() {
  bool is_news = false;
  for (const std::string& name : vips_.links()) {
    const net::Link* link = named(name);
    const Told now =
        link == nullptr
            ? Told{}
            : Told{.index = link->index, .up = link->up && link->carrier, .mac = link->mac};
    const auto told = told_.find(name);
    if (told != told_.end() && told->second == now) continue;
    is_news = true;
    if (link == nullptr) say_missing(name);
    told_[name] = now;
    handlers_.feed(
        event::LinkChanged{.link = name, .present = link != nullptr, .up = now.up, .mac = now.mac});
  }
  if (!is_news) return;
  handlers_.look_within(Duration::milliseconds(50));
}

void Links::doubt(const std::string& name) {
  told_.erase(name);
  handlers_.look_within(Duration());
}

void Links::say_missing(const std::string& name) const {
  if (is_auto_link(name)) return log::warn("%s; waiting for one", auto_fault(name).c_str());
  log::warn("there is no link %s (there are: %s); waiting for it", name.c_str(), names().c_str());
}

// --- claims

bool Links::open(std::string* reason) {
  listener_ = net::ClaimListener::open(loop_, reason);
  return listener_ != nullptr;
}

void Links::listen() {
  std::vector<Address> addresses;
  for (const VipConfig& vip : vips_.all()) addresses.push_back(vip.address);
  const bool is_done =
      listener_->listen(std::move(addresses), [this](const net::ClaimListener::Heard& heard) {
        claimed(heard.link_index, heard.address, heard.mac);
      });
  if (!is_done) log::warn("the kernel refuses the filter for claims: %s", strerror(errno));
}

// It is no answer to a probe that is about to be sent, and no claim on an address that is about to
// be ours, however long it waited.
void Links::hear() {
  listener_->hear();
}

void Links::claimed(int link_index, const Address& address, const MacAddress& mac) {
  const VipConfig* vip = vips_.at(address);
  if (vip == nullptr || told_index(vip->link) != link_index) return;
  // Another link of this host in the same segment speaks for it, too.
  const bool own = std::any_of(links_.begin(), links_.end(),
                               [&](const auto& item) { return item.second.mac == mac; });
  if (own) return;
  MonoTime& last = claimed_at_.try_emplace(address, MonoTime::long_ago()).first->second;
  if (loop_.now() - last < kBetweenClaims) return;
  last = loop_.now();
  handlers_.feed(event::ForeignClaim{.address = address, .mac = mac});
}

}  // namespace vipd
