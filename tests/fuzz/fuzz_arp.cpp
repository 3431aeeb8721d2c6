// A frame from the wire.
#include "fuzz/fuzz.hpp"
#include "net/arp.hpp"

using namespace vipd::net;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto packet = parse_arp({data, size});
  if (!packet) return 0;
  fuzz::require(size >= kArpFrameSize && packet->sender.is_v4() && packet->target.is_v4());
  const ArpFrame frame = gratuitous_request(packet->sender_mac, packet->sender);
  const auto again = parse_arp({frame.data(), frame.size()});
  fuzz::require(again && again->sender == packet->sender && again->target == packet->sender);
  return 0;
}
