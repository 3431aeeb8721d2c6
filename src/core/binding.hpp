// To which etcd cluster this process is bound (ARCHITECTURE.md, "One cluster"). Told what the
// configured endpoints say; judges, never sends. Pure: the time comes with each call.
//
// Each endpoint has one vote, that of its latest statement. Endpoints that lead to the same member
// have one vote together, so that no member is counted twice. Only recent statements count when the
// cluster is decided, so that an endpoint that was corrected meanwhile is not counted for the wrong
// one.
//
// It also says until when other nodes may own VIPs by another cluster, which this process's own
// cluster cannot show: a VIP that is taken before then could have two owners.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "vipd/event.hpp"
#include "vipd/types.hpp"

namespace vipd {

class Binding {
 public:
  // The id that `settings` fix, or else the one that the former process was bound to, is the
  // cluster from the start.
  Binding(const ClusterSettings& settings, const Memory& former, Duration timeout, MonoTime now);

  // Other endpoints, or another fixed id: what was said before is void. The cluster stays until
  // judge() says otherwise.
  void configure(const ClusterSettings& settings, MonoTime now);

  // REQUIRES: now never goes backwards. An endpoint that is not configured has no vote. [safety] It
  // counts from when it was asked: the answer may have waited for a process that stood still.
  void named(MonoTime now, const event::EndpointNamed& statement);

  // No step was taken for timing::interrupted_after(): what was named before may be long past.
  void interrupted(MonoTime now);

  // Weighs what was named. True when the cluster is another one now.
  [[nodiscard]] bool judge(MonoTime now);
  // When judge() will find something else if nothing more is named; never() if it will not.
  [[nodiscard]] MonoTime changes_at() const;

  [[nodiscard]] uint64_t cluster() const { return cluster_; }  // 0: not bound
  // Whether more than half of the endpoints name one other cluster: a process that starts now is
  // bound to it. Stays true, or is true where they may have done so unheard, until more than half
  // name ours again or none names another: whoever was bound to the other one has not been told to
  // let go.
  [[nodiscard]] bool outvoted() const { return other_is_ahead() || divided_; }
  // Before this no VIP is taken; never(): not until more is named. `waited_out`: all that may have
  // had it by another cluster are known to be gone, since somebody bound to ours has had it since.
  [[nodiscard]] MonoTime may_take_at(bool waited_out) const;
  // Since when, and until when, others by another cluster are waited for.
  [[nodiscard]] MonoTime others_since() const { return others_since_; }
  [[nodiscard]] MonoTime others_until() const { return others_until_; }
  // Whether any endpoint names another cluster.
  [[nodiscard]] bool disputed() const;
  // Why no VIP may be taken or kept, in words; empty: nothing stands against it, or no endpoint has
  // said anything yet.
  [[nodiscard]] std::string objection() const;

 private:
  struct Statement {
    uint64_t cluster = 0;                // 0: none yet, or its addresses disagree
    uint64_t member = 0;                 // 0: not known
    bool split = false;                  // they do
    MonoTime at = MonoTime::long_ago();  // when it was asked
  };

  [[nodiscard]] bool other_is_ahead() const {
    return fixed_ == 0 && cluster_ != 0 && majority_ != 0 && majority_ != cluster_;
  }
  [[nodiscard]] bool another_named(MonoTime since) const;
  [[nodiscard]] bool unanimous(MonoTime since) const;
  void weigh(MonoTime now);
  void settle(MonoTime now);
  void doubt(MonoTime now);
  void wait_for_others(MonoTime now);
  [[nodiscard]] std::map<uint64_t, size_t> votes(MonoTime since) const;
  [[nodiscard]] size_t voters() const;
  [[nodiscard]] bool repeats(size_t endpoint) const;
  // The cluster that more than half of the voters have named since then, or 0.
  [[nodiscard]] uint64_t majority(MonoTime since) const;

  uint64_t fixed_ = 0;
  Duration timeout_;
  uint64_t cluster_ = 0;
  MonoTime named_at_;      // when the cluster was last named, or was bound to
  uint64_t majority_ = 0;  // whenever they named it
  std::vector<Statement> statements_;
  bool doubted_ = false;  // another one may have been ahead unheard, or was heard to be
  bool was_ahead_ = false;
  bool divided_ = false;
  bool unheard_ = false;  // not more than half have named ours since then
  MonoTime doubted_at_;   // what was named before proves nothing
  MonoTime others_since_ = MonoTime::long_ago();
  MonoTime others_until_ = MonoTime::long_ago();
};

}  // namespace vipd
