// The grantor's side of the peer lease (ARCHITECTURE.md, "The peer lease"): the terms that list
// this process, since when nothing was granted in them, and those that have expired here. Judges,
// never sends.
#pragma once

#include <cstdint>
#include <map>
#include <set>

#include "vipd/types.hpp"

namespace vipd {

class Promises {
 public:
  // A request to grant in that term. False: it expired here or was stopped, and never is. [safety]
  // `now` is read after the request was taken from its socket: what is promised counts from then.
  [[nodiscard]] bool grant(uint64_t term, MonoTime now);

  // Our watch shows that term in force, with us in it. [safety] Its own timeout counts, whatever
  // ours is.
  void show(uint64_t term, Duration timeout, MonoTime now);
  // No other term is in force with us in it, as our watch shows it.
  void keep_only(const std::set<uint64_t>& shown);
  // [safety] What was counted so far may have been counted wrongly: all waits begin anew.
  void restart(MonoTime now);

  // The moment from which on it may expire: nothing was granted in it for so long that whatever was
  // granted has run out. REQUIRES: it is shown.
  [[nodiscard]] MonoTime silent_at(uint64_t term) const;
  // [safety] Nothing is granted in it from now on, for the life of the process; it expires once
  // what was granted has run out.
  void stop(uint64_t term) { stopped_.insert(term); }
  [[nodiscard]] bool stopped(uint64_t term) const { return stopped_.contains(term); }
  // [safety] Final, for the life of the process.
  void expire(uint64_t term, MonoTime now);
  [[nodiscard]] bool expired(uint64_t term) const { return expired_.contains(term); }
  // When the owner's others are told so again.
  [[nodiscard]] MonoTime say_at(uint64_t term) const;
  void said(uint64_t term, MonoTime again);

 private:
  struct Shown {
    // [safety] The latest grant, or when our watch showed it, whichever is later.
    MonoTime since;
    Duration timeout;
  };

  std::map<uint64_t, Shown> shown_;
  std::set<uint64_t> stopped_;
  std::set<uint64_t> expired_;
  std::map<uint64_t, MonoTime> say_at_;
};

}  // namespace vipd
