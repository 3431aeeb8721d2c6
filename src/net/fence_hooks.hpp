// Where the packet fence stands: ingress and egress of links, at the head of tcx where the kernel
// has it (Linux 6.6), else at the head of clsact. Attaching needs CAP_NET_ADMIN alone, so links
// that appear later get the fence, too. What is attached outlives the process. Decides nothing.
//
// A link with a program at tcx is slow to vanish: the kernel waits for a grace period of RCU for
// each hook, some 25 ms, and holds its lock of all links. So links of containers and guests
// (Link::is_fleeting), of which a hundred may go at once, have the fence at clsact: until somebody
// else has a program at tcx of any link. From then on it is at tcx of all.
//
// A fence may only be believed while it is the first program of both hooks: whatever comes before
// it may end the chain for IP and ARP, and still let our own frames through. All of tcx runs before
// clsact.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "net/fence_clsact.hpp"
#include "net/fence_program.hpp"
#include "sys/file.hpp"

namespace vipd::net {

// Of each hook (ingress, egress), in that order.
struct FencePrograms {
  std::array<int, 2> fds{-1, -1};
  std::array<uint32_t, 2> ids{};
};

// The best place of a kernel. With tcx it has both.
enum class FencePlace : uint8_t { Clsact, Tcx };

class FenceHooks {
 public:
  // tcx, where there is one. Needs CAP_NET_ADMIN.
  static FencePlace best_place();
  // state_dir is part of the filters' names, and keeps the list of our programs: a next process
  // finds by it what this one left, even after a kill. nullptr and a reason without rtnetlink.
  // After SIGUSR2 as well. REQUIRES: state_dir is ours alone (sys/state_dir.hpp).
  static std::unique_ptr<FenceHooks> open(FencePlace place, const std::string& state_dir,
                                          std::string* reason);

  // "tcx", or "clsact" where any link has it there.
  [[nodiscard]] const char* kind() const { return uses_clsact_ ? "clsact" : "tcx"; }
  // Whether somebody else had a program at tcx, on any link that was looked at. It stays so:
  // fleeting links are to be attached again, one after the other.
  [[nodiscard]] bool is_tcx_shared() const { return is_tcx_shared_; }

  // [safety] Before the first attach(): a program whose number nobody knows could not be removed by
  // a next process. False and a reason when the list cannot be written, or when a next process
  // could not tell whether it is of this boot.
  [[nodiscard]] bool remember(const FencePrograms& programs, std::string* reason);

  // First of both hooks, wherever it was before; what a former process left there stays in force.
  // Harmless where it is first already. At tcx it takes the kernel 25 ms a hook. False and a
  // reason: "no clsact in this kernel", "another filter has the first place", ...; also for a link
  // that has gone.
  [[nodiscard]] bool attach(int link_index, bool is_fleeting, const FencePrograms& programs,
                            std::string* reason);
  // Of both hooks, of what is not a former process's. Otherwise the reason: "bypassed by another
  // filter", "removed".
  [[nodiscard]] bool is_first(int link_index, const FencePrograms& programs, std::string* reason);
  // And clsact, if it came with us and nobody else has a filter there. A link that has gone, or has
  // no fence, is no error. False: the kernel refused something; it may still be there.
  bool detach(int link_index, const FencePrograms& programs);

  // Whether a former process left programs that are not known to be gone.
  [[nodiscard]] bool has_former() const { return !former_.empty(); }
  // Removes them from a link: not before this process has authority of its own and has stored its
  // deadline, or has removed the addresses.
  bool remove_former(int link_index);
  // Once that was done on all links.
  void forget_former();
  // Once ours were removed from all links: the list of programs goes, if nothing else is on it.
  void forget_own();

 private:
  [[nodiscard]] bool has_tcx() const { return place_ == FencePlace::Tcx; }
  FenceHooks(FencePlace place, std::unique_ptr<Clsact> clsact, std::string state_dir);
  [[nodiscard]] std::string file() const { return state_dir_ + "/fence"; }
  [[nodiscard]] std::string other_file() const { return file() + sys::kOtherOfTwo; }
  [[nodiscard]] std::string name() const;
  void read_former();
  [[nodiscard]] bool write_list(std::string* reason) const;

  [[nodiscard]] std::vector<uint32_t> ids_at(int link_index, FenceHook hook);
  bool attach_at(FencePlace place, int link_index, const FencePrograms& programs,
                 std::string* reason);
  bool attach_tcx(int link_index, FenceHook hook, int fd, uint32_t id, std::string* reason);
  bool attach_clsact(int link_index, FenceHook hook, int fd, uint32_t id, const std::string& name,
                     std::string* reason);
  bool make_clsact(int link_index, std::string* name, std::string* reason);
  bool remove(int link_index, const std::vector<uint32_t>& ids);
  bool remove_tcx(int link_index, FenceHook hook, const std::vector<uint32_t>& ids);
  bool remove_clsact(int link_index, const std::vector<uint32_t>& ids);

  FencePlace place_;
  bool is_tcx_shared_ = false;
  bool uses_clsact_;
  std::unique_ptr<Clsact> clsact_;
  std::string state_dir_;
  std::vector<uint32_t> own_;
  std::vector<uint32_t> former_;
};

}  // namespace vipd::net
