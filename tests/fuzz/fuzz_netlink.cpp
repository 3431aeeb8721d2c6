// A datagram as rtnetlink would send it.
#include <cstring>
#include <vector>

#include "fuzz/fuzz.hpp"
#include "net/rtnl_parse.hpp"

using namespace vipd::net;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr uint32_t kOwnPort = 4711;
  const std::vector<uint8_t> aligned(data, data + size);  // operator new aligns to 16 bytes
  for_each_message(aligned.data(), size, kOwnPort, [](const RtnlMessage& message) {
    const bool address = message.kind == RtnlMessage::Kind::AddressAdded ||
                         message.kind == RtnlMessage::Kind::AddressRemoved;
    fuzz::require(!address ||
                  (message.address.link_index > 0 &&
                   message.address.prefix_length <= 8 * message.address.address.size()));
    fuzz::require(message.error >= 0);
  });
  return 0;
}
