#include "net/netlink.hpp"

#include <libmnl/libmnl.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/ip.h>
#include <linux/rtnetlink.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cassert>
#include <cerrno>
#include <utility>

#include "net/netlink_socket.hpp"
#include "net/route.hpp"
#include "net/rtnl_parse.hpp"

namespace vipd::net {
namespace {

using Kind = RtnlMessage::Kind;

constexpr int kMonitorBuffer = 2 << 20;  // holds 2500 address events and more; the default 256
constexpr int kMessagesPerTurn = 256;    // the rest of the loop must not wait for a storm to end
// More datagrams than kMonitorBuffer can hold: after so many, all that was queued is out.
constexpr int kDrainMax = 8192;
constexpr int kDumpAttempts = 5;
constexpr int kStrayAnswers = 64;  // late answers of earlier requests that one request skips

void enlarge_buffer(int fd) {
  const int size = kMonitorBuffer;
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) == 0) return;
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
}

void put_address(nlmsghdr* header, int link_index, const Address& address, unsigned prefix_length) {
  auto* info = static_cast<ifaddrmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(ifaddrmsg)));
  info->ifa_family = address.is_v4() ? AF_INET : AF_INET6;
  info->ifa_prefixlen = static_cast<uint8_t>(prefix_length);
  info->ifa_index = static_cast<uint32_t>(link_index);
  mnl_attr_put(header, IFA_LOCAL, address.size(), address.data());
  // Without it a deletion takes the first address of any prefix length (net/ipv4/devinet.c).
  mnl_attr_put(header, IFA_ADDRESS, address.size(), address.data());
}

void put_lifetime(nlmsghdr* header, const Address& address, uint32_t valid_s, bool is_preferred) {
  ifa_cacheinfo lifetimes{};
  // 0: deprecated, never chosen as the source of outgoing connections
  lifetimes.ifa_prefered = is_preferred ? valid_s : 0;
  lifetimes.ifa_valid = valid_s;
  mnl_attr_put(header, IFA_CACHEINFO, sizeof lifetimes, &lifetimes);
  // Duplicate address detection would keep an IPv6 address unusable for a second or two.
  const uint32_t flags = IFA_F_NOPREFIXROUTE | (address.is_v6() ? IFA_F_NODAD : 0U);
  mnl_attr_put_u32(header, IFA_FLAGS, flags);
  mnl_attr_put_u8(header, IFA_PROTO, kAddressProto);
}

template <typename Function, typename... Args>
void call(const Function& function, Args&&... args) {
  if (function) function(std::forward<Args>(args)...);
}

}  // namespace

struct Netlink::Impl {
  Loop& loop;
  Handlers handlers;
  NetlinkSocket request;
  NetlinkSocket monitor;
  Loop::FdWatch watch = Loop::FdWatch::None;
  uint32_t seq = 0;
  uint32_t own_port = 0;

  ~Impl();
  int execute(nlmsghdr* header);
  int await_ack();
  int promote_secondaries(int link_index, bool is_wanted);
  int remove_of_subnet(int link_index, const Address& address, unsigned prefix_length);
  int remove(int link_index, const Address& address, unsigned prefix_length);
  std::optional<bool> promotes(int link_index);  // nullopt: the kernel would not say
  int dump_part(nlmsghdr* header, std::vector<Link>* links, std::vector<AddressInfo>* addresses);
  int dump_all(std::vector<Link>* links, std::vector<AddressInfo>* addresses);
  void on_readable();
  bool deliver_queued();
  void drain();
  void deliver(const RtnlMessage& message);
};

Netlink::Impl::~Impl() {
  if (watch != Loop::FdWatch::None) loop.remove_fd(watch);
}

// The kernel has queued the acknowledgement before the send returned, so this waits only when
// something is wrong.
int Netlink::Impl::await_ack() {
  NetlinkBuffer buffer;
  for (int i = 0; i < kStrayAnswers; ++i) {
    const ssize_t size = request.receive(&buffer);
    if (size < 0 && errno != EINTR) return errno == EAGAIN ? ETIMEDOUT : errno;
    int result = -1;
    for_each_message(buffer.bytes, size < 0 ? 0 : size, own_port, [&](const RtnlMessage& message) {
      if (message.kind == Kind::Ack && message.seq == seq) result = message.error;
    });
    if (result >= 0) return result;
  }
  return ETIMEDOUT;
}

int Netlink::Impl::execute(nlmsghdr* header) {
  const int error = request.send(header);
  return error != 0 ? error : await_ack();
}

int Netlink::Impl::remove(int link_index, const Address& address, unsigned prefix_length) {
  NetlinkBuffer buffer;
  nlmsghdr* header = start_request(&buffer, RTM_DELADDR, NLM_F_ACK, ++seq);
  put_address(header, link_index, address, prefix_length);
  return execute(header);
}

