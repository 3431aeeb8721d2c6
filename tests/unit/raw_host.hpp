// A neighbour on the LAN, for tests of what a host answers: a raw socket in another network
// namespace, at the other end of a cable to ours. It asks for addresses by ARP, ICMP, neighbour
// solicitations and ICMPv6 echo requests, each question from a MAC address of its own, which says
// which question an answer is to.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <map>
#include <string>
#include <vector>

#include "net/arp.hpp"
#include "net/ndp.hpp"
#include "sys/fd.hpp"
#include "vipd/types.hpp"

namespace raw {

using vipd::Address;
using vipd::MacAddress;

inline bool run(const std::string& command) {
  return system(command.c_str()) == 0;
}

inline int64_t boot_ns() {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

// The least of several: whoever is held up between the two clocks reads too much.
inline int64_t suspended_ns() {
  int64_t least = INT64_MAX;
  for (int i = 0; i < 5; ++i) {
    timespec mono{};
    clock_gettime(CLOCK_MONOTONIC, &mono);
    const int64_t boot = boot_ns();
    least = std::min(least, boot - (int64_t{mono.tv_sec} * 1'000'000'000 + mono.tv_nsec));
  }
  return least;
}

inline vipd::sys::Fd own_namespace() {
  return vipd::sys::Fd(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
}

// A namespace with a name (ip-netns(8)) that goes with its owner.
class Namespace {
 public:
  explicit Namespace(const std::string& name) : name_(name + std::to_string(getpid())) {
    is_made_ = run("ip netns add " + name_);
  }
  ~Namespace() {
    if (is_made_) (void)run("ip netns del " + name_);
  }
  Namespace(const Namespace&) = delete;
  Namespace& operator=(const Namespace&) = delete;

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] bool ip(const std::string& command) const {
    return run("ip -n " + name_ + " " + command);
  }
  // A socket of that namespace.
  [[nodiscard]] vipd::sys::Fd raw_socket(const std::string& link, uint16_t protocol) const {
    const vipd::sys::Fd home = own_namespace();
    const vipd::sys::Fd there(::open(("/run/netns/" + name_).c_str(), O_RDONLY | O_CLOEXEC));
    if (setns(there.get(), CLONE_NEWNET) < 0) return {};
    vipd::sys::Fd fd(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(protocol)));
    sockaddr_ll at{};
    at.sll_family = AF_PACKET;
    at.sll_protocol = htons(protocol);
    at.sll_ifindex = static_cast<int>(if_nametoindex(link.c_str()));
    const bool good = bind(fd.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0;
    if (setns(home.get(), CLONE_NEWNET) < 0) abort();
    return good ? std::move(fd) : vipd::sys::Fd();
  }

 private:
  std::string name_;
  bool is_made_ = false;
};

using Bytes = std::vector<uint8_t>;

// RFC 1071.
inline uint16_t checksum(const Bytes& bytes, size_t from, uint32_t sum = 0) {
  for (size_t i = from; i + 1 < bytes.size(); i += 2) {
    sum += static_cast<uint32_t>(bytes[i] << 8 | bytes[i + 1]);
  }
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(~sum);
}

class Asker {
 public:
  // Asks our own host, on that link with that MAC address, from these addresses.
  Asker(vipd::sys::Fd fd, std::string link, MacAddress host, Address from4, Address from6)
      : fd_(std::move(fd)), link_(std::move(link)), host_(host), from4_(from4), from6_(from6) {}

  struct Question {
    int64_t sent = 0;  // CLOCK_BOOTTIME, before it was sent
    bool is_answered = false;
  };
  enum class How { Neighbour, Echo };

  // Sends one; returns its number.
  uint32_t ask(const Address& target, How how) {
    const uint32_t number = ++last_;
    MacAddress mac = {{2, 0x42, 0, 0, 0, 0}};
    const uint32_t wire = htonl(number);
    std::memcpy(&mac.bytes[2], &wire, sizeof wire);
    const Bytes frame = question(target, how, mac);
    questions_[number].sent = boot_ns();
    (void)!send(fd_.get(), frame.data(), frame.size(), 0);
    return number;
  }

  // Reads what has come.
  void hear() {
    uint8_t buffer[2048];
    for (ssize_t size; (size = recv(fd_.get(), buffer, sizeof buffer, 0)) > 0;) {
      const auto found = questions_.find(number_of(buffer));
      if (size < 14 + 20 || buffer[0] != 2 || buffer[1] != 0x42) continue;
      if (found != questions_.end()) found->second.is_answered = true;
    }
  }

  bool is_answered(const Address& target, How how, int wait_ms = 50) {
    const uint32_t number = ask(target, how);
    const int64_t until = boot_ns() + wait_ms * int64_t{1'000'000};
    while (!questions_[number].is_answered && boot_ns() < until) {
      pollfd readable = {fd_.get(), POLLIN, 0};
      poll(&readable, 1, 1);
      hear();
    }
    return questions_[number].is_answered;
  }

  [[nodiscard]] const std::map<uint32_t, Question>& questions() const { return questions_; }
  void forget() { questions_.clear(); }

 private:
  static uint32_t number_of(const uint8_t* frame) {
    uint32_t wire = 0;
    std::memcpy(&wire, frame + 2, sizeof wire);
    return ntohl(wire);
  }

  static void put(Bytes& frame, size_t at, const Address& address) {
    std::memcpy(&frame[at], address.data(), address.size());
  }
  static void put_sum(Bytes& frame, size_t at, uint16_t sum) {
    frame[at] = static_cast<uint8_t>(sum >> 8);
    frame[at + 1] = static_cast<uint8_t>(sum);
  }

  Bytes question(const Address& target, How how, const MacAddress& mac) const {
    if (target.is_v4()) return how == How::Neighbour ? arp(target, mac) : echo4(target, mac);
    return how == How::Neighbour ? solicitation(target, mac) : echo6(target, mac);
  }

  Bytes arp(const Address& target, const MacAddress& mac) const {
    const auto probe = vipd::net::arp_probe(mac, target);
    Bytes frame(probe.begin(), probe.end());
    put(frame, 28, from4_);
    return frame;
  }

  Bytes ethernet(const MacAddress& mac, uint16_t type, size_t payload) const {
    Bytes frame(14 + payload);
    std::memcpy(&frame[0], host_.bytes.data(), 6);
    std::memcpy(&frame[6], mac.bytes.data(), 6);
    put_sum(frame, 12, type);
    return frame;
  }

  Bytes echo4(const Address& target, const MacAddress& mac) const {
    teach(from4_, mac);
    Bytes frame = ethernet(mac, ETH_P_IP, 20 + 8);
    frame[14] = 0x45;
    frame[17] = 28;
    frame[22] = 64;
    frame[23] = 1;
    put(frame, 26, from4_);
    put(frame, 30, target);
    put_sum(frame, 24, checksum({frame.begin() + 14, frame.begin() + 34}, 0));
    frame[34] = 8;
    put_sum(frame, 36, checksum(frame, 34));
    return frame;
  }

  Bytes ipv6(const MacAddress& mac, const Address& to, size_t payload) const {
    Bytes frame = ethernet(mac, ETH_P_IPV6, 40 + payload);
    frame[14] = 0x60;
    frame[19] = static_cast<uint8_t>(payload);
    frame[20] = 58;
    frame[21] = 255;
    put(frame, 22, from6_);
    put(frame, 38, to);
    return frame;
  }

  static void put_icmp6_sum(Bytes& frame) {
    const auto length = static_cast<uint32_t>(frame.size() - 54);
    put_sum(frame, 56, checksum(frame, 22, length + 58));
  }

  Bytes solicitation(const Address& target, const MacAddress& mac) const {
    std::array<uint8_t, 16> group = {0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff};
    std::memcpy(&group[13], target.data() + 13, 3);
    teach(from6_, mac);
    Bytes frame = ipv6(mac, Address::v6(group), 32);
    const uint8_t to[] = {0x33, 0x33, 0xff, group[13], group[14], group[15]};
    std::memcpy(&frame[0], to, sizeof to);
    frame[54] = 135;
    put(frame, 62, target);
    frame[78] = 1;
    frame[79] = 1;
    std::memcpy(&frame[80], mac.bytes.data(), 6);
    put_icmp6_sum(frame);
    return frame;
  }

  Bytes echo6(const Address& target, const MacAddress& mac) const {
    teach(from6_, mac);
    Bytes frame = ipv6(mac, target, 8);
    frame[54] = 128;
    put_icmp6_sum(frame);
    return frame;
  }

  // The answer goes to the MAC address that our host has for the asker's address.
  void teach(const Address& from, const MacAddress& mac) const {
    (void)run("ip neigh replace " + from.text() + " lladdr " + mac.text() + " dev " + link_);
  }

  vipd::sys::Fd fd_;
  std::string link_;
  MacAddress host_;
  Address from4_, from6_;
  uint32_t last_ = 0;
  std::map<uint32_t, Question> questions_;
};

}  // namespace raw
