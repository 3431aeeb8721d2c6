#include "net/fence_clsact.hpp"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>

#include <cassert>
#include <cerrno>
#include <optional>

#include "net/messages.hpp"

namespace vipd::net {
namespace {

constexpr uint32_t kQdisc = TC_H_MAKE(TC_H_CLSACT, 0);
constexpr uint32_t kFirst = 1;     // priority; 0 would be "any"
constexpr int kStrayAnswers = 64;  // late answers of earlier requests that one request skips

uint32_t parent_of(FenceHook hook) {
  return TC_H_MAKE(TC_H_CLSACT, hook == FenceHook::Ingress ? TC_H_MIN_INGRESS : TC_H_MIN_EGRESS);
}

uint32_t info_of(uint32_t priority) {
  return TC_H_MAKE(priority << 16, htons(ETH_P_ALL));
}

void read_options(const nlattr* options, ClsactFilter* filter) {
  for_each_nested(options, [&](const nlattr* attr) {
    const uint16_t type = mnl_attr_get_type(attr);
    if (type == TCA_BPF_NAME) filter->name = text_payload(attr);
    if (type == TCA_BPF_ID) filter->program_id = fixed_payload<uint32_t>(attr).value_or(0);
  });
}

// The kernel also lists each priority by itself, with handle 0; that one asks nothing.
void read_filter(const nlmsghdr& header, std::vector<ClsactFilter>* filters) {
  const std::optional<tcmsg> info = fixed_header<tcmsg>(header);
  if (!info || info->tcm_handle == 0) return;
  ClsactFilter filter;
  filter.priority = TC_H_MAJ(info->tcm_info) >> 16;
  filter.handle = info->tcm_handle;
  bool is_bpf = false;
  uint32_t chain = 0;  // others are only asked by a filter that says so
  for_each_attribute(header, sizeof *info, [&](const nlattr* attr) {
    const uint16_t type = mnl_attr_get_type(attr);
    if (type == TCA_KIND) is_bpf = text_payload(attr) == "bpf";
    if (type == TCA_OPTIONS && is_bpf) read_options(attr, &filter);
    if (type == TCA_CHAIN) chain = fixed_payload<uint32_t>(attr).value_or(0);
  });
  if (chain == 0) filters->push_back(std::move(filter));
}

// Calls `take` for each message of a datagram that answers that request.
template <typename Function>
void for_each_answer(const NetlinkBuffer& buffer, ssize_t size, uint32_t seq, Function take) {
  for_each_header(buffer.bytes, size < 0 ? 0 : size, [&](const nlmsghdr& header) {
    if (header.nlmsg_seq == seq) take(header);
  });
}

}  // namespace

std::unique_ptr<Clsact> Clsact::open(std::string* reason) {
  NetlinkSocket socket = NetlinkSocket::open_for_requests(NETLINK_ROUTE, reason);
  if (!socket.is_open()) return nullptr;
  return std::unique_ptr<Clsact>(new Clsact(std::move(socket)));
}

nlmsghdr* Clsact::start(NetlinkBuffer* buffer, uint16_t type, uint16_t flags, int link_index,
                        uint32_t parent, uint32_t handle, uint32_t info) {
  nlmsghdr* const header = start_request(buffer, type, flags, ++seq_);
  auto* const body = static_cast<tcmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(tcmsg)));
  body->tcm_family = AF_UNSPEC;
  body->tcm_ifindex = link_index;
  body->tcm_parent = parent;
  body->tcm_handle = handle;
  body->tcm_info = info;
  return header;
}

int Clsact::execute(const nlmsghdr* request) {
  if (const int error = socket_.send(request); error != 0) return error;
  NetlinkBuffer buffer;
  for (int i = 0; i < kStrayAnswers; ++i) {
    const ssize_t size = socket_.receive(&buffer);
    if (size < 0 && errno != EINTR) return errno == EAGAIN ? ETIMEDOUT : errno;
    int result = -1;
    for_each_answer(buffer, size, seq_, [&](const nlmsghdr& header) {
      if (header.nlmsg_type == NLMSG_ERROR) result = error_in(header);
    });
    if (result >= 0) return result;
  }
  return ETIMEDOUT;
}

