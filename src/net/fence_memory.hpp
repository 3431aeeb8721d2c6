// What the daemon and the packet fence's program in the kernel share: an array map of one element,
// mapped into our memory. Pure: works on any zeroed, aligned memory of that size, which is how it
// is tested. Only we write, but for the two marks of a request. The processor's byte order holds
// throughout: both sides run on the same one, and the program reads packets by loads that turn them
// into it (fence_program.hpp).
//
// Source: Documentation/bpf/map_array.rst.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "vipd/types.hpp"

namespace vipd::net {

// Addresses as two numbers, IPv4 as ::ffff:a.b.c.d; all zero: a free slot.
struct FenceAddress {
  uint64_t high = 0;
  uint64_t low = 0;
  bool operator==(const FenceAddress&) const = default;
};

// A request for a grant, by which the program proves that it sees what comes and goes on a link.
struct FenceRequest {
  uint64_t nonce = 0;  // 0: free
  uint32_t link_index = 0;
  uint8_t has_left = 0;    // the program saw a Renew with this nonce leave
  uint8_t is_granted = 0;  // and a Grant arrive
  uint16_t unused = 0;
};

constexpr uint32_t kFenceVersion = 1;  // of this layout and of the program; handed over by SIGUSR2
constexpr uint32_t kFenceProbes = 32;  // slots that an address may be in, one after the other
// A request is in the group that its nonce and its link choose: so the program looks at four.
constexpr uint32_t kFenceGroupSize = 4;
constexpr uint32_t kFenceGroups = 64;
using FenceRequestGroup = FenceRequest[kFenceGroupSize];

struct FenceHead {
  // CLOCK_BOOTTIME in nanoseconds; from it on the fence is closed.
  int64_t deadline;
  // CLOCK_BOOTTIME less CLOCK_MONOTONIC, when that deadline was reckoned: it grows by a suspension.
  int64_t suspended;
  uint32_t address_count;  // 0: the program has nothing to look for
  uint32_t version;
  uint32_t slots;        // at which a search may begin, a power of two
  uint32_t programs[2];  // their ids in the kernel: ingress, egress
  uint32_t unused[7];
  FenceRequestGroup groups[kFenceGroups];
};

constexpr size_t kFenceAddressesAt = sizeof(FenceHead);
static_assert(sizeof(FenceAddress) == 16 && sizeof(FenceRequest) == 16);
static_assert(offsetof(FenceHead, groups) == 64 && kFenceAddressesAt % 16 == 0);

// By how much the suspended time may be off before a suspension is suspected.
constexpr int64_t kFenceSuspendTolerance_ns = 10'000'000;

class FenceMemory {
 public:
  // Slots for that many addresses: four each, so that of 16,384 addresses none finds its 32 slots
  // taken. A power of two.
  [[nodiscard]] static uint32_t slots_for(size_t addresses);
  [[nodiscard]] static size_t size_for(uint32_t slots);  // bytes

  FenceMemory() = default;
  // Zeroed memory becomes a fence that is closed, without an address.
  // REQUIRES: size_for(slots) bytes, aligned to 8; slots is a power of two.
  static FenceMemory made(void* memory, uint32_t slots, uint32_t ingress_id, uint32_t egress_id);
  // What a former program had. REQUIRES: the memory is as large as it says.
  static FenceMemory taken_over(void* memory);

  // Closed from `deadline` on (MonoTime::never(): open), and while the host's suspended time
  // (Loop::suspended()) differs from `suspended` by more than 10 ms. Both must come from the same
  // reading of the clocks as the authority behind them: that is what makes a suspension void it.
  //
  // [safety] One aligned store, which neither blocks nor fails, where `suspended` has not changed;
  // otherwise closed first, then changed, then opened. On a processor of 32 bits the kernel may
  // read the two halves of a deadline from before and after the store; a deadline that has passed
  // must therefore not be stored over another one: use close().
  void set_deadline(MonoTime deadline, Duration suspended);
  void close();
  [[nodiscard]] MonoTime deadline() const;

  // Before an address is added; false when its slots are taken (with slots_for() as many addresses:
  // practically never) or for an unset address. Harmless for one that is there.
  [[nodiscard]] bool protect(const Address& address);
  // After its removal was acknowledged. Harmless for one that is not there.
  void unprotect(const Address& address);
  [[nodiscard]] bool is_protected(const Address& address) const;
  [[nodiscard]] std::vector<Address> addresses() const;  // in no order

  // Before a Renew with this nonce is sent on that link. There is room for 256 requests, 4 in a
  // group; the oldest of a group makes way. Twice the same pair is one request, begun anew.
  // REQUIRES: nonce != 0, random (ones that count up would do as well).
  void expect(int link_index, uint64_t nonce);
  enum class Sight : uint8_t {
    Unknown,  // no such request, or forgotten: the grant is to be dropped like one never asked for
    Missed,   // the program did not see the request leave, or the grant arrive: it is bypassed
    Whole,    // it saw both
  };
  // When a Grant with this nonce was taken from the socket, on that link.
  [[nodiscard]] Sight sight(int link_index, uint64_t nonce) const;

  [[nodiscard]] const FenceHead& head() const { return *head_; }

  // Where the search for an address begins; also for the test of the program.
  [[nodiscard]] static uint32_t first_slot(const FenceAddress& address, uint32_t slots);

 private:
  [[nodiscard]] FenceAddress* slot(uint32_t number) const;
  [[nodiscard]] FenceRequestGroup& group(int link_index, uint64_t nonce) const;
  [[nodiscard]] FenceAddress* find(const FenceAddress& address) const;

  FenceHead* head_ = nullptr;
  std::array<uint8_t, kFenceGroups> next_{};  // of each group: the oldest
};

}  // namespace vipd::net
