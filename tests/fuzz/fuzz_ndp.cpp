// A frame from the wire; once as it is, and once with the checksum put right, behind which a fuzzer
// would hardly ever get.
#include <vector>

#include "fuzz/fuzz.hpp"
#include "net/ndp.hpp"

using namespace vipd::net;

namespace {

constexpr size_t kLengthAt = 18;
constexpr size_t kAddressesAt = 22;
constexpr size_t kIcmpAt = 54;
constexpr size_t kChecksumAt = 56;

void try_frame(std::span<const uint8_t> frame) {
  const auto heard = parse_advertisement(frame);
  if (!heard) return;
  fuzz::require(frame.size() >= kSolicitationSize && heard->target.is_v6());
  const auto own = unsolicited_advertisement(heard->source, heard->target, false);
  const auto again = parse_advertisement(own);
  fuzz::require(again && again->target == heard->target && again->source == heard->source);
}

// RFC 4443, 2.3.
void put_checksum_right(std::vector<uint8_t>* frame) {
  const size_t length = static_cast<size_t>((*frame)[kLengthAt] << 8 | (*frame)[kLengthAt + 1]);
  if (length < 24 || length > frame->size() - kIcmpAt) return;
  (*frame)[kChecksumAt] = (*frame)[kChecksumAt + 1] = 0;
  size_t sum = length + 58;
  for (size_t at = kAddressesAt; at < kIcmpAt + length; at++) {
    sum += static_cast<size_t>((*frame)[at]) << (at % 2 == 0 ? 8 : 0);
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  (*frame)[kChecksumAt] = static_cast<uint8_t>(~sum >> 8);
  (*frame)[kChecksumAt + 1] = static_cast<uint8_t>(~sum);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try_frame({data, size});
  if (size < kSolicitationSize) return 0;
  std::vector<uint8_t> frame(data, data + size);
  put_checksum_right(&frame);
  try_frame(frame);
  return 0;
}
