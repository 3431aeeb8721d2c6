// Calls that are made by the loop and not from inside the call that asked for them. What waits goes
// with it.
#pragma once

#include <functional>
#include <utility>
#include <vector>

#include "vipd/loop.hpp"

namespace vipd::etcd {

class Deferred {
 public:
  explicit Deferred(Loop& loop) : loop_(loop) {}
  ~Deferred() { loop_.cancel_timer(timer_); }
  Deferred(const Deferred&) = delete;
  Deferred& operator=(const Deferred&) = delete;

  // They are made in this order.
  void add(std::function<void()> call) {
    calls_.push_back(std::move(call));
    if (timer_ != Loop::Timer::None) return;
    timer_ = loop_.add_timer(loop_.now(), [this] {
      timer_ = Loop::Timer::None;
      for (const auto& each : std::exchange(calls_, {})) each();
    });
  }

 private:
  Loop& loop_;
  std::vector<std::function<void()>> calls_;
  Loop::Timer timer_ = Loop::Timer::None;
};

}  // namespace vipd::etcd
