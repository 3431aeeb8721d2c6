// The links that the configuration names, told to the core and listened on.
#include <algorithm>

#include "daemon/impl.hpp"
#include "vipd/log.hpp"

namespace vipd {

namespace {

constexpr std::string_view kMacPrefix = "mac:";
constexpr size_t kLinksNamed = 8;  // in a message

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

const net::Link* Daemon::link_named(const std::string& text) const {
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

void Daemon::link_changed(const net::Link& link) {
  links_[link.index] = link;
  tell_links();
}

void Daemon::link_removed(int index) {
  links_.erase(index);
  tell_links();
}

// A link that was replaced by one of the same name between two looks is the same to the core: what
// was on it is found to be lost, and put on the new one.
void Daemon::tell_links() {
  if (core_ == nullptr) return;
  bool is_news = false;
  for (const std::string& name : link_names_) {
    const net::Link* link = link_named(name);
    const LinkState now =
        link == nullptr
            ? LinkState{}
            : LinkState{.index = link->index, .up = link->up && link->carrier, .mac = link->mac};
    const auto told = link_states_.find(name);
    if (told != link_states_.end() && told->second == now) continue;
    is_news = true;
    if (link == nullptr) say_missing(name);
    link_states_[name] = now;
    feed(
        event::LinkChanged{.link = name, .present = link != nullptr, .up = now.up, .mac = now.mac});
  }
  if (!is_news) return;
  listen_for_claims();
  look_within(Duration::milliseconds(50));
}

// The core takes it for gone, and is told whatever the next look shows.
void Daemon::doubt_link(const std::string& name) {
  link_states_.erase(name);
  look_within(Duration());
}

void Daemon::say_missing(const std::string& name) {
  std::string others;
  size_t count = 0;
  for (const auto& [index, link] : links_) {
    if (count++ < kLinksNamed) others += (others.empty() ? "" : ", ") + link.name;
  }
  log::warn("there is no link %s (there are: %s%s); waiting for it", name.c_str(), others.c_str(),
            count > kLinksNamed ? ", ..." : "");
}

// --- claims

void Daemon::listen_for_claims() {
  std::map<int, std::vector<Address>> wanted;
  for (const VipConfig& vip : config_.vips) {
    const auto state = link_states_.find(vip.link);
    if (state != link_states_.end() && state->second.index != 0) {
      wanted[state->second.index].push_back(vip.address);
    }
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

// What waited in a socket, however long, was said before anything that this turn decides: it is no
// answer to a probe that is about to be sent, and no claim on an address that is about to be ours.
void Daemon::hear_neighbours() {
  for (const auto& [index, ear] : ears_) {
    if (ear.listener != nullptr) ear.listener->hear();
  }
}

void Daemon::claimed(int link_index, const Address& address, const MacAddress& mac) {
  const VipConfig* vip = vip_at(address);
  if (vip == nullptr) return;
  const auto state = link_states_.find(vip->link);
  if (state == link_states_.end() || state->second.index != link_index) return;
  // Another link of this host in the same segment speaks for it, too.
  const bool own = std::any_of(links_.begin(), links_.end(),
                               [&](const auto& item) { return item.second.mac == mac; });
  if (own) return;
  // However many there are, a few tell as much.
  Record& record = records_[address];
  if (loop_.now() - record.claimed_at < Duration::milliseconds(20)) return;
  record.claimed_at = loop_.now();
  feed(event::ForeignClaim{.address = address, .mac = mac});
}

}  // namespace vipd
