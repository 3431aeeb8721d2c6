#include "net/connections.hpp"

#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "net/messages.hpp"
#include "net/netlink_socket.hpp"

namespace vipd::net {
namespace {

constexpr size_t kMostConnections = 65536;
constexpr size_t kBetweenLooks = 64;  // connections, at the clock
// Listening sockets stay; in TIME_WAIT and CLOSE no peer waits for an answer.
constexpr uint32_t kStates = 0xfff & ~(1U << TCP_LISTEN | 1U << TCP_TIME_WAIT | 1U << TCP_CLOSE);

struct Connection {
  uint8_t family;
  inet_diag_sockid id;
};

int send(NetlinkSocket& socket, uint16_t type, uint16_t flags, const inet_diag_req_v2& request) {
  NetlinkBuffer buffer;
  nlmsghdr* header = start_request(&buffer, type, flags, 0);
  std::memcpy(mnl_nlmsg_put_extra_header(header, sizeof request), &request, sizeof request);
  return socket.send(header);
}

// An IPv6 socket with an IPv4 peer has IPv4-mapped addresses (RFC 4291, 2.5.5.2).
Address local_of(const inet_diag_msg& message) {
  const __be32* words = message.id.idiag_src;
  const bool is_mapped = words[0] == 0 && words[1] == 0 && words[2] == htonl(0xffff);
  if (message.idiag_family == AF_INET) return Address::v4(ntohl(words[0]));
  if (is_mapped) return Address::v4(ntohl(words[3]));
  std::array<uint8_t, 16> bytes;
  std::memcpy(bytes.data(), words, bytes.size());
  return Address::v6(bytes);
}

// One datagram of a dump. The errno that ends it, 0: done; nullopt: it goes on. `locals` are
// sorted.
std::optional<int> take(const NetlinkBuffer& buffer, size_t size, std::span<const Address> locals,
                        std::vector<Connection>* found) {
  std::optional<int> result;
  for_each_header(buffer.bytes, size, [&](const nlmsghdr& header) {
    if (is_end(header)) result = error_in(header);
    const std::optional<inet_diag_msg> message = fixed_header<inet_diag_msg>(header);
    if (result || !message || found->size() == kMostConnections) return;
    if (std::binary_search(locals.begin(), locals.end(), local_of(*message))) {
      found->push_back({message->idiag_family, message->id});
    }
  });
  return result;
}

int list(Loop& loop, MonoTime until, uint8_t family, std::span<const Address> locals,
         std::vector<Connection>* found) {
  std::string reason;
  NetlinkSocket socket = NetlinkSocket::open_for_requests(NETLINK_SOCK_DIAG, &reason);
  if (!socket.is_open()) return errno;
  inet_diag_req_v2 request{};
  request.sdiag_family = family;
  request.sdiag_protocol = IPPROTO_TCP;
  request.idiag_states = kStates;
  if (const int error = send(socket, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, request)) return error;
  NetlinkBuffer buffer;
  while (loop.now() < until) {
    const ssize_t size = socket.receive(&buffer);
    if (size < 0) return errno == EAGAIN ? ETIMEDOUT : errno;
    if (const auto end = take(buffer, static_cast<size_t>(size), locals, found)) return *end;
  }
  return 0;
}

// The kernel has acted before the send returned, and answers only if it refused.
int destroy(NetlinkSocket& socket, const Connection& connection) {
  inet_diag_req_v2 request{};
  request.sdiag_family = connection.family;
  request.sdiag_protocol = IPPROTO_TCP;
  request.id = connection.id;
  if (const int error = send(socket, SOCK_DESTROY, 0, request)) return error;
  NetlinkBuffer buffer;
  const ssize_t size = recv(socket.fd(), buffer.bytes, sizeof buffer.bytes, MSG_DONTWAIT);
  std::vector<Connection> none;
  const int error = take(buffer, size < 0 ? 0 : size, {}, &none).value_or(0);
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
  std::string reason;
  NetlinkSocket socket = NetlinkSocket::open_for_requests(NETLINK_SOCK_DIAG, &reason);
  for (const Connection& connection : found) {
    if (killed.connections % kBetweenLooks == 0 && loop.now() >= until) break;
    const int error = socket.is_open() ? destroy(socket, connection) : ENOTCONN;
    if (error != 0) killed.error = error;
    if (error != 0) break;
    killed.connections++;
  }
  killed.is_complete = killed.connections == found.size() && loop.now() < until;
  return killed;
}

}  // namespace vipd::net
