// announce.targets: neighbours that get each announcement as a unicast frame, too. Their MAC
// addresses are asked for on the VIP's link, without waiting; one that does not answer is logged
// once. Part of the network.
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

class Targets {
 public:
  // has: whether the address is still ours, and may be spoken for.
  Targets(Loop& loop, std::function<bool(const Address&)> has)
      : loop_(loop), has_(std::move(has)) {}
  Targets(const Targets&) = delete;
  Targets& operator=(const Targets&) = delete;

  // REQUIRES: once, before announce().
  void open(net::PacketSocket* packet, net::ClaimListener* listener);
  // The VIP has just been announced to all on that link. REQUIRES: config.targets are addresses.
  void announce(const net::Sender& sender, const Address& vip, const AnnounceConfig& config);

 private:
  struct Target {
    net::Sender sender;
    MacAddress mac;  // as it last answered; all zero: not yet
    int asked = 0;   // without an answer
    MonoTime asked_at = MonoTime::long_ago();
    std::vector<Address> waiting;  // VIPs, for the MAC
  };
  using ByLink = std::map<std::pair<Address, int>, Target>;  // of an address, the link's number

  void take(const std::vector<std::string>& texts);
  void heard(const net::ClaimListener::Heard& heard);
  void ask(const Address& address, Target* target);
  void look_within(Duration wait);
  void look();
  void give_up(const Address& address, Target* target);

  Loop& loop_;
  std::function<bool(const Address&)> has_;
  net::PacketSocket* packet_ = nullptr;
  net::ClaimListener* listener_ = nullptr;
  AnnounceForm form_ = AnnounceForm::Both;
  std::vector<std::string> texts_;  // as configured
  std::vector<Address> addresses_;  // the same
  std::vector<net::ClaimListener::Id> ears_;
  ByLink targets_;
  std::set<Address> said_;
  Loop::Timer timer_ = Loop::Timer::None;
  MonoTime look_at_ = MonoTime::never();
};

}  // namespace vipd
