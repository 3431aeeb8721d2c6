#include "net/netlink_socket.hpp"

#include <sys/socket.h>
#include <sys/time.h>

#include <cerrno>

#include "sys/errno_text.hpp"

namespace vipd::net {
namespace {

constexpr timeval kAnswerTimeout = {0, 200'000};

}  // namespace

NetlinkSocket NetlinkSocket::open(int protocol, int flags, unsigned groups, std::string* reason) {
  NetlinkSocket made;
  made.socket_.reset(mnl_socket_open2(protocol, flags | SOCK_CLOEXEC));
  if (!made.is_open() || mnl_socket_bind(made.socket_.get(), groups, MNL_SOCKET_AUTOPID) < 0) {
    *reason = sys::errno_text("netlink socket");
    made.socket_.reset();
  }
  return made;
}

NetlinkSocket NetlinkSocket::open_for_requests(int protocol, std::string* reason) {
  NetlinkSocket made = open(protocol, 0, 0, reason);
  if (made.is_open() &&
      setsockopt(made.fd(), SOL_SOCKET, SO_RCVTIMEO, &kAnswerTimeout, sizeof kAnswerTimeout) < 0) {
    *reason = sys::errno_text("netlink socket");
    made.socket_.reset();
  }
  return made;
}

NetlinkSocket NetlinkSocket::open_for_notices(unsigned groups, std::string* reason) {
  return open(NETLINK_ROUTE, SOCK_NONBLOCK, groups, reason);
}

int NetlinkSocket::send(const nlmsghdr* header) {
  return mnl_socket_sendto(socket_.get(), header, header->nlmsg_len) < 0 ? errno : 0;
}

ssize_t NetlinkSocket::receive(NetlinkBuffer* buffer) {
  sockaddr_nl from{};
  iovec part = {buffer->bytes, sizeof buffer->bytes};
  msghdr header{};
  header.msg_name = &from;
  header.msg_namelen = sizeof from;
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  const ssize_t size = recvmsg(fd(), &header, 0);
  if (size < 0) return -1;
  // Other processes may send to our port id as well: only what comes from the kernel counts.
  if (from.nl_pid != 0) return 0;
  if ((header.msg_flags & MSG_TRUNC) != 0) return errno = ENOBUFS, -1;
  return size;
}

nlmsghdr* start_request(NetlinkBuffer* buffer, uint16_t type, uint16_t flags, uint32_t seq) {
  nlmsghdr* header = mnl_nlmsg_put_header(buffer->bytes);
  header->nlmsg_type = type;
  header->nlmsg_flags = NLM_F_REQUEST | flags;
  header->nlmsg_seq = seq;
  return header;
}

}  // namespace vipd::net
