// What the tests of the packet fence in the running kernel share: this host has two VIPs on t0 in a
// network namespace of its own, and a neighbour in another namespace asks for them. Needs root.
#pragma once

#include <signal.h>
#include <sys/wait.h>

#include <cstdio>
#include <memory>
#include <set>
#include <string>

#include "harness.hpp"
#include "net/fence.hpp"
#include "unit/fixture.hpp"
#include "unit/raw_host.hpp"

namespace fence_host {

using namespace vipd;
using namespace vipd::net;
using raw::Asker;
using raw::boot_ns;
using raw::run;

constexpr int64_t kMillisecond = 1'000'000;
constexpr MacAddress kHostMac = {{2, 0, 0, 0, 0, 1}};
inline const Address kVip = *Address::parse("192.0.2.15");
inline const Address kVip6 = *Address::parse("2001:db8::15");
inline const Address kOwn = *Address::parse("192.0.2.1");
inline const Address kOwn6 = *Address::parse("2001:db8::1");

inline bool is_isolated = false;
inline std::string had;  // the best place of this kernel
inline FencePlace place;
inline bool is_fleeting;
inline std::unique_ptr<raw::Namespace> lan;
inline std::unique_ptr<Asker> asker;
inline std::unique_ptr<fixture::Folder> folder;
inline std::unique_ptr<Loop> loop;
inline std::unique_ptr<FenceHooks> hooks;
inline std::unique_ptr<Fence> fence;
inline std::multiset<int> changed;

inline int index_of(const char* link) {
  return static_cast<int>(if_nametoindex(link));
}

inline void turns() {
  for (int i = 0; i < 10; ++i) loop->run_once(Duration::milliseconds(5));
}

inline bool open_fence() {
  std::string reason;
  hooks = FenceHooks::open(place, folder->path(), &reason);
  if (hooks != nullptr) {
    fence = Fence::open(
        *loop, *hooks, 16, [](int link) { changed.insert(link); }, &reason);
  }
  if (fence == nullptr) std::printf("no fence: %s\n", reason.c_str());
  return fence != nullptr;
}

inline void set_deadline(MonoTime at) {
  fence->memory().set_deadline(at, Duration::nanoseconds(raw::suspended_ns()));
}
inline void open_for(int64_t ms) {
  set_deadline(MonoTime::from_ns(boot_ns() + ms * kMillisecond));
}

inline bool protect_both() {
  return fence->memory().protect(kVip) && fence->memory().protect(kVip6);
}

inline std::string attach(const char* link) {
  std::string reason = "attached";
  return fence->attach(index_of(link), is_fleeting, &reason) ? "attached" : reason;
}
inline std::string first(const char* link) {
  std::string reason;
  return fence->is_first(index_of(link), &reason) ? "first" : reason;
}

// Which questions for these two are answered: "NE ne": neighbour, echo, by IPv4 and by IPv6.
inline std::string answers(const Address& v4, const Address& v6) {
  std::string text = "....";
  if (asker->is_answered(v4, Asker::How::Neighbour)) text[0] = 'N';
  if (asker->is_answered(v4, Asker::How::Echo)) text[1] = 'E';
  if (asker->is_answered(v6, Asker::How::Neighbour)) text[2] = 'n';
  if (asker->is_answered(v6, Asker::How::Echo)) text[3] = 'e';
  return text;
}
inline std::string vips() {
  return answers(kVip, kVip6);
}

// How many programs are at tcx of a link, both hooks; and filters of clsact.
inline size_t programs_at(const char* link) {
  size_t count = 0;
  for (const FenceHook hook : {FenceHook::Ingress, FenceHook::Egress}) {
    TcxPrograms programs;
    (void)tcx_query(index_of(link), hook, &programs);
    count += programs.ids.size();
  }
  return count;
}
inline size_t filters_at(const char* link) {
  size_t count = 0;
  std::string reason;
  for (const FenceHook hook : {FenceHook::Ingress, FenceHook::Egress}) {
    std::vector<ClsactFilter> filters;
    (void)Clsact::open(&reason)->list(index_of(link), hook, &filters);
    count += filters.size();
  }
  return count;
}

// Runs the tests on a kernel without tcx, and where there is one, on links of both sorts.
template <typename Tests>
void at_each_place(Tests tests) {
  for (const auto& [where, fleeting] :
       {std::pair(FencePlace::Clsact, true), std::pair(FencePlace::Tcx, true),
        std::pair(FencePlace::Tcx, false)}) {
    if (where == FencePlace::Tcx && had != "tcx") continue;
    place = where;
    is_fleeting = fleeting;
    tests();
  }
}

// Does what it is told to in a process of its own, which is then killed.
template <typename Function>
bool in_a_process_that_is_killed(Function function) {
  int ready[2];
  if (pipe(ready) < 0) return false;
  const pid_t child = fork();
  if (child == 0) {
    const char result = function() ? '1' : '0';
    (void)!write(ready[1], &result, 1);
    for (;;) poll(nullptr, 0, -1);
  }
  if (child < 0) return false;
  close(ready[1]);  // so that its end is seen, too
  char result = '0';
  (void)!read(ready[0], &result, 1);
  kill(child, SIGKILL);
  int status = 0;
  waitpid(child, &status, 0);
  close(ready[0]);
  if (result != '1') std::printf("the process said %c, ended with %x\n", result, status);
  return result == '1';
}

inline bool make_host() {
  lan = std::make_unique<raw::Namespace>("fence-test");
  return run("ip link set lo up") &&
         run("ip link add t0 address " + kHostMac.text() + " type veth peer name t1") &&
         run("ip link set t1 netns " + lan->name()) && lan->ip("link set t1 up") &&
         run("ip link set t0 up && ip addr add 192.0.2.1/24 dev t0") &&
         run("ip addr add 192.0.2.15/32 dev t0 && ip addr add 2001:db8::1/64 dev t0 nodad") &&
         run("ip addr add 2001:db8::15/128 dev t0 nodad");
}

inline void start() {
  if (!is_isolated) return;
  changed.clear();
  loop = std::make_unique<Loop>();
  folder = std::make_unique<fixture::Folder>();
  if (!open_fence()) return;
  if (!make_host() || !protect_both()) abort();
  asker = std::make_unique<Asker>(lan->raw_socket("t1", ETH_P_ALL), "t0", kHostMac,
                                  *Address::parse("192.0.2.9"), *Address::parse("2001:db8::9"));
  set_deadline(MonoTime::never());
}

inline void end() {
  fence.reset();
  hooks.reset();
  loop.reset();
  asker.reset();
  lan.reset();
  if (!is_isolated) return;
  (void)run("ip link del t0 2>/dev/null");
  for (const char* file : {"/fence", "/fence.other"}) remove((folder->path() + file).c_str());
  folder.reset();
}

}  // namespace fence_host

#define NEEDS_ROOT \
  if (fence == nullptr) TEST_IGNORE_MESSAGE("needs root and bpf(2)")
