// For a visitor that leaves some kinds of events or actions alone: it names them, so that one that
// is new, or was forgotten, does not compile.
#pragma once

#include <concepts>

namespace sim {

// What an overload for exactly these takes: `void act(Ignored<action::KeepLease>) {}`.
template <typename... Kinds>
struct Ignored {
  template <typename T>
  requires(std::same_as<T, Kinds> || ...) Ignored(const T&) {
  }  // NOLINT(google-explicit-constructor): it stands for them
};

}  // namespace sim
