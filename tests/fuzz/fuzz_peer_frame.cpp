// A frame from the wire.
#include <algorithm>

#include "fuzz/fuzz.hpp"
#include "net/peer_frame.hpp"

using namespace vipd;
using namespace vipd::net;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // The tag that the frame has, where it has one: else nothing would get past it.
  uint64_t tag = 0;
  for (size_t i = 16; size == kPeerFrameSize && i < 24; ++i) tag = tag << 8 | data[i];
  const PeerReading read = decode_peer_frame({data, size}, tag);
  fuzz::require(!name_of(read.fault).empty());
  if (!read.is_good()) return 0;
  MacAddress to;
  std::copy_n(data, to.bytes.size(), to.bytes.begin());
  const PeerFrameBytes again = encode_peer_frame(read.frame, tag, read.source, to);
  fuzz::require(std::equal(again.begin(), again.end(), data, data + size));
  fuzz::require(!decode_peer_frame({data, size}, tag + 1).is_good());
  return 0;
}
