#include "net/arp.hpp"

#include <algorithm>
#include <cassert>

namespace vipd::net {
namespace {

constexpr uint8_t kMacSize = 6;
constexpr uint8_t kIpv4Size = 4;

// Appends to a frame of fixed size, in network byte order.
class Writer {
 public:
  explicit Writer(ArpFrame* frame) : at_(frame->data()) {}
  void u8(uint8_t value) { *at_++ = value; }
  void u16(uint16_t value) {
    u8(static_cast<uint8_t>(value >> 8));
    u8(static_cast<uint8_t>(value & 0xff));
  }
  void mac(const MacAddress& mac) { at_ = std::copy(mac.bytes.begin(), mac.bytes.end(), at_); }
  void ipv4(const Address& address) { at_ = std::copy_n(address.data(), kIpv4Size, at_); }

 private:
  uint8_t* at_;
};

// Reads what the caller has checked to be there.
class Reader {
 public:
  explicit Reader(const uint8_t* at) : at_(at) {}
  uint8_t u8() { return *at_++; }
  uint16_t u16() {
    const uint16_t high = u8();
    return static_cast<uint16_t>(high << 8 | u8());
  }
  MacAddress mac() {
    MacAddress mac;
    std::copy_n(at_, kMacSize, mac.bytes.begin());
    at_ += kMacSize;
    return mac;
  }
  Address ipv4() {
    const uint32_t high = u16();
    return Address::v4(high << 16 | u16());
  }

 private:
  const uint8_t* at_;
};

struct Party {
  MacAddress mac;
  Address address;
};

ArpFrame frame_of(uint16_t operation, const Party& sender, const Party& target,
                  const MacAddress& to = kBroadcastMac) {
  assert(sender.address.is_v4() && target.address.is_v4());
  ArpFrame frame;
  Writer write(&frame);
  write.mac(to);
  write.mac(sender.mac);
  write.u16(rfc826::ether_type_ADDRESS_RESOLUTION);
  write.u16(rfc826::ares_hrd_Ethernet);
  write.u16(rfc826::ares_pro_IP);
  write.u8(kMacSize);
  write.u8(kIpv4Size);
  write.u16(operation);
  write.mac(sender.mac);
  write.ipv4(sender.address);
  write.mac(target.mac);
  write.ipv4(target.address);
  return frame;
}

}  // namespace

ArpFrame gratuitous_request(const MacAddress& mac, const Address& address, const MacAddress& to) {
  return frame_of(rfc826::ares_op_REQUEST, {mac, address}, {mac, address}, to);
}

ArpFrame gratuitous_reply(const MacAddress& mac, const Address& address, const MacAddress& to) {
  return frame_of(rfc826::ares_op_REPLY, {mac, address}, {mac, address}, to);
}

ArpFrame arp_probe(const MacAddress& mac, const Address& address) {
  return arp_question(mac, Address::v4(0), address);
}

ArpFrame arp_question(const MacAddress& mac, const Address& self, const Address& target) {
  return frame_of(rfc826::ares_op_REQUEST, {mac, self}, {{}, target});
}

std::optional<ArpPacket> parse_arp(std::span<const uint8_t> frame) {
  if (frame.size() < kArpFrameSize) return std::nullopt;
  Reader read(frame.data());
  ArpPacket packet;
  read.mac();  // destination: whoever received it knows
  packet.source = read.mac();
  if (read.u16() != rfc826::ether_type_ADDRESS_RESOLUTION) return std::nullopt;
  if (read.u16() != rfc826::ares_hrd_Ethernet) return std::nullopt;
  if (read.u16() != rfc826::ares_pro_IP) return std::nullopt;
  if (read.u8() != kMacSize || read.u8() != kIpv4Size) return std::nullopt;
  packet.operation = read.u16();
  if (packet.operation != rfc826::ares_op_REQUEST && packet.operation != rfc826::ares_op_REPLY) {
    return std::nullopt;
  }
  packet.sender_mac = read.mac();
  packet.sender = read.ipv4();
  packet.target_mac = read.mac();
  packet.target = read.ipv4();
  return packet;
}

}  // namespace vipd::net
