#include "net/fence_clsact.hpp"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>

#include <cassert>
#include <cerrno>
#include <cstring>

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

template <typename Function>
void for_each_attribute(const void* begin, size_t size, Function take) {
  auto* attr = static_cast<const nlattr*>(begin);
  const auto* const end = static_cast<const char*>(begin) + size;
  const auto left = [&] { return static_cast<int>(end - reinterpret_cast<const char*>(attr)); };
  for (; mnl_attr_ok(attr, left()); attr = mnl_attr_next(attr)) take(attr);
}

std::string text(const nlattr* attr) {
  const char* const start = mnl_attr_get_str(attr);
  return {start, strnlen(start, mnl_attr_get_payload_len(attr))};
}

uint32_t number(const nlattr* attr) {
  return mnl_attr_get_payload_len(attr) < sizeof(uint32_t) ? 0 : mnl_attr_get_u32(attr);
}

void read_options(const nlattr* options, ClsactFilter* filter) {
  for_each_attribute(mnl_attr_get_payload(options), mnl_attr_get_payload_len(options),
                     [&](const nlattr* attr) {
                       if (mnl_attr_get_type(attr) == TCA_BPF_NAME) filter->name = text(attr);
                       if (mnl_attr_get_type(attr) == TCA_BPF_ID) filter->program_id = number(attr);
                     });
}

// The kernel also lists each priority by itself, with handle 0; that one asks nothing.
void read_filter(const nlmsghdr* header, std::vector<ClsactFilter>* filters) {
  if (mnl_nlmsg_get_payload_len(header) < sizeof(tcmsg)) return;
  const auto* info = static_cast<const tcmsg*>(mnl_nlmsg_get_payload(header));
  if (info->tcm_handle == 0) return;
  ClsactFilter filter;
  filter.priority = TC_H_MAJ(info->tcm_info) >> 16;
  filter.handle = info->tcm_handle;
  bool is_bpf = false;
  uint32_t chain = 0;  // others are only asked by a filter that says so
  const void* const first = mnl_nlmsg_get_payload_offset(header, sizeof(tcmsg));
  const size_t size = mnl_nlmsg_get_payload_len(header) - MNL_ALIGN(sizeof(tcmsg));
  for_each_attribute(first, size, [&](const nlattr* attr) {
    if (mnl_attr_get_type(attr) == TCA_KIND) is_bpf = text(attr) == "bpf";
    if (mnl_attr_get_type(attr) == TCA_OPTIONS && is_bpf) read_options(attr, &filter);
    if (mnl_attr_get_type(attr) == TCA_CHAIN) chain = number(attr);
  });
  if (chain == 0) filters->push_back(std::move(filter));
}

int error_in(const nlmsghdr* header) {
  if (header->nlmsg_type != NLMSG_ERROR ||
      mnl_nlmsg_get_payload_len(header) < sizeof(nlmsgerr::error)) {
    return 0;
  }
  return -static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(header))->error;
}

// Calls `take` for each message of a datagram that answers that request.
template <typename Function>
void for_each_answer(const RtnlBuffer& buffer, ssize_t size, uint32_t seq, Function take) {
  int left = static_cast<int>(size);
  auto* header = reinterpret_cast<const nlmsghdr*>(buffer.bytes);
  for (; mnl_nlmsg_ok(header, left); header = mnl_nlmsg_next(header, &left)) {
    if (header->nlmsg_seq == seq) take(header);
  }
}

}  // namespace

std::unique_ptr<Clsact> Clsact::open(std::string* reason) {
  RtnlSocket socket = RtnlSocket::open_for_requests(reason);
  if (!socket.is_open()) return nullptr;
  return std::unique_ptr<Clsact>(new Clsact(std::move(socket)));
}

nlmsghdr* Clsact::start(RtnlBuffer* buffer, uint16_t type, uint16_t flags, int link_index,
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
  RtnlBuffer buffer;
  for (int i = 0; i < kStrayAnswers; ++i) {
    const ssize_t size = socket_.receive(&buffer);
    if (size < 0 && errno != EINTR) return errno == EAGAIN ? ETIMEDOUT : errno;
    int result = -1;
    for_each_answer(buffer, size < 0 ? 0 : size, seq_, [&](const nlmsghdr* header) {
      if (header->nlmsg_type == NLMSG_ERROR) result = error_in(header);
    });
    if (result >= 0) return result;
  }
  return ETIMEDOUT;
}

int Clsact::make_qdisc(int link_index, bool* was_made) {
  RtnlBuffer buffer;
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
  RtnlBuffer buffer;
  return execute(start(&buffer, RTM_DELQDISC, NLM_F_ACK, link_index, TC_H_CLSACT, kQdisc, 0));
}

int Clsact::list(int link_index, FenceHook hook, std::vector<ClsactFilter>* filters) {
  filters->clear();
  RtnlBuffer buffer;
  const nlmsghdr* const request =
      start(&buffer, RTM_GETTFILTER, NLM_F_DUMP, link_index, parent_of(hook), 0, 0);
  if (const int error = socket_.send(request); error != 0) return error;
  for (int result = -1; result < 0;) {
    const ssize_t size = socket_.receive(&buffer);
    if (size < 0 && errno != EINTR) return errno == EAGAIN ? ETIMEDOUT : errno;
    for_each_answer(buffer, size < 0 ? 0 : size, seq_, [&](const nlmsghdr* header) {
      if (header->nlmsg_type == RTM_NEWTFILTER) read_filter(header, filters);
      if (header->nlmsg_type == NLMSG_DONE || header->nlmsg_type == NLMSG_ERROR) {
        result = error_in(header);
      }
    });
    if (result > 0) return result;
  }
  return 0;
}

int Clsact::add_first(int link_index, FenceHook hook, int program_fd, const std::string& name) {
  RtnlBuffer buffer;
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
  RtnlBuffer buffer;
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
