// Whether the network lets an owner speak for its VIP: ports and hypervisors may drop frames of
// addresses that they do not know, without notice. So a neighbour is asked with the VIP as sender,
// and if it is silent, with this host's own address. Only reports the result. Part of the network.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "net/claims.hpp"
#include "net/packet.hpp"
#include "vipd/config.hpp"
#include "vipd/loop.hpp"

namespace vipd {

class Reach {
 public:
  struct Handlers {
    std::function<bool(const Address&)> has;  // ours, and may be spoken for
    std::function<bool(const Address&)> is_vip;
    // What was found; not called for what cannot be found out.
    std::function<void(const Address&, bool reachable)> found;
  };

  Reach(Loop& loop, Handlers handlers) : loop_(loop), handlers_(std::move(handlers)) {}
  Reach(const Reach&) = delete;
  Reach& operator=(const Reach&) = delete;

  // REQUIRES: once, before announced().
  void open(net::PacketSocket* packet, net::ClaimListener* listener);
  // Tests after an announcement, once a minute at most: the request announces the VIP just as well.
  // `targets`: whom to ask where the link has no gateway; addresses.
  void announced(const net::Sender& sender, const Address& vip, const std::string& name,
                 const std::vector<std::string>& targets);
  // The VIP is no longer ours: what is under way for it ends.
  void forget(const Address& vip);

 private:
  struct Look {
    std::string name;
    net::Sender sender;
    Address neighbour;
    Address self;    // this host's own, or unset
    int rounds = 0;  // 0: not under way
    int others = 0;  // answers to this host
    bool is_heard = false;
    bool is_silent = false;  // said
    MonoTime next = MonoTime::long_ago();
  };

  [[nodiscard]] bool choose(Look* look, const Address& vip,
                            const std::vector<std::string>& targets) const;
  [[nodiscard]] bool may_look();
  void ask(const Address& vip, Look* look);
  void heard(const net::ClaimListener::Heard& heard);
  void go_on();
  void judge(const Address& vip, Look* look);

  Loop& loop_;
  Handlers handlers_;
  net::PacketSocket* packet_ = nullptr;
  net::ClaimListener* listener_ = nullptr;
  std::map<Address, Look> looks_;                   // by the VIP
  std::set<Address> under_way_;                     // VIPs
  std::map<Address, net::ClaimListener::Id> ears_;  // by the neighbour
  Loop::Timer timer_ = Loop::Timer::None;
  MonoTime second_ = MonoTime::long_ago();
  int left_ = 0;  // looks in this second
};

}  // namespace vipd
