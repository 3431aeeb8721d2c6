// Who has which address, by the kernels' own events, in the order in which they happened. Reads
// every host's events from one socket; never changes an address.
#pragma once

#include <linux/net_namespace.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include <map>
#include <set>
#include <utility>

#include "witness_common.hpp"

namespace witness {

struct Request {
  nlmsghdr header{};
  char body[64]{};

  template <typename Payload>
  Request(uint16_t type, uint16_t flags, const Payload& payload) {
    header.nlmsg_type = type;
    header.nlmsg_flags = NLM_F_REQUEST | flags;
    header.nlmsg_len = NLMSG_SPACE(sizeof payload);
    memcpy(body, &payload, sizeof payload);
  }
  void put(uint16_t type, int32_t value) {
    rtattr attribute{RTA_LENGTH(sizeof value), type};
    char* at = reinterpret_cast<char*>(this) + header.nlmsg_len;
    memcpy(at, &attribute, sizeof attribute);
    memcpy(at + RTA_LENGTH(0), &value, sizeof value);
    header.nlmsg_len += RTA_SPACE(sizeof value);
  }
  void send_to(int fd) const {
    if (send(fd, this, header.nlmsg_len, 0) < 0) die("netlink request");
  }
};

inline int open_netlink() {
  const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (fd < 0) die("netlink socket");
  return fd;
}

// The id by which the client's namespace knows a host's; given by the kernel if it has none yet.
inline int namespace_id(int fd, int netns) {
  Request give(RTM_NEWNSID, NLM_F_ACK, rtgenmsg{AF_UNSPEC});
  give.put(NETNSA_NSID, -1);
  give.put(NETNSA_FD, netns);
  give.send_to(fd);
  alignas(nlmsghdr) char answer[4096];
  if (recv(fd, answer, sizeof answer, 0) < 0) die("RTM_NEWNSID");  // EEXIST is as good

  Request ask(RTM_GETNSID, 0, rtgenmsg{AF_UNSPEC});
  ask.put(NETNSA_FD, netns);
  ask.send_to(fd);
  const ssize_t length = recv(fd, answer, sizeof answer, 0);
  const auto* header = reinterpret_cast<nlmsghdr*>(answer);
  if (length < 0 || header->nlmsg_type != RTM_NEWNSID) die("RTM_GETNSID");
  const auto* attribute =
      reinterpret_cast<rtattr*>(answer + NLMSG_SPACE(NLMSG_ALIGN(sizeof(rtgenmsg))));
  return *static_cast<int32_t*>(RTA_DATA(attribute));
}

inline int open_events() {
  const int fd = open_netlink();
  set_size(fd, SO_RCVBUFFORCE, kEventSocketBytes);
  const int on = 1;
  if (setsockopt(fd, SOL_NETLINK, NETLINK_LISTEN_ALL_NSID, &on, sizeof on) < 0)
    die("NETLINK_LISTEN_ALL_NSID");
  // A socket without a port of its own gets no kernel events (do_one_broadcast excludes port 0).
  sockaddr_nl any{};
  any.nl_family = AF_NETLINK;
  if (bind(fd, reinterpret_cast<sockaddr*>(&any), sizeof any) < 0) die("netlink bind");
  for (const int group : {RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR}) {
    if (setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) < 0)
      die("address events");
  }
  fcntl(fd, F_SETFL, O_NONBLOCK);
  return fd;
}

struct AddressEvent {
  bool added = false;
  Ip address;
  unsigned length = 0;
  unsigned link = 0;
  unsigned proto = 0;
  uint32_t valid = 0;
  bool expired = false;
};

inline bool parse(const nlmsghdr* header, AddressEvent* event) {
  if (header->nlmsg_type != RTM_NEWADDR && header->nlmsg_type != RTM_DELADDR) return false;
  const auto* message = static_cast<const ifaddrmsg*>(NLMSG_DATA(header));
  if (message->ifa_family != AF_INET && message->ifa_family != AF_INET6) return false;
  event->address.family = message->ifa_family;
  // IPv6 names an address by IFA_LOCAL only where there is a peer.
  const int name = message->ifa_family == AF_INET ? IFA_LOCAL : IFA_ADDRESS;
  event->added = header->nlmsg_type == RTM_NEWADDR;
  event->length = message->ifa_prefixlen;
  event->link = message->ifa_index;
  int left = static_cast<int>(IFA_PAYLOAD(header));
  for (auto* a = IFA_RTA(message); RTA_OK(a, left); a = RTA_NEXT(a, left)) {
    if (a->rta_type == name && RTA_PAYLOAD(a) == event->address.size())
      memcpy(event->address.bytes.data(), RTA_DATA(a), event->address.size());
    if (a->rta_type == kIfaProto) event->proto = *static_cast<uint8_t*>(RTA_DATA(a));
    if (a->rta_type == IFA_CACHEINFO)
      event->valid = static_cast<ifa_cacheinfo*>(RTA_DATA(a))->ifa_valid;
  }
  // The kernel's own removal at the end of the lifetime names no process and has nothing left.
  event->expired = !event->added && header->nlmsg_pid == 0 && event->valid == 0;
  return true;
}

