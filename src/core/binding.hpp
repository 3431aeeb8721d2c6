// To which etcd cluster this process is bound (ARCHITECTURE.md, "One cluster"). Told what the
// configured endpoints say; judges, never sends. Pure: the time comes with each call.
//
// Each endpoint has one vote, that of its latest statement. Endpoints that lead to the same member
// have one vote together, so that no member is counted twice. Who decides for a cluster must have
// spoken for it lately, so that one which was mended meanwhile, unheard, is not counted.
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
  // The id that `binding` fixes, or else `remembered`, what the former process was bound to (0:
  // none), is the cluster from the start.
  Binding(const ClusterSettings& settings, uint64_t remembered, Duration timeout, MonoTime now);

  // Other endpoints, or another fixed id: what was said before is void. The cluster stays until
  // judge() says otherwise.
  void configure(const ClusterSettings& settings, MonoTime now);

  // REQUIRES: now never goes backwards. An endpoint that is not configured has no vote.
  void named(MonoTime now, const event::EndpointNamed& statement);

  // Looks whether the cluster is another one now. True when it is.
  [[nodiscard]] bool judge(MonoTime now);
  // When judge() will say so if nothing more is named; never() if it will not.
  [[nodiscard]] MonoTime changes_at() const;

  [[nodiscard]] uint64_t cluster() const { return cluster_; }  // 0: not bound
  // Whether more than half of the endpoints name one other cluster: who starts now is bound to it.
  [[nodiscard]] bool outvoted() const {
    return fixed_ == 0 && cluster_ != 0 && majority_ != 0 && majority_ != cluster_;
  }
  // Whether any endpoint names another cluster.
  [[nodiscard]] bool disputed() const;
  // Why no VIP may be taken or kept, in words; empty: nothing stands against it, or no endpoint has
  // said anything yet.
  [[nodiscard]] std::string objection() const;

 private:
  struct Statement {
    uint64_t cluster = 0;  // 0: none yet, or its addresses disagree
    uint64_t member = 0;   // 0: not known
    bool split = false;    // they do
    MonoTime at = MonoTime::long_ago();
  };

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
};

}  // namespace vipd
