// What a node remembers of holding on without etcd (ARCHITECTURE.md, "Holding on without etcd"): of
// its own marks and grants, and of what it heard of others'. Plain data; hold.cpp decides.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "vipd/event.hpp"
#include "vipd/types.hpp"

namespace vipd {

// Grantors of a marked term that say that it has expired.
struct HeardWord {
  uint64_t term = 0;
  std::set<uint64_t> expired{};  // their incarnations
};

// The deletion of a mark.
struct MarkDeletion {
  RequestId request = 0;  // under way
  MonoTime again = MonoTime::long_ago();
};

// A session that this process had, or a former one of this host, and lost.
struct LostSession {
  MonoTime not_before = MonoTime::long_ago();
  bool let_go = false;  // nothing of what it owned is on a link
};

struct Hold {
  // How many former processes are remembered. If one was forgotten, `vipctl take` may be needed.
  static constexpr size_t kMostFormer = 64;
  std::vector<uint64_t> former{};  // incarnations, oldest first
  [[nodiscard]] bool is_former(uint64_t incarnation) const {
    return std::find(former.begin(), former.end(), incarnation) != former.end();
  }
  // [safety] No process grants or owns under that incarnation any more.
  void ended(uint64_t incarnation) {
    if (incarnation == 0 || is_former(incarnation)) return;
    if (former.size() == kMostFormer) former.erase(former.begin());
    former.push_back(incarnation);
  }
  // What a next process is to know; `present`: of ours, 0 without a session.
  [[nodiscard]] std::vector<uint64_t> incarnations(uint64_t present) const {
    std::vector<uint64_t> all = former;
    if (present != 0 && !is_former(present)) all.push_back(present);
    return all;
  }

  // As owner: when the first of all grants ends; long_ago(): some condition is not met.
  MonoTime until = MonoTime::long_ago();
  // Of our mark, as our watch showed it being put last; and of a term under which a deletion was
  // sent outside the chain: it never counts again.
  Revision shown = 0;
  Revision never = 0;
  bool marked = false;  // a mark of this session may be there
  bool said = false;    // that this node holds on
  std::string refused;  // why it may not although it is to, as was said last; "": nothing was
  MonoTime since;
  MonoTime renew_at = MonoTime::long_ago();  // lifetimes

  // Up to where the watch has been acted on.
  Revision acted = 0;

  // As grantor: since when echoes of ours come without a gap, when the last one came, and whether
  // an owner is silent, so that we must know whether etcd shows us everything.
  MonoTime steady_since = MonoTime::long_ago();
  MonoTime echoed_at = MonoTime::long_ago();
  bool in_doubt = false;
  bool doubts_others = false;  // likewise, of whoever is ahead in a queue

  std::map<LeaseId, HeardWord> words;         // by the owner's lease
  std::map<LeaseId, MarkDeletion> deletions;  // likewise
  std::map<LeaseId, LostSession> lost;
};

}  // namespace vipd
