// The questions that the witness puts to a host, and what its kernel answers: ARP and ICMP echo, or
// neighbour solicitation and ICMPv6 echo. Frames to bytes and back; sends nothing.
//
// They come from IP and MAC addresses that nobody else uses, and the bridge drops the answers
// (lab.py): no client learns from them where an address is.
#pragma once

#include <net/ethernet.h>
#include <net/if_arp.h>
#include <netinet/icmp6.h>
#include <netinet/if_ether.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/ip_icmp.h>

#include <optional>
#include <span>

#include "witness_common.hpp"

namespace witness {

// Rounds that are told apart: each asks from one of so many senders, and the answer names it.
constexpr uint32_t kSenders = 8;
constexpr uint8_t kFirstSender = 240;
constexpr Ip kSender4{AF_INET, {10, 77, 0, kFirstSender}};
constexpr Ip kSender6{AF_INET6, {0xfd, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, kFirstSender}};

using Mac = std::array<uint8_t, ETH_ALEN>;

// From which the host of that number is asked, and where its answers go.
constexpr Mac asking_mac(size_t host) {
  return {0x02, 0xfe, 0, 0, 0, static_cast<uint8_t>(host + 1)};
}

enum class Kind : uint8_t { Neighbour, Echo };
inline const char* name_of(Kind kind, int family) {
  const bool v4 = family == AF_INET;
  return kind == Kind::Echo ? (v4 ? "icmp" : "icmp6") : (v4 ? "arp" : "nd");
}

struct Question {
  Kind kind = Kind::Neighbour;
  Ip target;
  uint32_t round = 0;
  size_t host = 0;  // who is asked
};

struct Answer {
  Kind kind = Kind::Neighbour;
  Ip target;
  uint16_t round = 0;  // of an echo: its low 16 bits; else: modulo kSenders
};

// A frame that is put together part by part.
class Frame {
 public:
  template <typename Part>
  void add(const Part& part) {
    memcpy(bytes_.data() + length_, &part, sizeof part);
    length_ += sizeof part;
  }
  [[nodiscard]] std::span<const uint8_t> bytes() const { return {bytes_.data(), length_}; }