int Clsact::make_qdisc(int link_index, bool* was_made) {
  NetlinkBuffer buffer;
  // A second time without NLM_F_EXCL: then the kernel says whether the one that is there is ours.
  for (const uint16_t exclusive : {NLM_F_EXCL, 0}) {
    nlmsghdr* const header = start(&buffer, RTM_NEWQDISC, NLM_F_ACK | NLM_F_CREATE | exclusive,
                                   link_index, TC_H_CLSACT, kQdisc, 0);
    mnl_attr_put_strz(header, TCA_KIND, "clsact");
    const int error = execute(header);
    *was_made = error == 0 && exclusive != 0;
    if (error != EEXIST || exclusive == 0) return error;
  }
  return EEXIST;
}

int Clsact::remove_qdisc(int link_index) {
  NetlinkBuffer buffer;
  return execute(start(&buffer, RTM_DELQDISC, NLM_F_ACK, link_index, TC_H_CLSACT, kQdisc, 0));
}

int Clsact::list(int link_index, FenceHook hook, std::vector<ClsactFilter>* filters) {
  filters->clear();
  NetlinkBuffer buffer;
  const nlmsghdr* const request =
      start(&buffer, RTM_GETTFILTER, NLM_F_DUMP, link_index, parent_of(hook), 0, 0);
  if (const int error = socket_.send(request); error != 0) return error;
  for (int result = -1; result < 0;) {
    const ssize_t size = socket_.receive(&buffer);
    if (size < 0 && errno != EINTR) return errno == EAGAIN ? ETIMEDOUT : errno;
    for_each_answer(buffer, size, seq_, [&](const nlmsghdr& header) {
      if (header.nlmsg_type == RTM_NEWTFILTER) read_filter(header, filters);
      if (is_end(header)) result = error_in(header);
    });
    if (result > 0) return result;
  }
  return 0;
}

int Clsact::add_first(int link_index, FenceHook hook, int program_fd, const std::string& name) {
  NetlinkBuffer buffer;
  nlmsghdr* const header = start(&buffer, RTM_NEWTFILTER, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL,
                                 link_index, parent_of(hook), 0, info_of(kFirst));
  mnl_attr_put_strz(header, TCA_KIND, "bpf");
  nlattr* const options = mnl_attr_nest_start(header, TCA_OPTIONS);
  mnl_attr_put_u32(header, TCA_BPF_FD, static_cast<uint32_t>(program_fd));
  mnl_attr_put_strz(header, TCA_BPF_NAME, name.c_str());
  mnl_attr_put_u32(header, TCA_BPF_FLAGS, TCA_BPF_FLAG_ACT_DIRECT);
  mnl_attr_put_u32(header, TCA_BPF_FLAGS_GEN, TCA_CLS_FLAGS_SKIP_HW);
  mnl_attr_nest_end(header, options);
  return execute(header);
}

int Clsact::remove(int link_index, FenceHook hook, const ClsactFilter& filter) {
  NetlinkBuffer buffer;
  nlmsghdr* const header = start(&buffer, RTM_DELTFILTER, NLM_F_ACK, link_index, parent_of(hook),
                                 filter.handle, info_of(filter.priority));
  mnl_attr_put_strz(header, TCA_KIND, "bpf");
  return execute(header);
}

int clsact_notice(const nlmsghdr& header) {
  assert(header.nlmsg_len >= sizeof header);
  const bool is_filter = header.nlmsg_type == RTM_NEWTFILTER || header.nlmsg_type == RTM_DELTFILTER;
  const bool is_qdisc = header.nlmsg_type == RTM_NEWQDISC || header.nlmsg_type == RTM_DELQDISC;
  if ((!is_filter && !is_qdisc) || mnl_nlmsg_get_payload_len(&header) < sizeof(tcmsg)) return -1;
  const auto* const info = static_cast<const tcmsg*>(mnl_nlmsg_get_payload(&header));
  if (static_cast<uint32_t>(info->tcm_ifindex) == TCM_IFINDEX_MAGIC_BLOCK) return 0;
  if (TC_H_MAJ(info->tcm_parent) != TC_H_MAJ(TC_H_CLSACT)) return -1;
  return info->tcm_ifindex > 0 ? info->tcm_ifindex : 0;
}

}  // namespace vipd::net
