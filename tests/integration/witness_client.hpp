// The client on the bridge: probes each address with ICMP echo, which the kernels answer without
// any process, through the ordinary neighbour cache. The answer's Ethernet source names the host.
#pragma once

#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>

#include "witness_common.hpp"

namespace witness {

struct EchoProbe {
  icmphdr icmp{};
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
    send_fd_ = socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_ICMP);
    if (send_fd_ < 0) die("ICMP socket");
    // Probes that wait for an ARP answer count against the buffer: it must never fill.
    set_size(send_fd_, SO_SNDBUFFORCE, kEventSocketBytes);
    set_size(send_fd_, SO_RCVBUFFORCE, 1);
    open_receiver();
  }

  void run() {
    const int64_t step = options_.interval / static_cast<int64_t>(targets_.size());
    int64_t next = now_ns();
    for (size_t i = 0; !g_quit; i = (i + 1) % targets_.size()) {
      sleep_until(next);
      const int64_t now = now_ns();
      if (now - next > kStall) emit_stall(next, now, "client");
      next = std::max(next + step, now - kMs);
      drain();
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

  void open_receiver() {
    receive_fd_ = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (receive_fd_ < 0) die("packet socket");
    id_ = static_cast<uint16_t>(getpid());
    // Ethernet type IPv4, ICMP, echo reply, our id; probes carry no IP options.
    sock_filter code[] = {
        {BPF_LD | BPF_H | BPF_ABS, 0, 0, 12}, {BPF_JMP | BPF_JEQ | BPF_K, 0, 7, ETH_P_IP},
        {BPF_LD | BPF_B | BPF_ABS, 0, 0, 23}, {BPF_JMP | BPF_JEQ | BPF_K, 0, 5, IPPROTO_ICMP},
        {BPF_LD | BPF_B | BPF_ABS, 0, 0, 34}, {BPF_JMP | BPF_JEQ | BPF_K, 0, 3, ICMP_ECHOREPLY},
        {BPF_LD | BPF_H | BPF_ABS, 0, 0, 38}, {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, ntohs(id_)},
        {BPF_RET | BPF_K, 0, 0, 256},         {BPF_RET | BPF_K, 0, 0, 0}};
    const sock_fprog program{sizeof code / sizeof *code, code};
    setsockopt(receive_fd_, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
    const int on = 1;
    setsockopt(receive_fd_, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
    set_size(receive_fd_, SO_RCVBUFFORCE, 8 << 20);
    sockaddr_ll where{};
    where.sll_family = AF_PACKET;
    where.sll_protocol = htons(ETH_P_IP);
    where.sll_ifindex = static_cast<int>(if_nametoindex(options_.client_link.c_str()));
    if (bind(receive_fd_, reinterpret_cast<sockaddr*>(&where), sizeof where) < 0)
      die("client link");
  }

  void probe(size_t index) {
    Target& target = targets_[index];
    EchoProbe echo;
    echo.icmp.type = ICMP_ECHO;
    echo.icmp.un.echo.id = id_;
    echo.vip = static_cast<uint32_t>(index);
    echo.sequence = ++target.sequence;
    echo.icmp.checksum = checksum(echo);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_addr.s_addr = options_.vips[index];
    target.sent[echo.sequence % target.sent.size()] = {echo.sequence, now_ns()};
    // A refusal (nobody answers ARP) is a probe without answer, like any other.
    (void)sendto(send_fd_, &echo, sizeof echo, 0, reinterpret_cast<sockaddr*>(&to), sizeof to);
  }

  void drain() {
    constexpr size_t kEchoAt = sizeof(ether_header) + sizeof(iphdr);
    std::array<uint8_t, kEchoAt + sizeof(EchoProbe)> frame;
    for (;;) {
      alignas(cmsghdr) char control[64];
      iovec part{frame.data(), frame.size()};
      msghdr message{};
      message.msg_iov = &part;
      message.msg_iovlen = 1;
      message.msg_control = control;
      message.msg_controllen = sizeof control;
      if (recvmsg(receive_fd_, &message, 0) < static_cast<ssize_t>(frame.size())) return;
      EchoProbe echo;
      memcpy(&echo, frame.data() + kEchoAt, sizeof echo);
      if (echo.vip >= targets_.size()) continue;
      answered(echo.vip, echo.sequence, received_at(&message), host_of(frame.data() + ETH_ALEN));
    }
  }

  // The kernel stamps by the wall clock; the difference to ours is read on the spot.
  static int64_t received_at(msghdr* message) {
    const cmsghdr* c = CMSG_FIRSTHDR(message);
    if (c == nullptr || c->cmsg_type != SCM_TIMESTAMPNS) return now_ns();
    timespec ts{};
    memcpy(&ts, CMSG_DATA(c), sizeof ts);
    const int64_t offset = now_ns(CLOCK_REALTIME) - now_ns();
    return ts.tv_sec * 1'000'000'000LL + ts.tv_nsec - offset;
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
  int receive_fd_ = -1;
  uint16_t id_ = 0;
};

}  // namespace witness