 private:
  std::array<uint8_t, 128> bytes_{};
  size_t length_ = 0;
};

template <typename Part>
std::span<const uint8_t> bytes_of(const Part& part) {
  return {reinterpret_cast<const uint8_t*>(&part), sizeof part};
}

// RFC 1071. REQUIRES: an even number of bytes.
inline uint32_t add_words(std::span<const uint8_t> bytes, uint32_t sum) {
  for (size_t i = 0; i + 1 < bytes.size(); i += 2) sum += bytes[i] << 8 | bytes[i + 1];
  return sum;
}
inline uint16_t fold(uint32_t sum) {
  while (sum >> 16 != 0) sum = (sum >> 16) + (sum & 0xffff);
  return htons(static_cast<uint16_t>(~sum));
}

inline Ip sender_of(const Question& question) {
  Ip ip = question.target.family == AF_INET ? kSender4 : kSender6;
  ip.bytes[ip.size() - 1] = static_cast<uint8_t>(kFirstSender + question.round % kSenders);
  return ip;
}

inline ether_header ethernet(const Question& question, const Mac& to, uint16_t type) {
  ether_header header{};
  memcpy(header.ether_dhost, to.data(), ETH_ALEN);
  memcpy(header.ether_shost, asking_mac(question.host).data(), ETH_ALEN);
  header.ether_type = htons(type);
  return header;
}

inline ether_arp arp_request(const Question& question) {
  ether_arp arp{};
  arp.ea_hdr = {htons(ARPHRD_ETHER), htons(ETHERTYPE_IP), ETH_ALEN, 4, htons(ARPOP_REQUEST)};
  memcpy(arp.arp_sha, asking_mac(question.host).data(), ETH_ALEN);
  memcpy(arp.arp_spa, sender_of(question).bytes.data(), sizeof arp.arp_spa);
  memcpy(arp.arp_tpa, question.target.bytes.data(), sizeof arp.arp_tpa);
  return arp;
}

// ICMPv6 lays its echo out the same way. The id is the host that is asked; another one may be
// handed the question, where hosts forward. The number is the round: an answer may wait for seconds
// until its host knows where to send it.
inline icmphdr echo_request(const Question& question, uint8_t type) {
  icmphdr echo{};
  echo.type = type;
  echo.un.echo.id = htons(static_cast<uint16_t>(question.host));
  echo.un.echo.sequence = htons(static_cast<uint16_t>(question.round));
  return echo;
}

struct Solicitation {
  nd_neighbor_solicit body{};
  nd_opt_hdr option{ND_OPT_SOURCE_LINKADDR, 1};
  Mac mac{};
};

inline Solicitation solicitation(const Question& question) {
  Solicitation message;
  message.body.nd_ns_type = ND_NEIGHBOR_SOLICIT;
  memcpy(&message.body.nd_ns_target, question.target.bytes.data(), question.target.size());
  message.mac = asking_mac(question.host);
  return message;
}

inline void add_icmp(Frame* frame, const Question& question) {
  icmphdr message = echo_request(question, ICMP_ECHO);
  message.checksum = fold(add_words(bytes_of(message), 0));
  iphdr ip{};
  ip.version = 4;
  ip.ihl = 5;
  ip.tot_len = htons(sizeof ip + sizeof message);
  ip.ttl = 64;
  ip.protocol = IPPROTO_ICMP;
  memcpy(&ip.saddr, sender_of(question).bytes.data(), sizeof ip.saddr);
  memcpy(&ip.daddr, question.target.bytes.data(), sizeof ip.daddr);
  ip.check = fold(add_words(bytes_of(ip), 0));
  frame->add(ip);
  frame->add(message);
}

// RFC 8200, 8.1: the checksum counts addresses, length and next header as well.
template <typename Message>
void add_icmp6(Frame* frame, const Question& question, Message message) {
  const Ip from = sender_of(question);
  uint32_t sum = add_words(bytes_of(message), sizeof message + IPPROTO_ICMPV6);
  sum = add_words(from.bytes, add_words(question.target.bytes, sum));
  const uint16_t checksum = fold(sum);
  memcpy(reinterpret_cast<uint8_t*>(&message) + 2, &checksum, sizeof checksum);
  ip6_hdr ip{};
  ip.ip6_flow = htonl(6U << 28);
  ip.ip6_plen = htons(sizeof message);
  ip.ip6_nxt = IPPROTO_ICMPV6;
  ip.ip6_hlim = 255;
  memcpy(&ip.ip6_src, from.bytes.data(), from.size());
  memcpy(&ip.ip6_dst, question.target.bytes.data(), question.target.size());
  frame->add(ip);
  frame->add(message);
}

inline Frame encode(const Question& question, const Mac& to) {
  Frame frame;
  const bool echo = question.kind == Kind::Echo;
  if (question.target.family == AF_INET6) {
    frame.add(ethernet(question, to, ETHERTYPE_IPV6));
    echo ? add_icmp6(&frame, question, echo_request(question, ICMP6_ECHO_REQUEST))
         : add_icmp6(&frame, question, solicitation(question));
  } else if (echo) {
    frame.add(ethernet(question, to, ETHERTYPE_IP));
    add_icmp(&frame, question);
  } else {
    frame.add(ethernet(question, to, ETHERTYPE_ARP));
    frame.add(arp_request(question));
  }
  return frame;
}

// ---- answers ------------------------------------------------------------------------------------

inline uint16_t number_at(std::span<const uint8_t> frame, size_t at) {
  return static_cast<uint16_t>(frame[at] << 8 | frame[at + 1]);
}
inline Ip ip_at(int family, std::span<const uint8_t> frame, size_t at) {
  Ip ip{family, {}};
  memcpy(ip.bytes.data(), frame.data() + at, ip.size());
  return ip;
}
// By the last byte of the address that had asked.
inline uint16_t round_of_sender(uint8_t last) {
  return static_cast<uint8_t>(last - kFirstSender) % kSenders;
}

// What that host sent to asking_mac(host). Places in the frame: RFC 826, 791, 792, 8200, 4861,
// 4443; the kernels answer without options and extension headers.
inline std::optional<Answer> decode(std::span<const uint8_t> frame, size_t host) {
  const uint16_t type = frame.size() < 42 ? 0 : number_at(frame, 12);
  if (type == ETHERTYPE_ARP && number_at(frame, 20) == ARPOP_REPLY)
    return Answer{Kind::Neighbour, ip_at(AF_INET, frame, 28), round_of_sender(frame[41])};
  if (type == ETHERTYPE_IP && frame[23] == IPPROTO_ICMP && frame[34] == ICMP_ECHOREPLY &&
      number_at(frame, 38) == host)
    return Answer{Kind::Echo, ip_at(AF_INET, frame, 26), number_at(frame, 40)};
  if (type != ETHERTYPE_IPV6 || frame.size() < 62 || frame[20] != IPPROTO_ICMPV6)
    return std::nullopt;
  if (frame[54] == ICMP6_ECHO_REPLY && number_at(frame, 58) == host)
    return Answer{Kind::Echo, ip_at(AF_INET6, frame, 22), number_at(frame, 60)};
  if (frame[54] == ND_NEIGHBOR_ADVERT && frame.size() >= 78)
    return Answer{Kind::Neighbour, ip_at(AF_INET6, frame, 62), round_of_sender(frame[53])};
  return std::nullopt;
}

}  // namespace witness
