// Who grants in whose term (ARCHITECTURE.md, "The peer lease"): the other processes in ours, this
// one in those of others. Judges, never sends.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "vipd/types.hpp"

namespace vipd {

// The other processes that may grant: how quickly each answers, whether it may be asked again after
// it did not, and its hardware address on each link. By incarnation; 0 is none.
class Grantors {
 public:
  // It granted on that link, from that MAC address, `took` after it was asked.
  void granted(uint64_t incarnation, const std::string& link, MacAddress mac, Duration took,
               MonoTime now);
  // It was asked to grant a new term, and did not.
  void ignored(uint64_t incarnation, MonoTime now);

  // From a request to its grant, the longest in this minute and in the one before.
  [[nodiscard]] Duration delay(uint64_t incarnation) const;
  // When it may be asked to grant a new term.
  [[nodiscard]] MonoTime try_at(uint64_t incarnation) const;
  // Its MAC address on that link, which its last grant there came from; nullptr: not known.
  [[nodiscard]] const MacAddress* mac(uint64_t incarnation, const std::string& link) const;

  // Forgets all but these: no other process has a session.
  void keep_only(const std::set<uint64_t>& incarnations);

  // --- grants received, by the name of the node
  void count(const std::string& node);
  [[nodiscard]] const std::map<std::string, uint64_t>& counted() const { return counted_; }

 private:
  struct Peer {
    Duration worst;
    Duration worst_before;
    MonoTime minute = MonoTime::long_ago();
    Duration backoff;
    MonoTime try_at = MonoTime::long_ago();
    std::map<std::string, MacAddress> macs;
  };

  [[nodiscard]] const Peer* find(uint64_t incarnation) const;

  std::map<uint64_t, Peer> peers_;
  std::map<std::string, uint64_t> counted_;
};

// The grantor's side: the terms that list this process, since when nothing was granted in them, and
// those that have expired here.
class Promises {
 public:
  // A request to grant in that term. False: nothing is granted in it any more, since it has expired
  // or was stopped. [safety] `now` is read after the request was taken from its socket: what is
  // promised counts from then.
  [[nodiscard]] bool grant(uint64_t term, MonoTime now);

  // Our watch shows that term in force, with us in it. [safety] Its own timeout counts, whatever
  // ours is.
  void show(uint64_t term, Duration timeout, MonoTime now);
  // Forgets all but these: our watch shows no other term in force with us in it.
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
  // When its expiry is announced again; it was announced.
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
