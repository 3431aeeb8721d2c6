// The vocabulary of every module: time, addresses, leases, revisions.
// Never does I/O, never reads a clock, never allocates more than the text it returns.
#pragma once

#include <endian.h>

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

namespace vipd {

// A span of time. Made only by the functions that name a unit, so that a bare number never
// becomes a time by accident. Range: +-292 years.
class Duration {
 public:
  constexpr Duration() = default;

  static constexpr Duration nanoseconds(int64_t n) { return Duration(n); }
  static constexpr Duration microseconds(int64_t n) { return Duration(n * 1'000); }
  static constexpr Duration milliseconds(int64_t n) { return Duration(n * 1'000'000); }
  static constexpr Duration seconds(int64_t n) { return Duration(n * 1'000'000'000); }

  [[nodiscard]] constexpr int64_t ns() const { return ns_; }
  [[nodiscard]] constexpr int64_t ms() const { return ns_ / 1'000'000; }

  constexpr auto operator<=>(const Duration&) const = default;
  constexpr Duration operator-() const { return Duration(-ns_); }
  constexpr Duration operator+(Duration o) const { return Duration(ns_ + o.ns_); }
  constexpr Duration operator-(Duration o) const { return Duration(ns_ - o.ns_); }
  constexpr Duration operator*(int64_t k) const { return Duration(ns_ * k); }
  constexpr Duration operator/(int64_t k) const { return Duration(ns_ / k); }
  constexpr int64_t operator/(Duration o) const { return ns_ / o.ns_; }

 private:
  explicit constexpr Duration(int64_t ns) : ns_(ns) {}
  int64_t ns_ = 0;
};

// For people: "4.9 s". Never below zero.
std::string in_seconds(Duration d);

// An instant of CLOCK_BOOTTIME on this host. Instants of two hosts cannot be compared.
class MonoTime {
 public:
  constexpr MonoTime() = default;

  static constexpr MonoTime from_ns(int64_t ns) { return MonoTime(ns); }
  // Later than every instant that a clock can show: a deadline that is not set.
  static constexpr MonoTime never() { return MonoTime(std::numeric_limits<int64_t>::max()); }
  // Earlier than every instant: what was never seen.
  static constexpr MonoTime long_ago() { return MonoTime(std::numeric_limits<int64_t>::min() / 4); }

  [[nodiscard]] constexpr int64_t ns() const { return ns_; }
  [[nodiscard]] constexpr bool is_never() const { return *this == never(); }

  constexpr auto operator<=>(const MonoTime&) const = default;
  constexpr MonoTime operator+(Duration d) const { return MonoTime(ns_ + d.ns()); }
  constexpr MonoTime operator-(Duration d) const { return MonoTime(ns_ - d.ns()); }
  constexpr Duration operator-(MonoTime o) const { return Duration::nanoseconds(ns_ - o.ns_); }

 private:
  explicit constexpr MonoTime(int64_t ns) : ns_(ns) {}
  int64_t ns_ = 0;
};

// An IPv4 or IPv6 address in network byte order. Its text is canonical (RFC 5952 for IPv6), so
// that nodes that write an address differently still mean one VIP.
class Address {
 public:
  constexpr Address() = default;

  static Address v4(uint32_t host_order);
  static Address v6(const std::array<uint8_t, 16>& bytes);
  // Accepts what inet_pton(3) accepts, and nothing else.
  static std::optional<Address> parse(std::string_view text);

  [[nodiscard]] bool is_v4() const { return length_ == 4; }
  [[nodiscard]] bool is_v6() const { return length_ == 16; }
  [[nodiscard]] const uint8_t* data() const { return bytes_.data(); }
  [[nodiscard]] size_t size() const { return length_; }  // bytes: 4, 16, or 0 when unset
  [[nodiscard]] std::string text() const;

  // By their bytes, in two steps: these are most of what a look at thousands of VIPs does.
  bool operator==(const Address& other) const {
    return half(0) == other.half(0) && half(8) == other.half(8) && length_ == other.length_;
  }
  std::strong_ordering operator<=>(const Address& other) const {
    if (length_ != other.length_) return length_ <=> other.length_;
    const uint64_t high = half(0);
    const uint64_t its_high = other.half(0);
    return high != its_high ? high <=> its_high : half(8) <=> other.half(8);
  }

  struct Hash {
    size_t operator()(const Address& address) const {
      const uint64_t mixed =
          (address.half(0) ^ address.half(8) * 0x9e3779b97f4a7c15ull) * 0xbf58476d1ce4e5b9ull;
      return static_cast<size_t>(mixed ^ mixed >> 32);
    }
  };

 private:
  [[nodiscard]] uint64_t half(size_t from) const {
    uint64_t bytes = 0;
    std::memcpy(&bytes, bytes_.data() + from, sizeof bytes);
    return be64toh(bytes);
  }

  uint8_t length_ = 0;
  std::array<uint8_t, 16> bytes_{};
};

struct MacAddress {
  std::array<uint8_t, 6> bytes{};
  auto operator<=>(const MacAddress&) const = default;
  [[nodiscard]] std::string text() const;  // lower case, colons
};

// An etcd lease. 0 means none. Negative values never come from etcd (rpc.proto, LeaseGrantRequest).
enum class LeaseId : int64_t { None = 0 };

// Lower-case hexadecimal without padding: the form of etcd's election keys
// (concurrency/election.go).
std::string lease_hex(LeaseId lease);

// An etcd cluster's id as etcd's own tools write it: "cdf818194e3a8c32".
std::string cluster_hex(uint64_t cluster_id);
// None for what is not such a text, and for zero.
std::optional<uint64_t> cluster_from_hex(std::string_view text);

// An etcd revision (mvcc); 0 means none. Positive and strictly increasing within one cluster.
using Revision = int64_t;

}  // namespace vipd
