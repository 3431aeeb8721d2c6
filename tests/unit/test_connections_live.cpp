// Real connections in a network namespace of its own. Needs root.
#include <arpa/inet.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <vector>

#include "harness.hpp"
#include "net/connections.hpp"
#include "sys/fd.hpp"

using namespace vipd;
using namespace vipd::net;

namespace {

const Address kVip = *Address::parse("192.0.2.15");
const Address kVip6 = *Address::parse("2001:db8::15");
const Duration kSecond = Duration::seconds(1);

// The kernel adds an IPv6 address's own route in a work queue, later than the address.
constexpr char kUntilRoute[] =
    "timeout 5 sh -c 'until ip -6 route get 2001:db8::15 > /dev/null 2>&1; do sleep 0.01; done'";

bool is_isolated = false;

bool run(const std::string& command) {
  return system(command.c_str()) == 0;
}

sockaddr_in6 place(const char* address, uint16_t port) {
  sockaddr_in6 at{};
  at.sin6_family = AF_INET6;
  at.sin6_port = htons(port);
  inet_pton(AF_INET6, address, &at.sin6_addr);
  return at;
}

// As most servers listen: one socket for both protocols.
sys::Fd server(uint16_t port) {
  sys::Fd fd(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int off = 0, on = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  const sockaddr_in6 at = place("::", port);
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at) < 0 ||
      ::listen(fd.get(), 512) < 0)
    fd.reset();
  return fd;
}

struct Pair {
  sys::Fd client;
  sys::Fd served;
};

Pair connect_to(const sys::Fd& listener, const char* address) {
  Pair pair;
  pair.client = sys::Fd(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_in6 at = place(address, 7000);
  if (connect(pair.client.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at) < 0) {
    pair.client.reset();
    return pair;
  }
  pair.served = sys::Fd(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  return pair;
}

bool is_reset(const sys::Fd& fd) {
  char byte;
  return recv(fd.get(), &byte, 1, MSG_DONTWAIT) < 0 && errno != EAGAIN;
}

}  // namespace

void setUp() {
  if (!is_isolated) TEST_IGNORE_MESSAGE("needs root: unshare(CLONE_NEWNET) was refused");
}

namespace {

void test_connections_to_the_address_are_reset_and_no_others() {
  Loop loop;
  const sys::Fd listener = server(7000);
  TEST_ASSERT_TRUE(listener.is_open());
  const Pair four = connect_to(listener, "::ffff:192.0.2.15");
  const Pair six = connect_to(listener, "2001:db8::15");
  const Pair other = connect_to(listener, "::ffff:192.0.2.1");
  TEST_ASSERT_TRUE(four.served.is_open() && six.served.is_open() && other.served.is_open());
  const std::vector<Address> locals = {kVip, kVip6};
  const Killed killed = kill_connections(loop, locals, kSecond);
  if (killed.error == EOPNOTSUPP) TEST_IGNORE_MESSAGE("a kernel without INET_DIAG_DESTROY");
  TEST_ASSERT_EQUAL_INT(0, killed.error);
  TEST_ASSERT_TRUE(killed.is_complete);
  TEST_ASSERT_TRUE(killed.connections >= 2);
  TEST_ASSERT_TRUE(is_reset(four.client) && is_reset(four.served));
  TEST_ASSERT_TRUE(is_reset(six.client) && is_reset(six.served));
  TEST_ASSERT_FALSE(is_reset(other.client) || is_reset(other.served));
  TEST_ASSERT_TRUE(connect_to(listener, "2001:db8::15").served.is_open());  // it still listens
}

void test_one_family_leaves_the_other_alone() {
  Loop loop;
  const sys::Fd listener = server(7000);
  TEST_ASSERT_TRUE(listener.is_open());
  const Pair four = connect_to(listener, "::ffff:192.0.2.15");
  const Pair six = connect_to(listener, "2001:db8::15");
  const std::vector<Address> locals = {kVip};
  (void)kill_connections(loop, locals, kSecond);
  TEST_ASSERT_TRUE(is_reset(four.client));
  TEST_ASSERT_FALSE(is_reset(six.client));
}

// As without INET_DIAG_DESTROY, but for the number.
void test_what_the_kernel_refuses_is_not_counted() {
  const sys::Fd listener = server(7000);
  const Pair four = connect_to(listener, "::ffff:192.0.2.15");
  TEST_ASSERT_TRUE(four.served.is_open());
  const pid_t child = fork();
  if (child == 0) {
    Loop loop;
    const bool is_nobody = setresuid(65534, 65534, 65534) == 0;
    const std::vector<Address> locals = {kVip};
    const Killed killed = kill_connections(loop, locals, kSecond);
    _exit(is_nobody && killed.error == EPERM && killed.connections == 0 ? 0 : 1);
  }
  int status = -1;
  TEST_ASSERT_EQUAL_INT(child, waitpid(child, &status, 0));
  TEST_ASSERT_EQUAL_INT(0, status);
  TEST_ASSERT_FALSE(is_reset(four.client));
}

void test_many_within_their_time() {
  Loop loop;
  const sys::Fd listener = server(7000);
  std::vector<Pair> pairs;
  for (int i = 0; i < 400; ++i) pairs.push_back(connect_to(listener, "::ffff:192.0.2.15"));
  const std::vector<Address> locals = {kVip};
  const Killed none = kill_connections(loop, locals, Duration());
  TEST_ASSERT_EQUAL_INT(0, none.connections);
  TEST_ASSERT_FALSE(none.is_complete);
  const MonoTime begin = loop.now();
  const Killed killed = kill_connections(loop, locals, kSecond);
  printf("%zu connections in %.1f ms\n", killed.connections,
         static_cast<double>((loop.now() - begin).ns()) / 1e6);
  TEST_ASSERT_TRUE(killed.is_complete && killed.connections >= 400);
  for (const Pair& pair : pairs) TEST_ASSERT_TRUE(is_reset(pair.client));
  TEST_ASSERT_EQUAL_INT(0, kill_connections(loop, locals, kSecond).connections);
}

}  // namespace

int main() {
  UNITY_BEGIN();
  is_isolated = unshare(CLONE_NEWNET) == 0 && run("ip link set lo up") &&
                run("ip addr add 192.0.2.15/32 dev lo && ip addr add 192.0.2.1/32 dev lo") &&
                run("ip addr add 2001:db8::15/128 dev lo nodad") && run(kUntilRoute);
  RUN_TEST(test_connections_to_the_address_are_reset_and_no_others);
  RUN_TEST(test_one_family_leaves_the_other_alone);
  RUN_TEST(test_what_the_kernel_refuses_is_not_counted);
  RUN_TEST(test_many_within_their_time);
  return UNITY_END();
}
