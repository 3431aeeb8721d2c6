#include "daemon/links.hpp"

#include <algorithm>
#include <utility>

#include "daemon/vips.hpp"
#include "net/claims.hpp"
#include "net/netlink.hpp"
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

bool has_name(const net::Link& link, const std::string& text) {
  const auto& others = link.altnames;
  return link.name == text || std::find(others.begin(), others.end(), text) != others.end();
}

}  // namespace

Links::Links(Loop& loop, const Vips& vips, Handlers handlers)
    : loop_(loop), vips_(vips), handlers_(std::move(handlers)) {}

Links::~Links() = default;

void Links::set(std::vector<net::Link> links) {
  links_.clear();
  for (net::Link& link : links) links_.emplace(link.index, std::move(link));
}

void Links::changed(const net::Link& link) {
  links_[link.index] = link;
}

void Links::removed(int index) {
  links_.erase(index);
}

void Links::reconfigured() {
  const std::vector<std::string>& names = vips_.links();
  std::erase_if(told_, [&](const auto& item) {
    return !std::binary_search(names.begin(), names.end(), item.first);
  });
}

const net::Link* Links::named(const std::string& text) const {
  const net::Link* best = nullptr;
  const bool by_mac = text.starts_with(kMacPrefix);
  for (const auto& [index, link] : links_) {
    if (by_mac ? link.mac.text() != text.substr(kMacPrefix.size()) : !has_name(link, text)) {
      continue;
    }
    if (!by_mac) return &link;
    if (best == nullptr || rank(link) < rank(*best)) best = &link;
  }
  return best;
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
  listen();
  handlers_.look_within(Duration::milliseconds(50));
}

void Links::doubt(const std::string& name) {
  told_.erase(name);
  handlers_.look_within(Duration());
}

void Links::say_missing(const std::string& name) const {
  std::string others;
  size_t count = 0;
  for (const auto& [index, link] : links_) {
    if (count++ < kLinksNamed) others += (others.empty() ? "" : ", ") + link.name;
  }
  log::warn("there is no link %s (there are: %s%s); waiting for it", name.c_str(), others.c_str(),
            count > kLinksNamed ? ", ..." : "");
}

// --- claims

void Links::listen() {
  std::map<int, std::vector<Address>> wanted;
  for (const VipConfig& vip : vips_.all()) {
    const int index = told_index(vip.link);
    if (index != 0) wanted[index].push_back(vip.address);
  }
  std::erase_if(ears_, [&](const auto& ear) { return !wanted.contains(ear.first); });
  for (const auto& [index, addresses] : wanted) {
    Ear& ear = ears_[index];
    const bool hears = ear.listener != nullptr && !ear.listener->is_deaf();
    if (hears && ear.addresses == addresses) continue;
    std::string reason;
    ear.addresses = addresses;
    ear.listener = net::ClaimListener::open(
        loop_, index, addresses,
        [this, link_index = index](const Address& address, const MacAddress& mac) {
          claimed(link_index, address, mac);
        },
        &reason);
    if (ear.listener == nullptr) log::warn("%s", reason.c_str());
  }
}

// It is no answer to a probe that is about to be sent, and no claim on an address that is about to
// be ours, however long it waited.
void Links::hear() {
  for (const auto& [index, ear] : ears_) {
    if (ear.listener != nullptr) ear.listener->hear();
  }
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
