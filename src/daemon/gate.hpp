// What keeps a VIP away from this node: a health check that is down, or something on this host that
// stands in its way. Puts both together as the one event that the core knows, AddressBlocked.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "vipd/config.hpp"
#include "vipd/core.hpp"
#include "vipd/loop.hpp"
#include "vipd/status.hpp"

namespace vipd::check {
class Checks;
struct Tools;
}  // namespace vipd::check

namespace vipd {

class Vips;

class Gate {
 public:
  struct Handlers {
    std::function<void(const Event&)> feed;
    // Every VIP's queue, and whether etcd answers: else they may be out of date.
    std::function<std::vector<VipView>()> queues;
    std::function<bool()> is_connected;
  };

  Gate(Loop& loop, const Vips& vips, Handlers handlers);
  ~Gate();
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  // Runs the checks from here on, and feeds what they say. REQUIRES: once.
  void start(const check::Tools& tools, const std::vector<CheckConfig>& checks);
  // What the network's links show may have changed.
  void links_seen();
  // No check is run any more.
  void stop();
  // New checks. What they say is fed by reconfigured(), which comes after the core was told of the
  // new configuration: it has forgotten a VIP that was not in the one before.
  void configure(const std::vector<CheckConfig>& checks);
  void reconfigured(const std::vector<VipConfig>& before);

  // What on this host stands in the way of the VIP; empty: nothing.
  void obstructed(const VipConfig& vip, const std::string& obstacle);
  // word: up, down, or auto (by its results again). False: there is no such check.
  [[nodiscard]] bool override_check(const std::string& name, const std::string& word);

  // Why the VIP is kept away, in words; empty: it is not.
  [[nodiscard]] std::string reason(const VipConfig& vip) const;
  // No node is in its queue, and a check keeps this one out.
  [[nodiscard]] bool has_no_candidate(const Address& vip) const;
  [[nodiscard]] CheckStatus check(const std::string& name) const;

 private:
  // What keeps an address away, as the core is told.
  struct Blocked {
    std::string reason;
    bool for_owner = false;
    int lowered = 0;  // the priority, by checks with a weight
    bool operator==(const Blocked&) const = default;
  };
  struct State {
    std::string obstacle;  // on this host
    Blocked told;
    bool has_no_candidate = false;
  };

  [[nodiscard]] Blocked blocked(const VipConfig& vip) const;
  void tell(const VipConfig& vip);
  void tell_all();
  void tell_some();
  void look_for_others();
  [[nodiscard]] bool look_for_candidates(const VipView& view);

  Loop& loop_;
  const Vips& vips_;
  Handlers handlers_;
  std::unique_ptr<check::Checks> checks_;
  std::map<Address, State> states_;  // of those that something has kept away at some time
  size_t left_ = 0;                  // VIPs of which may have to be told
  size_t place_ = 0;                 // the last that was looked at
  Loop::Timer rest_timer_ = Loop::Timer::None;
  Loop::Timer others_timer_ = Loop::Timer::None;
};

}  // namespace vipd
