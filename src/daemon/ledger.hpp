// What is counted, and what is kept of each VIP for people: nothing that the core needs to know.
#pragma once

#include <map>
#include <string>

#include "vipd/action.hpp"
#include "vipd/metrics.hpp"

namespace vipd {

class Ledger {
 public:
  struct OfVip {
    uint64_t transitions = 0;
    std::string since;            // as sys::wall_clock_text(); empty: since the start
    std::string last_change;      // why
    std::string transfer_failed;  // why the last one was given up
    VipCounts counts;
  };

  void take(const action::ReportState& change);
  void take(const action::Report& report);
  // The VIP was not configured before, or not recently.
  void added(const Address& vip);
  void announced(const Address& vip) { vips_[vip].counts.announcements++; }
  void reachable(const Address& vip, bool is) { vips_[vip].counts.reachable = is; }
  // A new transfer was asked for: forgets why the one before was given up.
  void transfer_asked(const Address& vip) { vips_[vip].transfer_failed.clear(); }

  // Zeros for a VIP of which nothing was counted.
  [[nodiscard]] const OfVip& of(const Address& vip) const;
  [[nodiscard]] const NodeCounts& node() const { return node_; }

 private:
  std::map<Address, OfVip> vips_;
  NodeCounts node_;
};

}  // namespace vipd
