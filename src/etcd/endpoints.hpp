// Which etcd member the next request goes to. Pure: told what happened and what time it is, answers
// with a member. There is always one as long as there is any member.
//
// The order of preference holds among the well. A member that failed is passed over for a second,
// then two, four and eight while it goes on failing. After that it is on trial: somebody probes it,
// and only when it has answered for five seconds it has recovered. So a member that is half broken
// is found out by probes, not by what must not be late. When none is well, one that has answered
// since it failed is taken, else one that says itself that it cannot, else the one whose time ends
// first: etcd may be electing a leader.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "vipd/types.hpp"
#include "web/endpoint.hpp"

namespace vipd::etcd {

using web::Endpoint;

enum class MemberId : uint64_t { None = 0 };

class Endpoints {
 public:
  using Group = uint64_t;  // Client::Group; 0: none
  struct Member {
    MemberId id = MemberId::None;
    Endpoint endpoint;  // without an address (a name, so far): never taken
    MonoTime avoid_until = MonoTime::long_ago();
    MonoTime failed_at = MonoTime::long_ago();
    MonoTime answers_since = MonoTime::never();  // of one that failed
    MonoTime probe_at = MonoTime::never();
    Duration penalty;       // 0: well
    bool is_silent = true;  // the last failure was no answer at all
    bool has_answered = false;
    bool configured = true;                    // not from etcd's own list
    uint64_t cluster = 0;                      // that it named last; 0: none yet
    uint64_t etcd_id = 0;                      // its own
    MonoTime named_at = MonoTime::long_ago();  // when it was asked for that
    MonoTime asked_at = MonoTime::long_ago();
    bool asking = false;

    [[nodiscard]] bool reachable() const { return !endpoint.named || !endpoint.address.empty(); }
  };

  // Members that stay (same URL, same address) keep their id and their record. The first
  // `configured` are those that people named.
  void set(const std::vector<Endpoint>& endpoints, size_t configured);

  // The cluster whose members are taken; 0: none is, all are only asked. `ask_every`: how often
  // each is asked for its cluster when nothing else is asked of it; 0: never.
  void use_cluster(uint64_t cluster) { cluster_ = cluster; }
  void ask_every(Duration interval) { ask_every_ = interval; }
  // The member has named that cluster, `asked` then; or unasked. True when it had not named that
  // one last. An answer that was overtaken by one to a later question says nothing.
  bool named(MemberId id, uint64_t cluster, uint64_t etcd_id, std::optional<MonoTime> asked);
  [[nodiscard]] bool is_stranger(const Member& member) const {
    return member.cluster != 0 && member.cluster != cluster_;
  }

  [[nodiscard]] const std::vector<Member>& members() const { return members_; }
  [[nodiscard]] const Member* find(MemberId id) const;

  // MemberId::None only when no member may be taken. Avoids members that have unanswered requests
  // of a non-zero group, or such that failed within the last second.
  // `answers`: one that has just answered, and is taken unless the group avoids it.
  [[nodiscard]] MemberId pick(MonoTime now, Group group, MemberId answers = MemberId::None);

  // A request of `group` is on its way to `id`. Each is followed by one answered() or failed().
  void sent(MemberId id, Group group);
  // True when the member has recovered by this.
  bool answered(MemberId id, Group group, MonoTime now);
  // True when the member was well until now. `is_silent`: it did not say itself that it cannot, as
  // one without a leader does.
  bool failed(MemberId id, Group group, MonoTime sent_at, MonoTime now, bool is_silent = true);

  // Keeps the group away from a member for a while, which may answer others well.
  void avoid(MemberId id, Group group, MonoTime until);

  // When some member is to be probed next, that is asked for its cluster or whether it is well
  // again. Where no member is well each request is a probe, and only strangers are asked.
  [[nodiscard]] MonoTime next_probe() const;
  // The members to be probed now. Each probe ends in answered() or failed(), with group 0.
  [[nodiscard]] std::vector<MemberId> due_probes(MonoTime now);

  [[nodiscard]] bool any_well() const;
  // Whether all members of this host failed when they were last asked.
  [[nodiscard]] bool all_failed(const std::string& host) const;
  // Whether `a` is well and stands before `b`, and the group does not avoid it.
  [[nodiscard]] bool preferred(MemberId a, MemberId b, Group group, MonoTime now) const;

 private:
  struct Mark {
    MemberId id;
    Group group;
    MonoTime until;  // never(): a request that is unanswered
  };

  Member* member(MemberId id);
  [[nodiscard]] bool may_be_taken(const Member& member) const;
  [[nodiscard]] bool is_well(const Member& member) const;
  [[nodiscard]] MonoTime probe_due(const Member& member, bool any_well) const;
  [[nodiscard]] int64_t marks(MemberId id, Group group, MonoTime now) const;
  void take_unanswered(MemberId id, Group group);

  std::vector<Member> members_;
  uint64_t cluster_ = 0;
  Duration ask_every_;
  std::vector<Mark> marks_;
  uint64_t next_id_ = 1;
};

}  // namespace vipd::etcd
