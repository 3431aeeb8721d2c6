// The laboratory's witness: one process, one clock (CLOCK_MONOTONIC), one JSON line an event.
//
//   witness --client NETNS:LINK --host NAME:NETNS:MAC... --vip ADDRESS... [--interval MICROSECONDS]
//           [--wire MICROSECONDS] [--own ADDRESS]...
//
// It reads the address events of every host from ONE netlink socket (NETLINK_LISTEN_ALL_NSID). The
// kernel queues them there in the order in which they happened, so "two hosts had it at once" is
// decided by that order alone, and no delay of this process can hide or invent an overlap.
// A client probes each address with ICMP echo, through the client's ordinary neighbour cache; the
// answer's Ethernet source says which host gave it. With --wire, each host is asked for each
// address on its own cable (the client's link NAME), and two who answer at once are told
// (witness_wire.hpp);
// --own names the hosts' own addresses. Stall meters, one for each CPU and one for the kernel's
// network, tell the machine's own noise from a fault. It never changes anything in the namespaces
// that it watches.
//
// Commands on stdin: "sync ID" (answered once all earlier address events are out), "quit" or EOF.
#include <poll.h>
#include <sys/mman.h>

#include <cstdlib>
#include <thread>

#include "witness_client.hpp"
#include "witness_common.hpp"
#include "witness_ledger.hpp"
#include "witness_wire.hpp"

namespace witness {
namespace {

// ---- stall meters -------------------------------------------------------------------------------

// Ordinary priority, so that it suffers what the daemons suffer.
void measure_stalls(int cpu) {
  cpu_set_t only;
  CPU_ZERO(&only);
  CPU_SET(cpu, &only);
  sched_setaffinity(0, sizeof only, &only);
  const std::string who = "cpu" + std::to_string(cpu);
  while (!g_quit) {
    const int64_t wanted = now_ns() + kStallEvery;
    sleep_until(wanted);
    const int64_t now = now_ns();
    if (now - wanted > kStall) emit_stall(wanted, now, who.c_str());
  }
}

// Whoever changes anything of the network waits for one lock of the kernel, which others hold: for
// 100 ms and more where many namespaces go. What is asked for fails, once the lock was there.
void measure_lock() {
  const int fd = open_netlink();
  alignas(nlmsghdr) char answer[4096];
  while (!g_quit) {
    sleep_until(now_ns() + kLockEvery);
    const int64_t asked = now_ns();
    Request(RTM_DELADDR, NLM_F_ACK, ifaddrmsg{AF_INET, 32, 0, 0, INT32_MAX}).send_to(fd);
    if (recv(fd, answer, sizeof answer, 0) < 0) die("RTM_DELADDR");
    const int64_t now = now_ns();
    if (now - asked > kLockStall) emit_stall(asked, now, "rtnl");
  }
}

// ---- set-up -------------------------------------------------------------------------------------

[[noreturn]] void usage() {
  fprintf(stderr,
          "usage: witness --client NETNS:LINK --host NAME:NETNS:MAC... --vip ADDRESS... "
          "[--interval MICROSECONDS] [--wire MICROSECONDS] [--own ADDRESS]...\n");
  exit(2);
}

Host parse_host(const std::string& word) {
  Host host;
  const size_t first = word.find(':');
  const size_t second = word.find(':', first + 1);
  if (second == std::string::npos) usage();
  host.name = word.substr(0, first);
  host.netns = open_netns(word.substr(first + 1, second - first - 1));
  auto& m = host.mac;
  if (sscanf(word.c_str() + second + 1, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &m[0], &m[1], &m[2], &m[3],
             &m[4], &m[5]) != 6)
    usage();
  return host;
}

Ip parse_ip(const std::string& word) {
  Ip ip;
  ip.family = word.find(':') == std::string::npos ? AF_INET : AF_INET6;
  if (inet_pton(ip.family, word.c_str(), ip.bytes.data()) != 1) usage();
  return ip;
}

Options parse_options(int argc, char** argv) {
  Options options;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string key = argv[i], value = argv[i + 1];
    const size_t colon = value.find(':');
    if (key == "--client" && colon != std::string::npos) {
      options.client_netns = value.substr(0, colon);
      options.client_link = value.substr(colon + 1);
    } else if (key == "--host") {
      options.hosts.push_back(parse_host(value));
    } else if (key == "--vip") {
      options.vips.push_back(parse_ip(value));
    } else if (key == "--interval" && atoi(value.c_str()) > 0) {
      options.interval = atoi(value.c_str()) * 1000LL;
    } else if (key == "--wire" && atoi(value.c_str()) > 0) {
      options.wire = atoi(value.c_str()) * 1000LL;
    } else if (key == "--own") {
      options.own.push_back(parse_ip(value));
    } else {
      usage();
    }
  }
  if (argc % 2 == 0 || options.client_netns.empty() || options.hosts.empty() ||
      options.vips.empty())
    usage();
  return options;
}

// Answers commands and reads address events until told to quit.
void watch(int events, const Options& options, Ledger* ledger) {
  std::string input;
  pollfd fds[] = {{events, POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
  while (!g_quit) {
    if (poll(fds, 2, -1) < 0 && errno != EINTR) die("poll");
    drain_events(events, options, ledger);
    if (fds[1].revents == 0) continue;
    char buffer[256];
    const ssize_t length = read(STDIN_FILENO, buffer, sizeof buffer);
    if (length <= 0) return;
    input.append(buffer, length);
    for (size_t end; (end = input.find('\n')) != std::string::npos; input.erase(0, end + 1)) {
      if (input.compare(0, end, "quit") == 0) return;
      // The events that the kernel had queued before the command was written are out already.
      if (input.compare(0, 5, "sync ") == 0)
        emit(R"({"ev":"sync","t":%.6f,"id":%d,"rounds":%u})", seconds(now_ns()),
             atoi(input.c_str() + 5), g_rounds.load());
    }
  }
}

}  // namespace
}  // namespace witness

int main(int argc, char** argv) {
  using namespace witness;
  Options options = parse_options(argc, argv);
  mlockall(MCL_CURRENT | MCL_FUTURE);
  fcntl(STDOUT_FILENO, F_SETPIPE_SZ, 1 << 20);
  const int client = open_netns(options.client_netns);
  if (setns(client, CLONE_NEWNET) < 0) die("setns");

  const int requests = open_netlink();
  for (Host& host : options.hosts) host.nsid = namespace_id(requests, host.netns);
  const int events = open_events();
  Prober prober(options);
  Ledger ledger(options);
  for (size_t i = 0; i < options.hosts.size(); i++) dump(options, i, &ledger);
  // Not to be found in a host: whoever crashes it kills every process there.
  if (setns(client, CLONE_NEWNET) < 0) die("setns");

  std::vector<std::thread> threads;
  const long cpus = std::min(sysconf(_SC_NPROCESSORS_ONLN), 8L);
  for (int cpu = 0; cpu < cpus; cpu++) threads.emplace_back(measure_stalls, cpu);
  threads.emplace_back([] {
    be_realtime();
    measure_lock();
  });
  threads.emplace_back([&prober] {
    be_realtime();
    prober.run();
  });
  if (options.wire > 0)
    threads.emplace_back([&options] {
      be_realtime();
      Wire(options).run();
    });
  be_realtime();
  emit(R"({"ev":"ready","t":%.6f})", seconds(now_ns()));
  watch(events, options, &ledger);
  g_quit = true;
  for (std::thread& thread : threads) thread.join();
  return 0;
}
