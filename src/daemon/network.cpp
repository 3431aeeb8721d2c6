#include "daemon/network.hpp"

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstring>
#include <utility>

#include "core/timing.hpp"
#include "daemon/reach.hpp"
#include "daemon/targets.hpp"
#include "daemon/vips.hpp"
#include "net/address_book.hpp"
#include "net/claims.hpp"
#include "net/connections.hpp"
#include "net/conntrack.hpp"
#include "net/netlink.hpp"
#include "net/packet.hpp"
#include "vipd/log.hpp"

namespace vipd {

namespace {

// Whatever a notice may have missed is found by then.
constexpr Duration kPeriodicLook = Duration::seconds(60);
constexpr Duration kLookRetry = Duration::seconds(1);
// A turn should not take longer: heartbeats wait meanwhile.
constexpr Duration kMostForResets = Duration::milliseconds(40);

void say(const net::Conntrack::Done& done) {
  if (done.error != 0) log::info("no list of tracked connections: %s", strerror(done.error));
  if (done.entries == 0) return;
  log::info("%zu tracked connections to %zu addresses forgotten", done.entries, done.addresses);
}

}  // namespace

// What the kernel has shown at one moment.
struct Network::Lists {
  Lists(const std::map<int, net::Link>& links, std::vector<net::AddressInfo> listed,
        const std::function<bool(const Address&)>& installed)
      : addresses(std::move(listed)), book(links, addresses, installed) {}

