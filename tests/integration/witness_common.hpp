// What the parts of the witness share: its options, its clock, its one way to speak.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <compare>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <span>
#include <string>
#include <vector>

namespace witness {

constexpr int64_t kMs = 1'000'000;
constexpr int64_t kStall = 5 * kMs;       // lateness worth reporting
constexpr int64_t kStallEvery = 4 * kMs;  // and so much of it may pass unseen
constexpr int64_t kLockStall = 20 * kMs;
constexpr int64_t kLockEvery = 10 * kMs;
constexpr int64_t kLate = 10 * kMs;    // an answer later than this is not service
constexpr int64_t kSilent = 50 * kMs;  // no answer for so long: say so while it lasts
constexpr int kEventSocketBytes = 64 << 20;
constexpr int kRealtimePriority = 20;
constexpr uint8_t kIfaProto = 11;  // IFA_PROTO, Linux 5.18; older headers lack it

// IPv4 or IPv6, in network byte order.
struct Ip {
  int family = AF_INET;
  std::array<uint8_t, 16> bytes{};
  auto operator<=>(const Ip&) const = default;
  size_t size() const { return family == AF_INET ? 4 : 16; }
};

struct Host {
  std::string name;
  int netns = -1;
  int nsid = -1;
  std::array<uint8_t, 6> mac{};
};

struct Options {
  std::string client_netns;
  std::string client_link;
  std::vector<Host> hosts;
  std::vector<Ip> vips;
  int64_t interval = kMs;  // between two probes of one address
  int64_t wire = 0;        // between two rounds of questions to all hosts; 0: none
  std::vector<Ip> own;     // the hosts' own addresses, which are asked for as well
};

inline std::atomic<bool> g_quit{false};
inline std::atomic<uint32_t> g_rounds{0};  // of questions to all hosts

inline int64_t now_ns(clockid_t clock = CLOCK_MONOTONIC) {
  timespec ts{};
  clock_gettime(clock, &ts);
  return ts.tv_sec * 1'000'000'000LL + ts.tv_nsec;
}

inline void sleep_until(int64_t when) {
  const timespec ts{when / 1'000'000'000, when % 1'000'000'000};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, nullptr) == EINTR) continue;
}

[[noreturn]] inline void die(const char* what) {
  fprintf(stderr, "witness: %s: %s\n", what, strerror(errno));
  _exit(1);
}

// One write(2) a line, so that lines of different threads never mix.
__attribute__((format(printf, 1, 2))) inline void emit(const char* format, ...) {
  char line[512];
  va_list args;
  va_start(args, format);
  int length = vsnprintf(line, sizeof line - 1, format, args);
  va_end(args);
  length = std::min<int>(length, sizeof line - 2);
  line[length++] = '\n';
  if (write(STDOUT_FILENO, line, length) < 0) _exit(1);
}

inline double seconds(int64_t ns) {
  return static_cast<double>(ns) / 1e9;
}

inline std::string text(const Ip& address) {
  char buffer[INET6_ADDRSTRLEN];
  return inet_ntop(address.family, address.bytes.data(), buffer, sizeof buffer);
}

inline int open_netns(const std::string& name) {
  const int fd = open(("/run/netns/" + name).c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) die(name.c_str());
  return fd;
}

inline void set_size(int fd, int force_option, int bytes) {
  if (setsockopt(fd, SOL_SOCKET, force_option, &bytes, sizeof bytes) < 0) die("socket buffer");
}

// ---- packet sockets -----------------------------------------------------------------------------

inline void hear(int fd, const std::string& link, uint16_t protocol) {
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
  set_size(fd, SO_RCVBUFFORCE, 8 << 20);
  sockaddr_ll where{};
  where.sll_family = AF_PACKET;
  where.sll_protocol = htons(protocol);
  where.sll_ifindex = static_cast<int>(if_nametoindex(link.c_str()));
  if (bind(fd, reinterpret_cast<sockaddr*>(&where), sizeof where) < 0) die(link.c_str());
}

// The kernel stamps by the wall clock; the difference to ours is read on the spot.
inline int64_t received_at(msghdr* message) {
  const cmsghdr* c = CMSG_FIRSTHDR(message);
  if (c == nullptr || c->cmsg_type != SCM_TIMESTAMPNS) return now_ns();
  timespec ts{};
  memcpy(&ts, CMSG_DATA(c), sizeof ts);
  const int64_t offset = now_ns(CLOCK_REALTIME) - now_ns();
  return ts.tv_sec * 1'000'000'000LL + ts.tv_nsec - offset;
}

// The length of the next frame, and when the kernel got it; below 0: there is none.
inline ssize_t receive(int fd, std::span<uint8_t> frame, int64_t* at) {
  alignas(cmsghdr) char control[64];
  iovec part{frame.data(), frame.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  const ssize_t length = recvmsg(fd, &message, 0);
  if (length > 0) *at = received_at(&message);
  return length;
}

inline void be_realtime() {
  const sched_param parameter{kRealtimePriority};
  if (pthread_setschedparam(pthread_self(), SCHED_FIFO, &parameter) != 0)
    fprintf(stderr, "witness: no SCHED_FIFO here, stalls of its own are likelier\n");
}

// How late a sleeper was woken: the machine's own noise.
inline void emit_stall(int64_t from, int64_t to, const char* who) {
  emit(R"({"ev":"stall","t":%.6f,"ms":%.1f,"who":"%s"})", seconds(from), seconds(to - from) * 1e3,
       who);
}

}  // namespace witness
