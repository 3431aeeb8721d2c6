// The client on the bridge: probes each address with ICMP echo, which the kernels answer without
// any process, through the ordinary neighbour cache. The answer's Ethernet source names the host.
#pragma once

#include <linux/filter.h>
#include <net/ethernet.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/ip_icmp.h>

#include "witness_common.hpp"

namespace witness {

struct EchoProbe {
  icmphdr icmp{};    // ICMPv6 lays its echo out the same way
  uint32_t vip = 0;  // index
  uint32_t sequence = 0;
};

inline uint16_t checksum(const EchoProbe& probe) {
  uint16_t words[sizeof probe / 2];
  memcpy(words, &probe, sizeof probe);
  uint32_t sum = 0;
  for (uint16_t word : words) sum += word;
  sum = (sum >> 16) + (sum & 0xffff);
  return static_cast<uint16_t>(~(sum + (sum >> 16)));
}

class Prober {
 public:
  explicit Prober(const Options& options) : options_(options), targets_(options.vips.size()) {
    id_ = static_cast<uint16_t>(getpid());
    send_fd_ = open_sender(AF_INET, IPPROTO_ICMP);
    send6_fd_ = open_sender(AF_INET6, IPPROTO_ICMPV6);
    receive_fd_ = open_receiver(ETH_P_IP);
    receive6_fd_ = open_receiver(ETH_P_IPV6);
  }

  void run() {
    const int64_t step = options_.interval / static_cast<int64_t>(targets_.size());
    int64_t next = now_ns();
    for (size_t i = 0; !g_quit; i = (i + 1) % targets_.size()) {
      sleep_until(next);
      const int64_t now = now_ns();
      if (now - next > kStall) emit_stall(next, now, "client");
      next = std::max(next + step, now - kMs);
      drain(receive_fd_, sizeof(iphdr));
      drain(receive6_fd_, sizeof(ip6_hdr));
      probe(i);
      note_silence(i, now);
    }
  }

 private:
  struct Sent {
    uint32_t sequence = 0;
    int64_t at = 0;
  };
  struct Target {
    uint32_t sequence = 0;
    std::array<Sent, 64> sent;
    uint32_t good_sequence = 0;  // of the last answer in time; 0: none yet
    int64_t good_at = 0;         // when that probe was sent
    int host = -1;
    bool silent = false;
  };

  static int open_sender(int family, int protocol) {
    const int fd = socket(family, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
    if (fd < 0) die("ICMP socket");
    // Probes that wait for a neighbour's answer count against the buffer: it must never fill.
    set_size(fd, SO_SNDBUFFORCE, kEventSocketBytes);
    set_size(fd, SO_RCVBUFFORCE, 1);
    return fd;
  }

  // Echo replies with our id; probes carry no IP options and no extension headers.
  int open_receiver(uint16_t protocol) const {
    const bool v4 = protocol == ETH_P_IP;
    const int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) die("packet socket");
    const uint32_t icmp = sizeof(ether_header) + (v4 ? sizeof(iphdr) : sizeof(ip6_hdr));
    const uint32_t next = v4 ? 23 : 20;
    const uint32_t code_of_next = v4 ? uint32_t{IPPROTO_ICMP} : uint32_t{IPPROTO_ICMPV6};
    const uint32_t reply = v4 ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY;
    sock_filter code[] = {{BPF_LD | BPF_H | BPF_ABS, 0, 0, 12},
                          {BPF_JMP | BPF_JEQ | BPF_K, 0, 7, protocol},
                          {BPF_LD | BPF_B | BPF_ABS, 0, 0, next},
                          {BPF_JMP | BPF_JEQ | BPF_K, 0, 5, code_of_next},
                          {BPF_LD | BPF_B | BPF_ABS, 0, 0, icmp},
                          {BPF_JMP | BPF_JEQ | BPF_K, 0, 3, reply},
                          {BPF_LD | BPF_H | BPF_ABS, 0, 0, icmp + 4},
                          {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, ntohs(id_)},
                          {BPF_RET | BPF_K, 0, 0, 256},
                          {BPF_RET | BPF_K, 0, 0, 0}};
    const sock_fprog program{sizeof code / sizeof *code, code};
    setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
    hear(fd, options_.client_link, protocol);
    return fd;
  }