// Its secondaries live on as addresses of their own (net/ipv4/devinet.c, __inet_del_ifa).
int Netlink::Impl::remove_of_subnet(int link_index, const Address& address,
                                    unsigned prefix_length) {
  const std::optional<bool> promoted = promotes(link_index);
  if (!promoted.value_or(false)) (void)promote_secondaries(link_index, true);
  const int error = remove(link_index, address, prefix_length);
  // Not where it is unknown what it was.
  if (promoted && !*promoted) (void)promote_secondaries(link_index, false);
  return error;
}

std::optional<bool> Netlink::Impl::promotes(int link_index) {
  NetlinkBuffer buffer;
  nlmsghdr* header = start_request(&buffer, RTM_GETLINK, NLM_F_ACK, ++seq);
  auto* info = static_cast<ifinfomsg*>(mnl_nlmsg_put_extra_header(header, sizeof(ifinfomsg)));
  info->ifi_index = link_index;
  std::vector<Link> links;
  std::vector<AddressInfo> none;
  if (dump_part(header, &links, &none) != 0 || links.empty()) return std::nullopt;
  return links.front().promotes;
}

int Netlink::Impl::promote_secondaries(int link_index, bool is_wanted) {
  NetlinkBuffer buffer;
  nlmsghdr* header = start_request(&buffer, RTM_SETLINK, NLM_F_ACK, ++seq);
  auto* info = static_cast<ifinfomsg*>(mnl_nlmsg_put_extra_header(header, sizeof(ifinfomsg)));
  info->ifi_index = link_index;
  nlattr* const families = mnl_attr_nest_start(header, IFLA_AF_SPEC);
  nlattr* const family = mnl_attr_nest_start(header, AF_INET);
  nlattr* const values = mnl_attr_nest_start(header, IFLA_INET_CONF);
  mnl_attr_put_u32(header, IPV4_DEVCONF_PROMOTE_SECONDARIES, is_wanted ? 1 : 0);
  mnl_attr_nest_end(header, values);
  mnl_attr_nest_end(header, family);
  mnl_attr_nest_end(header, families);
  return execute(header);
}

// Returns 0, EINTR for a dump that the kernel calls inconsistent, or another errno.
int Netlink::Impl::dump_part(nlmsghdr* header, std::vector<Link>* links,
                             std::vector<AddressInfo>* addresses) {
  if (const int error = request.send(header); error != 0) return error;
  NetlinkBuffer buffer;
  bool interrupted = false;
  int result = -1;
  while (result < 0) {
    const ssize_t size = request.receive(&buffer);
    if (size < 0 && errno != EINTR) return errno == EAGAIN ? ETIMEDOUT : errno;
    for_each_message(buffer.bytes, size < 0 ? 0 : size, own_port, [&](const RtnlMessage& message) {
      if (message.seq != seq) return;
      interrupted |= message.dump_interrupted;
      if (message.kind == Kind::LinkChanged) links->push_back(message.link);
      if (message.kind == Kind::AddressAdded) addresses->push_back(message.address);
      if (message.kind == Kind::DumpDone || message.kind == Kind::Ack) result = message.error;
    });
  }
  return result == 0 && interrupted ? EINTR : result;
}

