// Filters of clsact by rtnetlink: attaches one as the first at a hook of a link, and lists the
// others. Needs CAP_NET_ADMIN. Requests are executed by the kernel inside the send call, as in
// netlink.hpp.
//
// Source: linux/pkt_cls.h, linux/pkt_sched.h, net/sched/{sch_api,cls_api,cls_bpf,sch_ingress}.c.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "net/fence_program.hpp"
#include "net/netlink_socket.hpp"

namespace vipd::net {

struct ClsactFilter {
  uint32_t priority = 0;
  uint32_t handle = 0;
  uint32_t program_id = 0;  // 0: no filter of kind bpf
  std::string name;         // of such a filter
};

class Clsact {
 public:
  static std::unique_ptr<Clsact> open(std::string* reason);

  // Makes the qdisc unless it is there. 0, or an errno: ENOENT where the kernel has none, EINVAL
  // where the link has the older `ingress` in its place.
  [[nodiscard]] int make_qdisc(int link_index, bool* was_made);
  // With all filters of both hooks.
  [[nodiscard]] int remove_qdisc(int link_index);

  // In the order in which the kernel asks them. 0 or an errno; nothing for a link without clsact.
  [[nodiscard]] int list(int link_index, FenceHook hook, std::vector<ClsactFilter>* filters);
  // Before all others: priority 1, and there before those that have it, too (a filter of another
  // kind or protocol at priority 1 makes it EINVAL). ENOENT where the kernel has no cls_bpf.
  [[nodiscard]] int add_first(int link_index, FenceHook hook, int program_fd,
                              const std::string& name);
  [[nodiscard]] int remove(int link_index, FenceHook hook, const ClsactFilter& filter);

 private:
  explicit Clsact(NetlinkSocket socket) : socket_(std::move(socket)) {}
  nlmsghdr* start(NetlinkBuffer* buffer, uint16_t type, uint16_t flags, int link_index,
                  uint32_t parent, uint32_t handle, uint32_t info);
  int execute(const nlmsghdr* header);

  NetlinkSocket socket_;
  uint32_t seq_ = 0;
};

// The link that a notice of RTMGRP_TC speaks of, where it is about clsact; 0: of no link, or of
// several; -1: about something else. REQUIRES: nlmsg_len is right.
[[nodiscard]] int clsact_notice(const nlmsghdr& header);

}  // namespace vipd::net
