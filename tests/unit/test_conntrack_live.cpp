// The kernel's own table of connections in a network namespace of its own. Needs root.
#include "net/conntrack.hpp"

#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <cstdlib>
#include <string>

#include "fixture.hpp"
#include "harness.hpp"
#include "net/messages.hpp"

using namespace vipd;
using namespace vipd::net;

namespace {

const Address kVip = *Address::parse("192.0.2.15");
const Address kOther = *Address::parse("192.0.2.16");
const Address kVip6 = *Address::parse("2001:db8::15");
const Address kClient = *Address::parse("198.51.100.7");
const Address kClient6 = *Address::parse("2001:db8:1::7");
const Address kBehind = *Address::parse("172.20.0.2");

bool is_isolated = false;

void put_tuple(nlmsghdr* header, uint16_t type, const Address& from, const Address& to,
               uint16_t port) {
  nlattr* const tuple = mnl_attr_nest_start(header, type);
  nlattr* const part = mnl_attr_nest_start(header, CTA_TUPLE_IP);
  mnl_attr_put(header, from.is_v4() ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, from.size(), from.data());
  mnl_attr_put(header, to.is_v4() ? CTA_IP_V4_DST : CTA_IP_V6_DST, to.size(), to.data());
  mnl_attr_nest_end(header, part);
  nlattr* const protocol = mnl_attr_nest_start(header, CTA_TUPLE_PROTO);
  mnl_attr_put_u8(header, CTA_PROTO_NUM, IPPROTO_UDP);
  mnl_attr_put_u16(header, CTA_PROTO_SRC_PORT, htons(port));
  mnl_attr_put_u16(header, CTA_PROTO_DST_PORT, htons(port));
  mnl_attr_nest_end(header, protocol);
  mnl_attr_nest_end(header, tuple);
}

struct Flow {
  Address from, to, replier, replies_to;
};

// As if packets of that flow had passed.
bool track(const Flow& flow, uint16_t port) {
  static const sys::Fd fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER));
  alignas(nlmsghdr) uint8_t buffer[1024];
  nlmsghdr* header = mnl_nlmsg_put_header(buffer);
  header->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW;
  header->nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK;
  auto* message = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(nfgenmsg)));
  message->nfgen_family = flow.from.is_v4() ? AF_INET : AF_INET6;
  put_tuple(header, CTA_TUPLE_ORIG, flow.from, flow.to, port);
  put_tuple(header, CTA_TUPLE_REPLY, flow.replier, flow.replies_to, port);
  mnl_attr_put_u32(header, CTA_TIMEOUT, htonl(600));
  if (::send(fd.get(), header, header->nlmsg_len, 0) < 0) return false;
  const ssize_t size = recv(fd.get(), buffer, sizeof buffer, 0);
  int code = -1;
  if (size >= static_cast<ssize_t>(sizeof(nlmsghdr) + sizeof code)) {
    std::memcpy(&code, buffer + sizeof(nlmsghdr), sizeof code);
  }
  return code == 0;
}

int tracked() {
  return atoi(fixture::read("/proc/sys/net/netfilter/nf_conntrack_count").c_str());
}

struct Bench {
  Loop loop;
  Conntrack::Done done;
  int times = 0;
  Conntrack conntrack{loop, [this](const Conntrack::Done& d) {
                        done = d;
                        times++;
                      }};

  bool wait() {
    for (int i = 0; i < 2000 && times == 0; i++) loop.run_once(Duration::milliseconds(5));
    return times == 1 && done.error == 0;
  }
};

}  // namespace

void setUp() {
  if (!is_isolated) TEST_IGNORE_MESSAGE("needs root: unshare(CLONE_NEWNET) was refused");
}
void tearDown() {}

namespace {

void test_entries_to_the_addresses_go_and_no_others() {
  TEST_ASSERT_TRUE(track({kClient, kVip, kBehind, kClient}, 1));  // to it, and translated
  TEST_ASSERT_TRUE(track({kBehind, kClient, kClient, kVip}, 2));  // in its name
  TEST_ASSERT_TRUE(track({kClient6, kVip6, kVip6, kClient6}, 3));
  TEST_ASSERT_TRUE(track({kVip, kOther, kOther, kBehind}, 4));  // from it: nobody's business
  TEST_ASSERT_TRUE(track({kClient, kOther, kOther, kClient}, 5));
  Bench b;
  TEST_ASSERT_TRUE(b.conntrack.is_there());
  b.conntrack.forget(kVip);
  b.conntrack.forget(kVip6);
  TEST_ASSERT_TRUE(b.wait());
  TEST_ASSERT_EQUAL_UINT64(3, b.done.entries);
  TEST_ASSERT_EQUAL_UINT64(2, b.done.addresses);
  TEST_ASSERT_EQUAL_INT(2, tracked());
}

// Each turn reads a part of the table: heartbeats come in between.
void test_a_large_table_is_gone_through_in_many_turns() {
  constexpr int kEntries = 20'000;
  for (int i = 0; i < kEntries; i++) {
    const Address& to = i % 2 == 0 ? kVip : kOther;
    const Address from = Address::v4(0x0a000000 + static_cast<uint32_t>(i));
    TEST_ASSERT_TRUE(track({from, to, to, from}, 9));
  }
  Bench b;
  const int before = tracked();
  b.conntrack.forget(kVip);
  TEST_ASSERT_TRUE(b.wait());
  TEST_ASSERT_EQUAL_UINT64(kEntries / 2, b.done.entries);
  TEST_ASSERT_EQUAL_INT(before - kEntries / 2, tracked());
}

// What comes while the table is read waits for another time through it.
void test_what_is_asked_for_meanwhile_is_done_afterwards() {
  TEST_ASSERT_TRUE(track({kClient, kVip, kVip, kClient}, 6));
  TEST_ASSERT_TRUE(track({kClient6, kVip6, kVip6, kClient6}, 7));
  Bench b;
  b.conntrack.forget(kVip);
  b.loop.run_once(Duration::milliseconds(10));
  b.conntrack.forget(kVip6);
  for (int i = 0; i < 200 && b.times < 2; i++) b.loop.run_once(Duration::milliseconds(5));
  TEST_ASSERT_TRUE(b.times == 2 || b.done.addresses == 2);
  TEST_ASSERT_TRUE(track({kClient, kVip, kVip, kClient}, 6));  // it was gone
  TEST_ASSERT_TRUE(track({kClient6, kVip6, kVip6, kClient6}, 7));
}

}  // namespace

int main() {
  UNITY_BEGIN();
  is_isolated = unshare(CLONE_NEWNET) == 0 && system("ip link set lo up") == 0;
  RUN_TEST(test_entries_to_the_addresses_go_and_no_others);
  RUN_TEST(test_a_large_table_is_gone_through_in_many_turns);
  RUN_TEST(test_what_is_asked_for_meanwhile_is_done_afterwards);
  return UNITY_END();
}