  void probe(size_t index) {
    Target& target = targets_[index];
    const Ip& vip = options_.vips[index];
    EchoProbe echo;
    echo.icmp.type = vip.family == AF_INET ? ICMP_ECHO : ICMP6_ECHO_REQUEST;
    echo.icmp.un.echo.id = id_;
    echo.vip = static_cast<uint32_t>(index);
    echo.sequence = ++target.sequence;
    target.sent[echo.sequence % target.sent.size()] = {echo.sequence, now_ns()};
    // A refusal (nobody answers for the address) is a probe without answer, like any other.
    if (vip.family == AF_INET) {
      echo.icmp.checksum = checksum(echo);
      sockaddr_in to{};
      to.sin_family = AF_INET;
      memcpy(&to.sin_addr, vip.bytes.data(), vip.size());
      (void)sendto(send_fd_, &echo, sizeof echo, 0, reinterpret_cast<sockaddr*>(&to), sizeof to);
    } else {  // the kernel puts the checksum in (RFC 3542, 3.1)
      sockaddr_in6 to{};
      to.sin6_family = AF_INET6;
      memcpy(&to.sin6_addr, vip.bytes.data(), vip.size());
      (void)sendto(send6_fd_, &echo, sizeof echo, 0, reinterpret_cast<sockaddr*>(&to), sizeof to);
    }
  }

  void drain(int fd, size_t ip_header) {
    const size_t echo_at = sizeof(ether_header) + ip_header;
    std::array<uint8_t, sizeof(ether_header) + sizeof(ip6_hdr) + sizeof(EchoProbe)> frame;
    int64_t at = 0;
    while (receive(fd, frame, &at) >= static_cast<ssize_t>(echo_at + sizeof(EchoProbe))) {
      EchoProbe echo;
      memcpy(&echo, frame.data() + echo_at, sizeof echo);
      if (echo.vip >= targets_.size()) continue;
      answered(echo.vip, echo.sequence, at, host_of(frame.data() + ETH_ALEN));
    }
  }

  int host_of(const uint8_t* mac) const {
    for (size_t i = 0; i < options_.hosts.size(); i++)
      if (memcmp(options_.hosts[i].mac.data(), mac, 6) == 0) return static_cast<int>(i);
    return -1;
  }

  const char* name(int host) const { return host < 0 ? "?" : options_.hosts[host].name.c_str(); }

  void answered(uint32_t index, uint32_t sequence, int64_t at, int host) {
    Target& target = targets_[index];
    const Sent& sent = target.sent[sequence % target.sent.size()];
    if (sent.sequence != sequence || at - sent.at > kLate || sequence <= target.good_sequence)
      return;
    const std::string vip = text(options_.vips[index]);
    const uint32_t lost = sequence - target.good_sequence - 1;
    if (target.good_sequence > 0 && lost > 0)
      emit(
          R"({"ev":"gap","t":%.6f,"to":%.6f,"ms":%.2f,"lost":%u,"vip":"%s","before":"%s","after":"%s"})",
          seconds(target.good_at), seconds(sent.at), seconds(sent.at - target.good_at) * 1e3, lost,
          vip.c_str(), name(target.host), name(host));
    if (target.host != host || target.silent)
      emit(R"({"ev":"answers","t":%.6f,"vip":"%s","host":"%s"})", seconds(sent.at), vip.c_str(),
           name(host));
    target.good_sequence = sequence;
    target.good_at = sent.at;
    target.host = host;
    target.silent = false;
  }

  void note_silence(size_t index, int64_t now) {
    Target& target = targets_[index];
    const int64_t patience = std::max(kSilent, 3 * options_.interval);
    if (target.silent || target.good_sequence == 0 || now - target.good_at < patience) return;
    // A client that did not run for a while has not heard anything either.
    if (target.sequence - target.good_sequence < 3) return;
    target.silent = true;
    emit(R"({"ev":"silent","t":%.6f,"vip":"%s","host":"%s"})", seconds(target.good_at),
         text(options_.vips[index]).c_str(), name(target.host));
  }

  const Options& options_;
  std::vector<Target> targets_;
  int send_fd_ = -1;
  int send6_fd_ = -1;
  int receive_fd_ = -1;
  int receive6_fd_ = -1;
  uint16_t id_ = 0;
};

}  // namespace witness
