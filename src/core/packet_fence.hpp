// What the adapter says of the packet fence, and what it was told last. Never tells it anything.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "vipd/types.hpp"

namespace vipd {

class PacketFence {
 public:
  // It is in force on all links, or not, and why. What it was told before is void: it may be
  // another one.
  void changed(bool in_force, std::string reason) {
    known_ = true;
    in_force_ = in_force;
    reason_ = std::move(reason);
    told_.reset();
    // What counts from now on was seen by the new one.
    if (in_force) missed_a_grant_ = false;
  }
  // There is some fence, which may be there on one link and not on another.
  [[nodiscard]] bool known() const { return known_; }
  [[nodiscard]] bool in_force() const { return in_force_; }
  [[nodiscard]] const std::string& reason() const { return reason_; }  // why it is not

  // The deadline that SetFence is to say; false: it was told so already.
  [[nodiscard]] bool tell(MonoTime deadline) {
    return std::exchange(told_, deadline) != std::optional(deadline);
  }
  [[nodiscard]] bool says(MonoTime deadline) const { return told_ == deadline; }
  [[nodiscard]] bool is_told() const { return told_.has_value(); }
  // It has closed by itself.
  void closed() { told_.reset(); }

  // [safety] A grant came that it did not see: somebody has removed it, or stands before it.
  void missed_a_grant(bool is) { missed_a_grant_ = is; }
  [[nodiscard]] bool missed_a_grant() const { return missed_a_grant_; }

 private:
  bool known_ = false;
  bool in_force_ = false;
  std::string reason_ = "the packet fence is not in force yet";
  std::optional<MonoTime> told_;
  bool missed_a_grant_ = false;
};

}  // namespace vipd