int Netlink::Impl::dump_all(std::vector<Link>* links, std::vector<AddressInfo>* addresses) {
  NetlinkBuffer buffer;
  links->clear();
  addresses->clear();
  nlmsghdr* header = start_request(&buffer, RTM_GETLINK, NLM_F_DUMP, ++seq);
  mnl_nlmsg_put_extra_header(header, sizeof(ifinfomsg));
  mnl_attr_put_u32(header, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
  if (const int error = dump_part(header, links, addresses); error != 0) return error;
  header = start_request(&buffer, RTM_GETADDR, NLM_F_DUMP, ++seq);
  mnl_nlmsg_put_extra_header(header, sizeof(ifaddrmsg));
  return dump_part(header, links, addresses);
}

void Netlink::Impl::deliver(const RtnlMessage& message) {
  switch (message.kind) {
    case Kind::LinkChanged:
      call(handlers.link_changed, message.link);
      break;
    case Kind::LinkRemoved:
      call(handlers.link_removed, message.link.index);
      break;
    case Kind::AddressAdded:
      call(handlers.address_added, message.address);
      break;
    case Kind::AddressRemoved:
      call(handlers.address_removed, message.address);
      break;
    case Kind::Other:
    case Kind::Ack:
    case Kind::DumpDone:
      break;
  }
}

void Netlink::Impl::on_readable() {
  NetlinkBuffer buffer;
  for (int i = 0; i < kMessagesPerTurn; ++i) {
    const ssize_t size = monitor.receive(&buffer);
    if (size < 0 && errno == ENOBUFS) return drain();
    if (size < 0) return;
    for_each_message(buffer.bytes, size, own_port, [&](const RtnlMessage& m) { deliver(m); });
  }
}

// Whether anything had been queued.
bool Netlink::Impl::deliver_queued() {
  NetlinkBuffer buffer;
  bool any = false;
  for (int i = 0; i < kMessagesPerTurn; ++i) {
    const ssize_t size = monitor.receive(&buffer);
    if (size < 0 && errno != ENOBUFS) break;
    any = true;
    for_each_message(buffer.bytes, size < 0 ? 0 : size, own_port,
                     [&](const RtnlMessage& m) { deliver(m); });
  }
  return any;
}

// What is queued is older than what was lost: it would only undo what the dump is about to say.
void Netlink::Impl::drain() {
  NetlinkBuffer buffer;
  for (int i = 0; i < kDrainMax; ++i) {
    if (monitor.receive(&buffer) < 0 && errno == EAGAIN) break;
  }
  call(handlers.overrun);
}

Netlink::Netlink(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Netlink::~Netlink() = default;

std::unique_ptr<Netlink> Netlink::open(Loop& loop, Handlers handlers, std::string* reason) {
  NetlinkSocket request = NetlinkSocket::open_for_requests(NETLINK_ROUTE, reason);
  const unsigned groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR;
  NetlinkSocket monitor = NetlinkSocket::open_for_notices(groups, reason);
  if (!request.is_open() || !monitor.is_open()) return nullptr;
  enlarge_buffer(monitor.fd());
  auto impl = std::unique_ptr<Impl>(
      new Impl{loop, std::move(handlers), std::move(request), std::move(monitor)});
  impl->own_port = impl->request.port();
  Impl* self = impl.get();
  impl->watch = loop.add_fd(impl->monitor.fd(), EPOLLIN, [self](uint32_t) { self->on_readable(); });
  return std::unique_ptr<Netlink>(new Netlink(std::move(impl)));
}

bool Netlink::dump(std::vector<Link>* links, std::vector<AddressInfo>* addresses) {
  for (int i = 0; i < kDumpAttempts; ++i) {
    const int error = impl_->dump_all(links, addresses);
    if (error != 0 && error != EINTR) return false;
    // What was queued meanwhile may be older than the dump, and bring back a link that has gone.
    const bool is_last = i + 1 == kDumpAttempts;
    if (error == 0 && (is_last || !impl_->deliver_queued())) return true;
  }
  return false;
}

std::string label_on(const std::string& link_name) {
  constexpr std::string_view kTail = ":vip";
  return link_name.substr(0, IFNAMSIZ - 1 - kTail.size()).append(kTail);
}

int Netlink::add_address(int link_index, const Address& address, unsigned prefix_length,
                         uint32_t valid_s, bool is_preferred, const std::string& label) {
  assert(valid_s >= 1 && valid_s <= 14);
  NetlinkBuffer buffer;
  nlmsghdr* header =
      start_request(&buffer, RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, ++impl_->seq);
  put_address(header, link_index, address, prefix_length);
  put_lifetime(header, address, valid_s, is_preferred);
  if (address.is_v4() && !label.empty()) mnl_attr_put_strz(header, IFA_LABEL, label.c_str());
  return impl_->execute(header);
}

int Netlink::remove_address(int link_index, const Address& address, unsigned prefix_length) {
  const bool is_of_subnet = address.is_v4() && prefix_length < 32;
  const int error = is_of_subnet ? impl_->remove_of_subnet(link_index, address, prefix_length)
                                 : impl_->remove(link_index, address, prefix_length);
  return error == EADDRNOTAVAIL || error == ENODEV ? 0 : error;
}

// Neither NLM_F_EXCL nor NLM_F_REPLACE: an equal one is renewed, and nobody else's is replaced.
int Netlink::add_route(const Route& route, uint32_t valid_s) {
  NetlinkBuffer buffer;
  nlmsghdr* header = start_request(&buffer, RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE, ++impl_->seq);
  put_route(header, route, valid_s);
  const int error = impl_->execute(header);
  return error == EEXIST ? 0 : error;
}

int Netlink::remove_route(const Route& route) {
  NetlinkBuffer buffer;
  nlmsghdr* header = start_request(&buffer, RTM_DELROUTE, NLM_F_ACK, ++impl_->seq);
  put_route(header, route, 0);
  const int error = impl_->execute(header);
  return error == ESRCH || error == ENODEV ? 0 : error;
}

// By a socket of its own: the rest of the list goes with it.
int Netlink::default_link(bool is_v6) {
  std::string reason;
  NetlinkSocket socket = NetlinkSocket::open_for_requests(NETLINK_ROUTE, &reason);
  if (!socket.is_open()) return 0;
  const int is_strict = 1;  // the table is minded, from Linux 4.20 on; before that all are listed
  setsockopt(socket.fd(), SOL_NETLINK, NETLINK_GET_STRICT_CHK, &is_strict, sizeof is_strict);
  NetlinkBuffer buffer;
  nlmsghdr* header = start_request(&buffer, RTM_GETROUTE, NLM_F_DUMP, ++impl_->seq);
  auto* route = static_cast<rtmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(rtmsg)));
  route->rtm_family = is_v6 ? AF_INET6 : AF_INET;
  route->rtm_table = RT_TABLE_MAIN;
  if (socket.send(header) != 0) return 0;
  const ssize_t size = socket.receive(&buffer);
  return size <= 0 ? 0 : first_default_link(buffer.bytes, static_cast<size_t>(size));
}

}  // namespace vipd::net
