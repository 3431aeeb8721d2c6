#include "net/connections.hpp"

#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

namespace vipd::net {
namespace {

constexpr size_t kMostConnections = 65536;
constexpr size_t kBufferSize = 32 << 10;
constexpr size_t kBetweenLooks = 64;  // connections, at the clock
constexpr timeval kAnswerTimeout = {0, 200'000};
// Whoever listens stays, and nobody waits for an answer in the others.
constexpr uint32_t kStates = 0xfff & ~(1U << TCP_LISTEN | 1U << TCP_TIME_WAIT | 1U << TCP_CLOSE);

struct CloseSocket {
  void operator()(mnl_socket* socket) const { mnl_socket_close(socket); }
};
using Socket = std::unique_ptr<mnl_socket, CloseSocket>;

struct Connection {
  uint8_t family;
  inet_diag_sockid id;
};

struct alignas(nlmsghdr) Buffer {
  uint8_t bytes[kBufferSize];
};

Socket open_socket() {
  Socket socket(mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC));
  if (!socket || mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) < 0) return nullptr;
  setsockopt(mnl_socket_get_fd(socket.get()), SOL_SOCKET, SO_RCVTIMEO, &kAnswerTimeout,
             sizeof kAnswerTimeout);
  return socket;
}

int send(const Socket& socket, uint16_t type, uint16_t flags, const inet_diag_req_v2& request) {
  Buffer buffer;
  nlmsghdr* header = mnl_nlmsg_put_header(buffer.bytes);
  header->nlmsg_type = type;
  header->nlmsg_flags = NLM_F_REQUEST | flags;
  std::memcpy(mnl_nlmsg_put_extra_header(header, sizeof request), &request, sizeof request);
  return mnl_socket_sendto(socket.get(), header, header->nlmsg_len) < 0 ? errno : 0;
}

// A socket of IPv6 that speaks IPv4 has its address in the dress of IPv6 (RFC 4291, 2.5.5.2).
Address local_of(const inet_diag_msg& message) {
  const __be32* words = message.id.idiag_src;
  const bool is_mapped = words[0] == 0 && words[1] == 0 && words[2] == htonl(0xffff);
  if (message.idiag_family == AF_INET) return Address::v4(ntohl(words[0]));
  if (is_mapped) return Address::v4(ntohl(words[3]));
  std::array<uint8_t, 16> bytes;
  std::memcpy(bytes.data(), words, bytes.size());
  return Address::v6(bytes);
}

// One datagram of a dump. True when it was the last; *error is then set. `locals` are sorted.
bool take(const Buffer& buffer, size_t size, std::span<const Address> locals,
          std::vector<Connection>* found, int* error) {
  const uint8_t* at = buffer.bytes;
  for (size_t left = size; left >= sizeof(nlmsghdr);) {
    const auto* header = reinterpret_cast<const nlmsghdr*>(at);
    if (header->nlmsg_len < sizeof(nlmsghdr) || header->nlmsg_len > left) break;
    const size_t payload = header->nlmsg_len - sizeof(nlmsghdr);
    const uint8_t* data = at + sizeof(nlmsghdr);
    if (header->nlmsg_type == NLMSG_DONE || header->nlmsg_type == NLMSG_ERROR) {
      int code = 0;
      if (payload >= sizeof code) std::memcpy(&code, data, sizeof code);
      *error = -code;
      return true;
    }
    if (payload >= sizeof(inet_diag_msg) && found->size() < kMostConnections) {
      inet_diag_msg message;
      std::memcpy(&message, data, sizeof message);
      const Address local = local_of(message);
      if (std::binary_search(locals.begin(), locals.end(), local)) {
        found->push_back({message.idiag_family, message.id});
      }
    }
    const size_t step = std::min<size_t>(left, NLMSG_ALIGN(header->nlmsg_len));
    at += step;
    left -= step;
  }
  return false;
}

int list(Loop& loop, MonoTime until, uint8_t family, std::span<const Address> locals,
         std::vector<Connection>* found) {
  const Socket socket = open_socket();
  if (!socket) return errno;
  inet_diag_req_v2 request{};
  request.sdiag_family = family;
  request.sdiag_protocol = IPPROTO_TCP;
  request.idiag_states = kStates;
  if (const int error = send(socket, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, request)) return error;
  Buffer buffer;
  int error = 0;
  while (loop.now() < until) {
    const ssize_t size = mnl_socket_recvfrom(socket.get(), buffer.bytes, sizeof buffer.bytes);
    if (size < 0) return errno == EAGAIN ? ETIMEDOUT : errno;
    if (take(buffer, static_cast<size_t>(size), locals, found, &error)) return error;
  }
  return 0;
}

// The kernel has acted before the send returned, and answers only if it refused.
int destroy(const Socket& socket, const Connection& connection) {
  inet_diag_req_v2 request{};
  request.sdiag_family = connection.family;
  request.sdiag_protocol = IPPROTO_TCP;
  request.id = connection.id;
  if (const int error = send(socket, SOCK_DESTROY, 0, request)) return error;
  Buffer buffer;
  const ssize_t size =
      recv(mnl_socket_get_fd(socket.get()), buffer.bytes, sizeof buffer.bytes, MSG_DONTWAIT);
  std::vector<Connection> none;
  int error = 0;
  if (size > 0) (void)take(buffer, static_cast<size_t>(size), {}, &none, &error);
  return error == ENOENT ? 0 : error;  // it ended meanwhile
}

}  // namespace

Killed kill_connections(Loop& loop, std::span<const Address> of, Duration budget) {
  const MonoTime until = loop.now() + budget;
  std::vector<Address> locals(of.begin(), of.end());
  std::sort(locals.begin(), locals.end());  // thousands of each may be compared
  Killed killed;
  std::vector<Connection> found;
  // Sockets of IPv6 may have an IPv4 address.
  for (const uint8_t family : {AF_INET, AF_INET6}) {
    const int error = list(loop, until, family, locals, &found);
    if (error != 0 && error != ENOENT) killed.error = error;  // ENOENT: without IPv6
  }
  const Socket socket = open_socket();
  for (const Connection& connection : found) {
    if (killed.connections % kBetweenLooks == 0 && loop.now() >= until) break;
    const int error = socket ? destroy(socket, connection) : ENOTCONN;
    if (error != 0) killed.error = error;
    if (error != 0) break;
    killed.connections++;
  }
  killed.is_complete = killed.connections == found.size() && loop.now() < until;
  return killed;
}

}  // namespace vipd::net
