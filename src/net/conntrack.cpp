#include "net/conntrack.hpp"

#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <sys/epoll.h>

#include <cerrno>
#include <optional>
#include <utility>

#include "net/messages.hpp"
#include "net/netlink_socket.hpp"
#include "sys/file.hpp"

namespace vipd::net {
namespace {

constexpr Duration kGather = Duration::milliseconds(5);
constexpr uint16_t kSubsystem = NFNL_SUBSYS_CTNETLINK << 8;

// Loaded by what filters or translates; our request must not load it.
bool tracks_anything() {
  std::string text, reason;
  const bool is_there =
      sys::read_bounded("/proc/sys/net/netfilter/nf_conntrack_count", 32, &text, &reason);
  return is_there && !text.starts_with('0');
}

nlmsghdr* start(NetlinkBuffer* buffer, uint16_t type, uint16_t flags, uint32_t seq,
                uint8_t family) {
  nlmsghdr* header = mnl_nlmsg_put_header(buffer->bytes);
  header->nlmsg_type = static_cast<uint16_t>(kSubsystem | type);
  header->nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | flags);
  header->nlmsg_seq = seq;
  auto* message = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(nfgenmsg)));
  message->nfgen_family = family;
  message->version = NFNETLINK_V0;
  return header;
}

bool send(int fd, const nlmsghdr* header) {
  const sockaddr_nl kernel = {.nl_family = AF_NETLINK, .nl_pad = 0, .nl_pid = 0, .nl_groups = 0};
  return sendto(fd, header, header->nlmsg_len, 0, reinterpret_cast<const sockaddr*>(&kernel),
                sizeof kernel) >= 0;
}

// An entry as far as it matters here; what is nullptr is not there.
struct Entry {
  const nlattr* original = nullptr;
  const nlattr* reply = nullptr;
  const nlattr* zone = nullptr;
  const nlattr* id = nullptr;
};

Entry entry_of(const nlmsghdr& header) {
  Entry entry;
  for_each_attribute(header, sizeof(nfgenmsg), [&](const nlattr* attr) {
    const uint16_t type = mnl_attr_get_type(attr);
    if (type == CTA_TUPLE_ORIG) entry.original = attr;
    if (type == CTA_TUPLE_REPLY) entry.reply = attr;
    if (type == CTA_ZONE) entry.zone = attr;
    if (type == CTA_ID) entry.id = attr;
  });
  return entry;
}

Address destination_of(const nlattr* tuple, uint8_t family) {
  Address destination;
  if (tuple == nullptr) return destination;
  for_each_nested(tuple, [&](const nlattr* part) {
    if (mnl_attr_get_type(part) != CTA_TUPLE_IP) return;
    for_each_nested(part, [&](const nlattr* attr) {
      const uint16_t wanted = family == AF_INET ? CTA_IP_V4_DST : CTA_IP_V6_DST;
      if (mnl_attr_get_type(attr) == wanted) destination = address_payload(attr, family);
    });
  });
  return destination;
}

}  // namespace

// Opened once: the process may not be allowed to later.
Conntrack::Conntrack(Loop& loop, std::function<void(const Done&)> done)
    : loop_(loop),
      done_(std::move(done)),
      fd_(socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_NETFILTER)) {
  if (!is_there()) return;
  watch_ = loop_.add_fd(fd_.get(), EPOLLIN, [this](uint32_t) { on_readable(); });
}

Conntrack::~Conntrack() {
  loop_.cancel_timer(timer_);
  if (is_there()) loop_.remove_fd(watch_);
}

void Conntrack::forget(const Address& address) {
  if (!is_there()) return;
  next_.insert(address);
  if (timer_ != Loop::Timer::None || !now_.empty()) return;
  timer_ = loop_.add_timer(loop_.now() + kGather, [this] { begin(); });
}

void Conntrack::when_idle(std::function<void()> handler) {
  idle_ = std::move(handler);
  tell_idle();
}

void Conntrack::tell_idle() {
  if (!is_idle() || !idle_) return;
  const std::function<void()> handler = std::exchange(idle_, nullptr);
  handler();
}

// Not filtered by the kernel: it would go through the whole table in one call.
void Conntrack::begin() {
  timer_ = Loop::Timer::None;
  if (!tracks_anything()) {
    next_.clear();
    return tell_idle();
  }
  now_ = std::exchange(next_, {});
  entries_ = 0;
  NetlinkBuffer buffer;
  const nlmsghdr* header = start(&buffer, IPCTNL_MSG_CT_GET, NLM_F_DUMP, ++seq_, AF_UNSPEC);
  if (!send(fd_.get(), header)) finish(errno);
}

void Conntrack::on_readable() {
  do {
    NetlinkBuffer buffer;
    sockaddr_nl from{};
    socklen_t from_size = sizeof from;
    const ssize_t size = recvfrom(fd_.get(), buffer.bytes, sizeof buffer.bytes, 0,
                                  reinterpret_cast<sockaddr*>(&from), &from_size);
    if (size < 0) {
      // ENOBUFS or ENOMEM, say: the dump is over, and its end will not be told.
      if (errno != EAGAIN && errno != EINTR && !now_.empty()) finish(errno);
      return;
    }
    if (from.nl_pid == 0 && take({buffer.bytes, static_cast<size_t>(size)})) return;
  } while (!loop_.budget_is_spent());
}

// True when that was the last of the dump. What fails to be deleted has gone by itself.
bool Conntrack::take(std::span<const uint8_t> datagram) {
  std::optional<int> end;
  for_each_header(datagram.data(), datagram.size(), [&](const nlmsghdr& header) {
    if (end || header.nlmsg_seq != seq_ || now_.empty()) return;
    if (is_end(header)) end = error_in(header);
    if (!end) judge(header);
  });
  if (end) finish(*end);
  return end.has_value();
}

void Conntrack::judge(const nlmsghdr& header) {
  const std::optional<nfgenmsg> message = fixed_header<nfgenmsg>(header);
  if (!message) return;
  const uint8_t family = message->nfgen_family;
  const Entry entry = entry_of(header);
  if (entry.original == nullptr) return;
  const bool is_meant = now_.contains(destination_of(entry.original, family)) ||
                        now_.contains(destination_of(entry.reply, family));
  if (!is_meant) return;
  NetlinkBuffer buffer;
  nlmsghdr* request = start(&buffer, IPCTNL_MSG_CT_DELETE, 0, 0, family);
  for (const nlattr* attr : {entry.original, entry.zone, entry.id}) {
    if (attr == nullptr) continue;
    mnl_attr_put(request, attr->nla_type, mnl_attr_get_payload_len(attr),
                 mnl_attr_get_payload(attr));
  }
  if (send(fd_.get(), request)) entries_++;
}

void Conntrack::finish(int error) {
  const Done done = {.entries = entries_, .addresses = now_.size(), .error = error};
  now_.clear();
  if (!next_.empty()) timer_ = loop_.add_timer(loop_.now() + kGather, [this] { begin(); });
  done_(done);
  tell_idle();
}

}  // namespace vipd::net