// Who has which address, by the kernels' word; says every change, and every moment of two owners.
class Ledger {
 public:
  explicit Ledger(const Options& options) : options_(options) {
    for (const Ip& vip : options.vips) places_[vip].resize(options.hosts.size());
  }

  void apply(size_t host, const AddressEvent& event, bool initial) {
    const auto vip = places_.find(event.address);
    if (vip == places_.end()) return;
    auto& here = vip->second[host];
    const auto place = std::make_pair(event.link, event.length);
    const bool changed = event.added ? here.insert(place).second : here.erase(place) > 0;
    if (!changed) return count_renewal(host, event);
    emit(R"({"ev":"%s","t":%.6f,"host":"%s","vip":"%s","len":%u,"proto":%u,"valid":%u,)"
         R"("expired":%s,"initial":%s})",
         event.added ? "add" : "del", seconds(now_ns()), options_.hosts[host].name.c_str(),
         text(event.address).c_str(), event.length, event.proto, event.valid,
         event.expired ? "true" : "false", initial ? "true" : "false");
    judge(vip->first, vip->second);
  }

 private:
  using Places = std::set<std::pair<unsigned, unsigned>>;  // link, prefix length

  void judge(const Ip& vip, const std::vector<Places>& places) {
    std::string owners;
    int count = 0;
    for (size_t i = 0; i < places.size(); i++) {
      if (places[i].empty()) continue;
      owners += (count++ ? "," : "") + ("\"" + options_.hosts[i].name + "\"");
    }
    const bool overlap = count > 1;
    if (overlap == (overlapping_.count(vip) > 0)) return;
    overlap ? (void)overlapping_.insert(vip) : (void)overlapping_.erase(vip);
    emit(R"({"ev":"%s","t":%.6f,"vip":"%s","hosts":[%s]})", overlap ? "overlap" : "overlap_end",
         seconds(now_ns()), text(vip).c_str(), owners.c_str());
  }

  // A renewal is no change; but its lifetime must be one that the kernel ends in time.
  void count_renewal(size_t host, const AddressEvent& event) {
    if (!event.added || (event.valid > 0 && event.valid <= 14)) return;
    emit(R"({"ev":"lifetime","t":%.6f,"host":"%s","vip":"%s","valid":%u})", seconds(now_ns()),
         options_.hosts[host].name.c_str(), text(event.address).c_str(), event.valid);
  }

  const Options& options_;
  std::map<Ip, std::vector<Places>> places_;
  std::set<Ip> overlapping_;
};

inline void dump(const Options& options, size_t host, Ledger* ledger) {
  if (setns(options.hosts[host].netns, CLONE_NEWNET) < 0) die("setns");
  const int fd = open_netlink();
  Request(RTM_GETADDR, NLM_F_DUMP, ifaddrmsg{AF_UNSPEC, 0, 0, 0, 0}).send_to(fd);
  alignas(nlmsghdr) static char buffer[1 << 16];
  for (bool done = false; !done;) {
    ssize_t left = recv(fd, buffer, sizeof buffer, 0);
    if (left < 0) die("address dump");
    for (auto* h = reinterpret_cast<nlmsghdr*>(buffer); NLMSG_OK(h, left);
         h = NLMSG_NEXT(h, left)) {
      AddressEvent event;
      if (h->nlmsg_type == NLMSG_DONE || h->nlmsg_type == NLMSG_ERROR)
        done = true;
      else if (parse(h, &event))
        ledger->apply(host, event, true);
    }
  }
  close(fd);
}

inline int sender_namespace(msghdr* message) {
  for (auto* c = CMSG_FIRSTHDR(message); c != nullptr; c = CMSG_NXTHDR(message, c)) {
    if (c->cmsg_level != SOL_NETLINK || c->cmsg_type != NETLINK_LISTEN_ALL_NSID) continue;
    int nsid = -1;
    memcpy(&nsid, CMSG_DATA(c), sizeof nsid);
    return nsid;
  }
  return -1;
}

// Reads until the queue is empty. An overrun would be a hole in the proof, so it is said.
inline void drain_events(int fd, const Options& options, Ledger* ledger) {
  alignas(nlmsghdr) static char buffer[1 << 16];
  for (;;) {
    alignas(cmsghdr) char control[128];
    iovec part{buffer, sizeof buffer};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    ssize_t left = recvmsg(fd, &message, 0);
    if (left < 0 && errno == ENOBUFS) {
      emit(R"({"ev":"lost","t":%.6f})", seconds(now_ns()));
      continue;
    }
    if (left < 0) return;
    const int nsid = sender_namespace(&message);
    for (size_t i = 0; i < options.hosts.size(); i++) {
      if (options.hosts[i].nsid != nsid) continue;
      for (auto* h = reinterpret_cast<nlmsghdr*>(buffer); NLMSG_OK(h, left);
           h = NLMSG_NEXT(h, left)) {
        AddressEvent event;
        if (parse(h, &event)) ledger->apply(i, event, false);
      }
    }
  }
}

}  // namespace witness