  std::vector<net::AddressInfo> addresses;
  net::AddressBook book;
};

Network::Network(Loop& loop, const Vips& vips, Handlers handlers)
    : loop_(loop),
      vips_(vips),
      handlers_(std::move(handlers)),
      links_(loop, vips, {handlers_.feed, [this](Duration wait) { look_within(wait); }}),
      addresses_(
          vips, links_,
          {handlers_.feed, [this](Duration wait) { look_within(wait); }, handlers_.obstacle}),
      targets_(std::make_unique<Targets>(
          loop, [this](const Address& address) { return may_speak_for(address); })),
      reach_(std::make_unique<Reach>(
          loop,
          Reach::Handlers{.has = [this](const Address& a) { return may_speak_for(a); },
                          .is_vip = [this](const Address& a) { return vips_.at(a) != nullptr; },
                          .found = handlers_.reachable})),
      judging_(loop) {}

Network::~Network() = default;

bool Network::open(const Memory& former, std::string* reason) {
  assert(netlink_ == nullptr);
  net::Netlink::Handlers handlers;
  handlers.link_changed = [this](const net::Link& link) {
    links_.changed(link);
    link_is_news();
  };
  handlers.link_removed = [this](int index) {
    links_.removed(index);
    link_is_news();
  };
  handlers.address_added = [this](const net::AddressInfo& info) { addresses_.added(info); };
  handlers.address_removed = [this](const net::AddressInfo& info) { addresses_.removed(info); };
  handlers.overrun = [this] {
    log::warn("netlink messages were lost; reading all links and addresses again");
    look_again();
  };
  netlink_ = net::Netlink::open(loop_, std::move(handlers), reason);
  if (netlink_ == nullptr) return false;
  packet_ = net::PacketSocket::open(reason);
  if (packet_ == nullptr || !links_.open(reason)) return false;
  targets_->open(packet_.get(), listener());
  reach_->open(packet_.get(), listener());
  conntrack_ = std::make_unique<net::Conntrack>(loop_, say);
  if (!conntrack_->is_there()) {
    log::info("this kernel has no ctnetlink: connections that NAT has led to a VIP stay tracked");
  }
  if (meet_leftovers(former)) return true;
  *reason = "the kernel would not list links and addresses";
  return false;
}

void Network::start() {
  assert(netlink_ != nullptr && !is_started_);
  is_started_ = true;
  links_.listen();
  for (const Address& address : addresses_.inherited()) {
    handlers_.feed(event::AddressFound{address});
  }
  look_again();
}

// The core has much to do in this turn.
void Network::reconfigured() {
  links_.listen();
  look_within(Duration());
}

const net::Link* Network::link_of(const VipConfig& vip) const {
  return links_.named(vip.link);
}

VipNetwork Network::in_words(const VipConfig& vip) const {
  return {.link = links_.shown(vip.link),
          .no_link = links_.auto_fault(vip.link),
          .route_fault = addresses_.route_fault(vip.address)};
}

// --- looking

// Many notices, one look at all links, in the next turn at the latest.
void Network::link_is_news() {
  if (!is_started_ || news_timer_ != Loop::Timer::None) return;
  news_timer_ = loop_.add_timer(loop_.now(), [this] {
    news_timer_ = Loop::Timer::None;
    handlers_.links_seen();
    links_.tell();
  });
}

bool Network::meet_leftovers(const Memory& former) {
  std::vector<net::Link> links;
  std::vector<net::AddressInfo> addresses;
  if (!netlink_->dump(&links, &addresses)) return false;
  links_.set(std::move(links));
  const net::AddressBook book(links_.all(), addresses);
  links_.find_auto(book, [this](bool is_v6) { return netlink_->default_link(is_v6); });
  if (addresses_.meet_leftovers(book, former, netlink_.get())) {
    strangers_until_ = loop_.now() + timing::kLongestLifetime;
  }
  return true;
}

bool Network::look() {
  std::vector<net::Link> links;
  std::vector<net::AddressInfo> addresses;
  if (!netlink_->dump(&links, &addresses)) return false;
  links_.set(std::move(links));
  auto lists =
      std::make_unique<Lists>(links_.all(), std::move(addresses),
                              [this](const Address& address) { return addresses_.is_up(address); });
  links_.find_auto(lists->book, [this](bool is_v6) { return netlink_->default_link(is_v6); });
  handlers_.links_seen();
  links_.tell();
  addresses_.compare(lists->book, netlink_.get());
  judge(std::move(lists));
  return true;
}

// What is under way goes on with newer lists.
void Network::judge(std::unique_ptr<Lists> lists) {
  lists_ = std::move(lists);
  if (judging_.is_busy()) return;
  const bool is_done =
      judging_.start([this] { return addresses_.judge_some(lists_->book, netlink_.get()); },
                     [this] { lists_.reset(); });
  if (is_done) lists_.reset();
}

// Under constant change no dump is whole; what is known stays in force until one is.
void Network::look_again() {
  loop_.cancel_timer(look_timer_);
  look_at_ = MonoTime::never();
  const bool is_whole = look();
  if (!is_whole) log::debug("the kernel's lists kept changing; looking again in a second");
  look_within(is_whole ? kPeriodicLook : kLookRetry);
}

// Many notices, one look.
void Network::look_within(Duration wait) {
  const MonoTime at = loop_.now() + wait;
  if (at >= look_at_) return;
  loop_.cancel_timer(look_timer_);
  look_at_ = at;
  look_timer_ = loop_.add_timer(at, [this] { look_again(); });
}

// --- the core's wishes

// The clock is read for the completion after the call, however long the kernel was held up.
void Network::perform(const action::AddAddress& a) {
  const Loop::Part part(loop_, "adding addresses");
  const VipConfig* vip = vips_.at(a.address);
  const net::Link* link = vip == nullptr ? nullptr : links_.named(vip->link);
  int error = ENODEV;
  if (link != nullptr) error = addresses_.add(*vip, link->index, a.lifetime_s, netlink_.get());
  if (error == ENODEV && vip != nullptr) links_.doubt(vip->link);
  handlers_.feed(
      event::AddressAdded{.address = a.address, .lifetime_s = a.lifetime_s, .error = error});
}

void Network::perform(const action::RemoveAddress& a,
                      const std::deque<action::RemoveAddress>& pending, MonoTime deadline) {
  const Loop::Part part(loop_, "removing addresses");
  reset_connections(a.address, pending, deadline);
  const int error = addresses_.remove(a.address, netlink_.get());
  reach_->forget(a.address);
  const VipConfig* vip = vips_.at(a.address);
  if (vip != nullptr && vip->kill_connections) conntrack_->forget(a.address);
  handlers_.feed(event::AddressRemoved{.address = a.address, .error = error});
}

void Network::when_idle(std::function<void()> handler) {
  conntrack_->when_idle(std::move(handler));
}

// Before the address goes, since resets leave only while it is there; and well before another node
// may have it.
void Network::reset_connections(const Address& first,
                                const std::deque<action::RemoveAddress>& pending,
                                MonoTime deadline) {
  if (seen_to_.erase(first) != 0) return;
  const Duration budget = std::min(kMostForResets, (deadline - loop_.now()) / 3);
  if (budget <= Duration()) return;
  std::vector<Address> locals;
  const auto consider = [&](const Address& address) {
    // Whether it has connections or not: each of thousands would look at all that follow.
    if (!seen_to_.insert(address).second) return;
    const VipConfig* vip = vips_.at(address);
    if (vip != nullptr && vip->kill_connections && addresses_.is_up(address)) {
      locals.push_back(address);
    }
  };
  consider(first);
  for (const action::RemoveAddress& next : pending) consider(next.address);
  seen_to_.erase(first);
  if (locals.empty()) return;
  const net::Killed killed = net::kill_connections(loop_, locals, budget);
  if (killed.error != 0) resets_failed(killed.error);
  if (killed.connections != 0) {
    log::info("%zu connections to %zu addresses reset%s", killed.connections, locals.size(),
              killed.is_complete ? "" : ", but not all in time");
  }
}

// Said once: the kernel stays the same.
void Network::resets_failed(int error) {
  if (error != EOPNOTSUPP) return log::debug("resetting connections: %s", strerror(error));
  if (std::exchange(cannot_reset_, true)) return;
  log::warn(
      "this kernel cannot reset connections (it has no INET_DIAG_DESTROY): when a VIP moves, its "
      "clients notice only when they next send something");
}

// A link that is no Ethernet (IPoIB, tun) stays so: said once for each.
void Network::announcement_failed(const VipConfig& vip, const net::Link& link, int error) {
  if (error != EAFNOSUPPORT || !mute_links_.insert(link.index).second) {
    return log::debug("vip %s: announcement on %s: %s", vip.name.c_str(), link.name.c_str(),
                      strerror(error));
  }
  log::warn(
      "vip %s: %s is not an Ethernet link, so nothing can be announced there: neighbours notice a "
      "move only when they resolve the address again",
      vip.name.c_str(), link.name.c_str());
}

// What waits for an answer may be an address that is about to be removed.
bool Network::may_speak_for(const Address& address) const {
  return has(address) && handlers_.has_authority();
}

bool Network::perform(const action::SendAnnouncement& a, const AnnounceConfig& config) {
  const VipConfig* vip = vips_.at(a.address);
  const net::Link* link = vip == nullptr ? nullptr : links_.named(vip->link);
  if (link == nullptr) return false;
  const net::Sender sender = {.link_index = link->index,
                              .mac = link->mac,
                              .is_router = a.address.is_v6() && net::forwards_ipv6(link->name)};
  const int error = packet_->announce(sender, a.address, config.form);
  if (error == 0) {
    targets_->announce(sender, a.address, config);
    reach_->announced(sender, a.address, vip->name, config.targets);
    return true;
  }
  announcement_failed(*vip, *link, error);
  return false;
}

void Network::perform(const action::SendProbe& a) {
  const VipConfig* vip = vips_.at(a.address);
  const net::Link* link = vip == nullptr ? nullptr : links_.named(vip->link);
  if (link == nullptr) return;
  (void)packet_->probe({.link_index = link->index, .mac = link->mac}, a.address);
}

}  // namespace vipd
