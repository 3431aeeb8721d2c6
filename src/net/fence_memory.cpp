#include "net/fence_memory.hpp"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cassert>
#include <cstring>

#include "net/fence_program.hpp"

namespace vipd::net {
namespace {

constexpr uint64_t kMappedIpv4 = 0xffff'0000'0000;  // ::ffff:0:0
constexpr size_t kFewestSlots = 64;

uint64_t big_endian(const uint8_t* bytes) {
  uint64_t value = 0;
  std::memcpy(&value, bytes, sizeof value);
  return be64toh(value);
}

FenceAddress numbers(const Address& address) {
  const uint8_t* const bytes = address.data();
  if (address.is_v6()) return {big_endian(bytes), big_endian(bytes + 8)};
  if (!address.is_v4()) return {};
  uint32_t value = 0;
  std::memcpy(&value, bytes, sizeof value);
  return {0, kMappedIpv4 | be32toh(value)};
}

Address address_of(const FenceAddress& numbers) {
  if (numbers.high == 0 && numbers.low >> 32 == kMappedIpv4 >> 32) {
    return Address::v4(static_cast<uint32_t>(numbers.low));
  }
  std::array<uint8_t, 16> bytes{};
  const uint64_t parts[2] = {htobe64(numbers.high), htobe64(numbers.low)};
  std::memcpy(bytes.data(), parts, sizeof parts);
  return Address::v6(bytes);
}

// The kernel sees each store whole, and in this order.
template <typename T>
void store(T& where, T value) {
  std::atomic_ref<T>(where).store(value, std::memory_order_seq_cst);
}

template <typename T>
T load(const T& where) {
  return std::atomic_ref<T>(const_cast<T&>(where)).load(std::memory_order_seq_cst);
}

}  // namespace

uint32_t FenceMemory::slots_for(size_t addresses) {
  return static_cast<uint32_t>(std::bit_ceil(std::max(4 * addresses, kFewestSlots)));
}

size_t FenceMemory::size_for(uint32_t slots) {
  // Slots behind the last starting point, where a search that begins there goes on.
  return kFenceAddressesAt + (slots + kFenceProbes - 1) * sizeof(FenceAddress);
}

FenceMemory FenceMemory::made(void* memory, uint32_t slots, uint32_t ingress_id,
                              uint32_t egress_id) {
  assert(std::has_single_bit(slots) && slots >= kFenceProbes);
  assert(memory != nullptr && reinterpret_cast<uintptr_t>(memory) % alignof(uint64_t) == 0);
  FenceMemory made;
  made.head_ = static_cast<FenceHead*>(memory);
  made.head_->slots = slots;
  made.head_->version = kFenceVersion;
  made.head_->programs[0] = ingress_id;
  made.head_->programs[1] = egress_id;
  return made;
}

FenceMemory FenceMemory::taken_over(void* memory) {
  FenceMemory taken;
  taken.head_ = static_cast<FenceHead*>(memory);
  assert(taken.head_->version == kFenceVersion && std::has_single_bit(taken.head_->slots));
  return taken;
}

void FenceMemory::set_deadline(MonoTime deadline, Duration suspended) {
  if (load(head_->suspended) != suspended.ns()) {
    close();
    store(head_->suspended, suspended.ns());
  }
  store(head_->deadline, deadline.ns());
}

void FenceMemory::close() {
  store(head_->deadline, int64_t{0});
}

MonoTime FenceMemory::deadline() const {
  return MonoTime::from_ns(load(head_->deadline));
}

FenceAddress* FenceMemory::slot(uint32_t number) const {
  auto* const bytes = reinterpret_cast<uint8_t*>(head_) + kFenceAddressesAt;
  return reinterpret_cast<FenceAddress*>(bytes) + number;
}

uint32_t FenceMemory::first_slot(const FenceAddress& address, uint32_t slots) {
  // As the program multiplies: by a 32-bit constant with its sign.
  constexpr auto kFactor = static_cast<uint64_t>(int64_t{kFenceHashFactor});
  const uint64_t once = (address.high * kFactor ^ address.low) * kFactor;
  const uint64_t twice = (once ^ once >> 32) * kFactor;
  return static_cast<uint32_t>(twice >> 32) & (slots - 1);
}

// The slot that has it, or nullptr. Looks at all of them: a slot that became free in between does
// not end the search, here as in the program.
FenceAddress* FenceMemory::find(const FenceAddress& address) const {
  const uint32_t first = first_slot(address, head_->slots);
  for (uint32_t i = 0; i < kFenceProbes; ++i) {
    if (*slot(first + i) == address) return slot(first + i);
  }
  return nullptr;
}

bool FenceMemory::protect(const Address& address) {
  const FenceAddress wanted = numbers(address);
  if (wanted == FenceAddress{}) return false;
  if (find(wanted) != nullptr) return true;
  const uint32_t first = first_slot(wanted, head_->slots);
  for (uint32_t i = 0; i < kFenceProbes; ++i) {
    FenceAddress& free = *slot(first + i);
    if (free != FenceAddress{}) continue;
    store(free.high, wanted.high);
    store(free.low, wanted.low);
    store(head_->address_count, head_->address_count + 1);
    return true;
  }
  return false;
}

void FenceMemory::unprotect(const Address& address) {
  const FenceAddress wanted = numbers(address);
  FenceAddress* const found = wanted == FenceAddress{} ? nullptr : find(wanted);
  if (found == nullptr) return;
  store(found->low, uint64_t{0});
  store(found->high, uint64_t{0});
  store(head_->address_count, head_->address_count - 1);
}

bool FenceMemory::is_protected(const Address& address) const {
  const FenceAddress wanted = numbers(address);
  return wanted != FenceAddress{} && find(wanted) != nullptr;
}

std::vector<Address> FenceMemory::addresses() const {
  std::vector<Address> found;
  for (uint32_t i = 0; i < head_->slots + kFenceProbes - 1; ++i) {
    if (*slot(i) != FenceAddress{}) found.push_back(address_of(*slot(i)));
  }
  return found;
}

FenceRequestGroup& FenceMemory::group(int link_index, uint64_t nonce) const {
  return head_->groups[(nonce + static_cast<uint32_t>(link_index)) % kFenceGroups];
}

void FenceMemory::expect(int link_index, uint64_t nonce) {
  assert(nonce != 0 && link_index > 0);
  FenceRequestGroup& requests = group(link_index, nonce);
  const auto link = static_cast<uint32_t>(link_index);
  auto* request = std::find_if(std::begin(requests), std::end(requests), [&](const auto& r) {
    return r.nonce == nonce && r.link_index == link;
  });
  if (request == std::end(requests)) {
    uint8_t& next = next_[static_cast<size_t>(&requests - head_->groups)];
    request = &requests[next];
    next = (next + 1) % kFenceGroupSize;
  }
  store(request->nonce, uint64_t{0});  // a frame of the one before may just be on its way
  store(request->link_index, link);
  store(request->has_left, uint8_t{0});
  store(request->is_granted, uint8_t{0});
  store(request->nonce, nonce);
}

FenceMemory::Sight FenceMemory::sight(int link_index, uint64_t nonce) const {
  for (const FenceRequest& request : group(link_index, nonce)) {
    if (request.nonce != nonce || request.link_index != static_cast<uint32_t>(link_index)) continue;
    const bool is_whole = load(request.has_left) != 0 && load(request.is_granted) != 0;
    return is_whole ? Sight::Whole : Sight::Missed;
  }
  return Sight::Unknown;
}

}  // namespace vipd::net
