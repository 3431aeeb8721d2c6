// The other processes that may grant: how quickly each answers, whether it may be asked again after
// it did not, and its hardware address on each link. By incarnation; 0 is none. Never sends
// anything.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "vipd/types.hpp"

namespace vipd {

class Grantors {
 public:
  // It granted on that link, from that card, so long after it was asked.
  void granted(uint64_t incarnation, const std::string& link, MacAddress mac, Duration took,
               MonoTime now);
  // It was asked to grant a new term, and did not.
  void ignored(uint64_t incarnation, MonoTime now);

  // From a request to its grant, the longest in this minute and in the one before.
  [[nodiscard]] Duration delay(uint64_t incarnation) const;
  // When it may be asked to grant a new term.
  [[nodiscard]] MonoTime try_at(uint64_t incarnation) const;
  // Its card on that link, as its last grant there named it, or nullptr.
  [[nodiscard]] const MacAddress* mac(uint64_t incarnation, const std::string& link) const;

  // No other process has a session.
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

}  // namespace vipd
