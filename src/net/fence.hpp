// The packet fence: a program in the kernel that lets no packet of a VIP in or out once a deadline
// has come, whatever has become of this process. Renewing the deadline is one store to memory: no
// system call, nothing that can block, no relative time. Decides nothing: the caller says what is
// protected, until when, and on which links.
//
// What it is made of: fence_program (the instructions), fence_memory (what we share with it),
// fence_bpf (loading), fence_hooks (links).
//
// What it does not cover: what this host sends to itself (over the loopback link), links without
// ARP, and that a dead daemon's host still *lists* an address for some seconds. It has to be on
// every link with Link::has_arp, whatever link the VIP is on: Linux answers for an address on all
// of them. On one that is not Link::is_ethernet no fence can be had, and so none at all.
//
// Life:
//   a start       hooks = FenceHooks::open(best_place()), fence = Fence::open(), before privileges
//                 are dropped; memory().set_deadline(MonoTime::never(), ...), so that it is open:
//                 what a former process left behind it stays in force; attach() to all links.
//   authority     memory().set_deadline(deadline, ...); hooks->remove_former() on all links, then
//                 forget_former(). Also where there is no fence any more (`fence = none`), once the
//                 addresses of the former process have been removed.
//   SIGUSR2       descriptors() live on through execve(2); the next program calls adopt(). What was
//                 protected, the deadline and the links are as they were.
//   a clean stop  detach() from all links, after the addresses have been removed.
//   a kill        it stays, and closes at its deadline.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "net/fence_bpf.hpp"
#include "net/fence_hooks.hpp"
#include "net/fence_memory.hpp"
#include "sys/fd.hpp"
#include "vipd/loop.hpp"

namespace vipd::net {

class Fence {
 public:
  // What of the fence lives on through SIGUSR2.
  struct Descriptors {
    int map = -1;
    int ingress = -1;
    int egress = -1;
  };
  // Somebody changed a filter of clsact on that link (0: on any): look whether is_first() holds.
  // Our own changes are told as well. Of tcx nobody is told: look once in a while.
  using Changed = std::function<void(int link_index)>;

  // `room`: how many addresses may be protected, ever; 64 bytes of the kernel's memory each. Closed
  // and without an address. Needs CAP_BPF and CAP_NET_ADMIN, and the two programs in state_dir's
  // list. nullptr and why there is no fence, for people: "no BPF_SYSCALL in this kernel", "no
  // CAP_BPF", ... The hooks must outlive it.
  static std::unique_ptr<Fence> open(Loop& loop, FenceHooks& hooks, size_t room, Changed changed,
                                     std::string* reason);
  // Takes the descriptors, whatever happens. nullptr and a reason for those of a version that laid
  // the memory out differently: then hooks.remove_former() removes its programs.
  static std::unique_ptr<Fence> adopt(Loop& loop, FenceHooks& hooks, Descriptors descriptors,
                                      Changed changed, std::string* reason);
  ~Fence();  // attached it stays
  Fence(const Fence&) = delete;
  Fence& operator=(const Fence&) = delete;

  [[nodiscard]] Descriptors descriptors() const;
  [[nodiscard]] FenceMemory& memory() { return memory_; }

  // As FenceHooks says.
  [[nodiscard]] bool attach(int link_index, bool is_fleeting, std::string* reason);
  [[nodiscard]] bool is_first(int link_index, std::string* reason);
  bool detach(int link_index);

 private:
  Fence(Loop& loop, FenceHooks& hooks, Changed changed);
  bool load(size_t room, std::string* reason);
  bool take(Descriptors descriptors, std::string* reason);
  bool listen(std::string* reason);
  void on_notices();
  [[nodiscard]] FencePrograms programs() const;

  Loop& loop_;
  FenceHooks& hooks_;
  Changed changed_;
  sys::Fd map_, ingress_, egress_;
  SharedMemory shared_;
  FenceMemory memory_;
  NetlinkSocket notices_;
  Loop::FdWatch watch_ = Loop::FdWatch::None;
};

}  // namespace vipd::net
