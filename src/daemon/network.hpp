// The core's dealings with the kernel's network: addresses, announcements and probes as it wants
// them, and what links and addresses show as events. Notices only say when to look; each look reads
// the kernel's lists as a whole.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <string>

#include "daemon/addresses.hpp"
#include "daemon/links.hpp"
#include "vipd/action.hpp"
#include "vipd/config.hpp"
#include "vipd/in_turns.hpp"
#include "vipd/loop.hpp"

namespace vipd::net {
class Conntrack;
class PacketSocket;
}  // namespace vipd::net

namespace vipd {

class Reach;
class Targets;
struct VipNetwork;

class Network {
 public:
  struct Handlers {
    std::function<void(const Event&)> feed;
    // What on this host stands in the way of a VIP, after each look; empty: nothing.
    std::function<void(const VipConfig&, const std::string& obstacle)> obstacle;
    // What links() shows may have changed; before the core is told of a link.
    std::function<void()> links_seen;
    // Whether the addresses that are up may be spoken for.
    std::function<bool()> has_authority;
    // Whether the network lets an owner speak for its VIP, as far as that can be found out.
    std::function<void(const Address&, bool)> reachable;
  };

  Network(Loop& loop, const Vips& vips, Handlers handlers);
  ~Network();
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;

  // Opens the kernel's sockets and removes what a former process left behind, unless `former` has
  // a session that may still be taken up. False and a reason when the kernel refuses. Nothing is
  // fed before start(). REQUIRES: once, before all that follows; the loop makes no turn before
  // start().
  [[nodiscard]] bool open(const Memory& former, std::string* reason);
  // Feeds what was left behind, and what a first look shows.
  void start();
  // The configured VIPs have changed. reconfigured() follows once the core was told, and looks at
  // them in the next turn.
  void vips_changed() { links_.reconfigured(); }
  void reconfigured();
  // To be called at the start of each turn.
  void hear() { links_.hear(); }

  // Calls handler once the tracked connections to addresses that are gone are forgotten.
  void when_idle(std::function<void()> handler);

  // Performed inside the kernel call; the completion is fed before these return.
  void perform(const action::AddAddress& a);
  // Resets the connections of the address before, and those of the removals that are pending in the
  // same go, as far as there is time until the fencing deadline.
  void perform(const action::RemoveAddress& a, const std::deque<action::RemoveAddress>& pending,
               MonoTime deadline);
  // Whether it was sent.
  bool perform(const action::SendAnnouncement& a, const AnnounceConfig& config);
  void perform(const action::SendProbe& a);

  [[nodiscard]] const Links& links() const { return links_; }
  [[nodiscard]] const std::vector<Address>& inherited() const { return addresses_.inherited(); }
  // Until when an address that another vipd process left on a link may be there: the end of the
  // longest lifetime.
  [[nodiscard]] MonoTime strangers_until() const { return strangers_until_; }
  [[nodiscard]] bool has(const Address& address) const { return addresses_.is_up(address); }
  [[nodiscard]] bool owns_anything() const { return addresses_.any_is_up(); }
  [[nodiscard]] VipNetwork in_words(const VipConfig& vip) const;
  // For checks: the link of a VIP, nullptr while it is not there; and what frames leave
  // by and come by.
  [[nodiscard]] const net::Link* link_of(const VipConfig& vip) const;
  [[nodiscard]] net::PacketSocket* packet() const { return packet_.get(); }
  [[nodiscard]] net::ClaimListener* listener() const { return links_.listener(); }

 private:
  struct Lists;

  [[nodiscard]] bool may_speak_for(const Address& address) const;
  // False when the kernel would not say.
  [[nodiscard]] bool meet_leftovers(const Memory& former);
  [[nodiscard]] bool look();
  void judge(std::unique_ptr<Lists> lists);
  void look_again();
  void look_within(Duration wait);
  void link_is_news();
  void resets_failed(int error);
  void announcement_failed(const VipConfig& vip, const net::Link& link, int error);
  void reset_connections(const Address& first, const std::deque<action::RemoveAddress>& pending,
                         MonoTime deadline);

  Loop& loop_;
  const Vips& vips_;
  Handlers handlers_;
  std::unique_ptr<net::Netlink> netlink_;
  std::unique_ptr<net::PacketSocket> packet_;
  Links links_;
  Addresses addresses_;
  std::unique_ptr<net::Conntrack> conntrack_;
  std::unique_ptr<Targets> targets_;
  std::unique_ptr<Reach> reach_;
  bool is_started_ = false;
  MonoTime strangers_until_ = MonoTime::long_ago();
  Loop::Timer news_timer_ = Loop::Timer::None;
  Loop::Timer look_timer_ = Loop::Timer::None;
  MonoTime look_at_ = MonoTime::never();
  std::unique_ptr<Lists> lists_;  // as long as VIPs are judged by them
  InTurns judging_;
  bool cannot_reset_ = false;
  std::set<int> mute_links_;
  std::set<Address> seen_to_;  // their connections; they are about to be removed
};

}  // namespace vipd
