#include "daemon/addresses.hpp"

#include <algorithm>
#include <utility>

#include "daemon/links.hpp"
#include "daemon/routes.hpp"
#include "daemon/vips.hpp"
#include "net/address_book.hpp"
#include "net/arp_ignore.hpp"
#include "net/culprit.hpp"
#include "net/netlink.hpp"
#include "vipd/auto_link.hpp"
#include "vipd/log.hpp"

namespace vipd {

namespace {

constexpr Duration kGather = Duration::milliseconds(100);
constexpr size_t kMostOdd = 8;  // told one by one at each look
constexpr size_t kAtOnce = 8;   // VIPs: one call to the kernel for each that has routes

// An address with the length of its subnet would take the host's own along when it goes.
unsigned whole(const Address& address) {
  return static_cast<unsigned>(8 * address.size());
}

}  // namespace

Addresses::Addresses(const Vips& vips, const Links& links, Handlers handlers)
    : vips_(vips),
      links_(links),
      handlers_(std::move(handlers)),
      routes_(std::make_unique<Routes>()) {}

Addresses::~Addresses() = default;

std::string Addresses::route_fault(const Address& vip) const {
  return routes_->fault(vip);
}

bool Addresses::meet_leftovers(const net::AddressBook& book, const Memory& former,
                               net::Netlink* netlink) {
  const bool has_session = former.lease != LeaseId::None;
  bool has_strangers = false;
  for (const Address& address : book.ours()) {
    const bool is_configured = vips_.at(address) != nullptr;
    if (!is_configured) has_strangers |= meet_stranger(book, address, former, netlink);
  }
  for (const VipConfig& vip : vips_.all()) {
    const net::Link* link = links_.named(vip.link);
    for (const net::AddressInfo* info : book.all(vip.address)) {
      if (!book.is_ours(*info)) continue;
      // Of any length: versions up to 0.1 set it with that of its subnet. The first renewal
      // replaces it.
      const bool in_place =
          link != nullptr && info->link_index == link->index && !is_up(vip.address);
      if (!has_session || !in_place) {
        has_strangers |= !remove_stray(vip.name, *info, "left without authority", netlink);
        continue;
      }
      known_[vip.address] = {
          .link_index = info->link_index, .prefix_length = info->prefix_length, .is_up = true};
      inherited_.push_back(vip.address);
    }
  }
  return has_strangers;
}

// One that the session's process owned was configured until it ended; any other may be another
// daemon's. True: it may still be there.
bool Addresses::meet_stranger(const net::AddressBook& book, const Address& address,
                              const Memory& former, net::Netlink* netlink) const {
  if (!former.waited_out.contains(address)) return true;
  bool is_there = false;
  for (const net::AddressInfo* info : book.all(address)) {
    if (!book.is_ours(*info)) continue;
    is_there |= !remove_stray(address.text(), *info, "no longer configured", netlink);
  }
  return is_there;
}

bool Addresses::remove_stray(const std::string& name, const net::AddressInfo& info,
                             const char* what, net::Netlink* netlink) const {
  const int error = netlink->remove_address(info.link_index, info.address, info.prefix_length);
  log::warn("vip %s: stray address %s/%u, %s: %s", name.c_str(), info.address.text().c_str(),
            info.prefix_length, what, error == 0 ? "removed" : "could not be removed");
  return error == 0;
}

// --- our own doing

int Addresses::add(const VipConfig& vip, int link_index, int lifetime_s, net::Netlink* netlink) {
  Known& place = known_[vip.address];
  const unsigned length = whole(vip.address);
  const bool moved =
      place.is_up && (place.link_index != link_index || place.prefix_length != length);
  if (moved) (void)take_away(vip.address, place, netlink);
  const int error =
      netlink->add_address(link_index, vip.address, length, static_cast<uint32_t>(lifetime_s),
                           vip.source, net::label_on(links_.all().at(link_index).name));
  place.link_index = link_index;
  place.prefix_length = length;
  place.lifetime_s = lifetime_s;
  place.is_up = true;
  if (error == 0) keep_routes(vip, netlink);
  return error;
}

void Addresses::keep_routes(const VipConfig& vip, net::Netlink* netlink) {
  const Known& place = known_[vip.address];
  if (place.lifetime_s == 0) return;  // of a former process; its first renewal is soon
  routes_->keep(vip,
                {.link_index = place.link_index,
                 .lifetime_s = place.lifetime_s,
                 .has_subnet = place.is_alone},
                netlink);
}

int Addresses::take_away(const Address& address, const Known& place, net::Netlink* netlink) {
  const int error = netlink->remove_address(place.link_index, address, place.prefix_length);
  if (error == 0) routes_->drop(address, netlink);
  return error;
}

int Addresses::remove(const Address& address, net::Netlink* netlink) {
  const auto place = known_.find(address);
  if (place == known_.end()) return 0;
  const int error = take_away(address, place->second, netlink);
  if (error == 0) place->second.is_up = false;
  return error;
}

bool Addresses::is_up(const Address& address) const {
  const auto place = known_.find(address);
  return place != known_.end() && place->second.is_up;
}

bool Addresses::any_is_up() const {
  return std::any_of(known_.begin(), known_.end(), [](const auto& p) { return p.second.is_up; });
}

// --- changes that somebody made

void Addresses::added(const net::AddressInfo& info) {
  if (info.own_change) return;
  if (!is_in_place(info) || !is_up(info.address)) return handlers_.look_within(kGather);
  if (!info.permanent) return;  // a renewal of ours
  const VipConfig* vip = vips_.at(info.address);
  log::warn("vip %s: %s/%u was made permanent by %s; its next renewal gives it a lifetime again",
            vip == nullptr ? "(removed)" : vip->name.c_str(), info.address.text().c_str(),
            info.prefix_length, net::culprit(info.by_port).c_str());
}

bool Addresses::is_in_place(const net::AddressInfo& info) const {
  const auto place = known_.find(info.address);
  return place != known_.end() && place->second.link_index == info.link_index &&
         place->second.prefix_length == info.prefix_length;
}

void Addresses::removed(const net::AddressInfo& info) {
  if (info.own_change) return;
  if (!is_in_place(info)) return handlers_.look_within(kGather);
  if (!is_up(info.address)) return;
  if (info.address.is_v4()) return lose(info.address, info.expired, info.by_port);
  // IPv6's notices name nobody: this one may be of our own removal, before we added it again.
  if (info.expired) expired_.insert(info.address);
  handlers_.look_within(Duration());
}

void Addresses::lose(const Address& address, bool expired, uint32_t by_port) {
  known_[address].is_up = false;
  handlers_.feed(event::AddressLost{
      .address = address, .expired = expired, .by = expired ? "" : who(by_port)});
}

// A process that removes one often removes all. A pid may belong to another process later.
const std::string& Addresses::who(uint32_t port) {
  if (!culprit_ || culprit_->first != port) culprit_.emplace(port, net::culprit(port));
  return culprit_->second;
}

// --- a look

void Addresses::compare(const net::AddressBook& book, net::Netlink* netlink) {
  culprit_.reset();
  find_lost(book);
  find_strays(book, netlink);
  for (auto& [address, place] : known_) place.was_up = place.is_up;
  left_ = vips_.all().size();
  odd_ = 0;
  // What is new may be owned before its turn comes.
  for (const VipConfig& vip : vips_.all()) {
    if (!known_.contains(vip.address)) judge(vip, book, netlink);
  }
}

// Goes round, so that lists that come again and again keep no VIP from being judged.
bool Addresses::judge_some(const net::AddressBook& book, net::Netlink* netlink) {
  const std::vector<VipConfig>& vips = vips_.all();
  for (size_t i = 0; i < kAtOnce && left_ > 0 && !vips.empty(); i++, left_--) {
    next_ = next_ < vips.size() ? next_ : 0;
    judge(vips[next_++], book, netlink);
  }
  if (left_ > 0 && !vips.empty()) return true;
  if (odd_ > kMostOdd) log::warn("... and %zu more VIPs of that kind", odd_ - kMostOdd);
  return false;
}

void Addresses::find_lost(const net::AddressBook& book) {
  std::vector<Address> lost;
  for (const auto& [address, place] : known_) {
    if (place.is_up && !book.has(address, place.link_index, place.prefix_length)) {
      lost.push_back(address);
    }
  }
  for (const Address& address : lost) lose(address, expired_.contains(address), 0);
  expired_.clear();
}

// Ours by its mark, but on a link where we did not set it: nothing renews it, so it is removed.
void Addresses::find_strays(const net::AddressBook& book, net::Netlink* netlink) {
  for (const VipConfig& vip : vips_.all()) {
    for (const net::AddressInfo* info : book.all(vip.address)) {
      if (!book.is_ours(*info)) continue;
      if (is_in_place(*info) && is_up(info->address)) continue;
      (void)remove_stray(vip.name, *info, "not owned here", netlink);
    }
  }
}

// An address on lo or a dummy is answered for on every link, owned or not, unless told otherwise.
std::string Addresses::answered_anyway(const VipConfig& vip, const net::AddressBook& book) const {
  const net::Link* link = links_.named(vip.link);
  if (link == nullptr || vip.address.is_v6()) return "";
  const std::string copy = book.silent_copy(vip.address, link->index);
  if (copy.empty() || !net::answers_for_other_links(link->name)) return "";
  return vip.address.text() + " is on " + copy + " as well, and this host answers for it on " +
         link->name + " whoever owns it; set net.ipv4.conf." + link->name + ".arp_ignore = 1";
}

// `link = auto` is another link now. The core puts the address there at once, and announces it.
void Addresses::follow(const VipConfig& vip, net::Netlink* netlink) {
  const net::Link* link = is_auto_link(vip.link) ? links_.named(vip.link) : nullptr;
  if (link == nullptr || !is_up(vip.address)) return;
  Known& place = known_[vip.address];
  if (place.link_index == link->index || take_away(vip.address, place, netlink) != 0) return;
  place.is_up = false;
  log::warn("vip %s: its subnet is on %s now; moved there", vip.name.c_str(), link->name.c_str());
  handlers_.feed(event::AddressLost{.address = vip.address, .expired = true, .by = ""});
}

void Addresses::judge(const VipConfig& vip, const net::AddressBook& book, net::Netlink* netlink) {
  const int link_index = links_.told_index(vip.link);
  follow(vip, netlink);
  Known& known = known_[vip.address];
  const bool was_alone = known.is_alone;
  known.is_alone = book.is_alone(vip.address, vip.prefix_length, link_index);
  // IPv6 routes would get a longer lifetime than what is left of the address's.
  const bool is_due = vip.address.is_v4() || was_alone != known.is_alone;
  if (is_due && known.is_up) keep_routes(vip, netlink);
  // An address that has gone since the lists were read was ours in them.
  const bool is_or_was_up = known.is_up || known.was_up;
  handlers_.obstacle(vip, book.obstacle(vip.address, link_index, is_or_was_up));
  std::string oddity = book.oddity(vip.address, vip.prefix_length, link_index);
  if (oddity.empty()) oddity = answered_anyway(vip, book);
  const size_t said = oddity.empty() ? 0 : std::hash<std::string>{}(oddity);
  if (std::exchange(known.oddity, said) == said || said == 0) return;
  if (odd_++ < kMostOdd) log::warn("vip %s: %s", vip.name.c_str(), oddity.c_str());
}

}  // namespace vipd
