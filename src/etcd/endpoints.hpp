// Which etcd member the next request goes to. Pure: told what happened and what time it is, answers
// with a member. There is always one as long as there is any member.
//
// The order of preference holds among the healthy. A member that failed is passed over for a
// second, then two, four and eight while it goes on failing, and is then simply tried again. When
// all are passed over, the one whose time ends first is taken.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "vipd/types.hpp"

namespace vipd::etcd {

struct Endpoint {
  std::string url;   // "http://HOST:PORT", without a slash at the end
  std::string host;  // without brackets
  std::string port;
  bool literal = false;  // host is an address: nothing to resolve
};

// "http://HOST[:PORT][/]"; an IPv6 address in brackets. Returns false for anything else.
[[nodiscard]] bool parse_endpoint(std::string_view text, Endpoint& out);

enum class MemberId : uint64_t { None = 0 };

class Endpoints {
 public:
  using Group = uint64_t;  // Client::Group; 0: none
  struct Member {
    MemberId id = MemberId::None;
    Endpoint endpoint;
    bool usable = true;  // false: a name without an address so far
    MonoTime avoid_until = MonoTime::long_ago();
    MonoTime failed_at = MonoTime::long_ago();
    Duration penalty;  // 0: healthy
  };

  // Members that stay (same URL) keep their id and their record.
  void set(const std::vector<Endpoint>& endpoints);
  void set_usable(MemberId id, bool usable);

  [[nodiscard]] const std::vector<Member>& members() const { return members_; }
  [[nodiscard]] const Member* find(MemberId id) const;

  // MemberId::None only when no member is usable. Avoids members that have an unanswered request
  // of a non-zero group, or one that failed within the last second.
  [[nodiscard]] MemberId pick(MonoTime now, Group group);

  // A request of `group` is on its way to `id`. Each is followed by one answered() or failed().
  void sent(MemberId id, Group group);
  void answered(MemberId id, Group group);
  void failed(MemberId id, Group group, MonoTime sent_at, MonoTime now);

  // Keeps the group away from a member for a while although that did not fail.
  void avoid(MemberId id, Group group, MonoTime until);

 private:
  struct Mark {
    MemberId id;
    Group group;
    MonoTime until;  // never(): a request that is unanswered
  };

  Member* member(MemberId id);
  [[nodiscard]] bool marked(MemberId id, Group group) const;
  void take_unanswered(MemberId id, Group group);

  std::vector<Member> members_;
  std::vector<Mark> marks_;
  uint64_t next_id_ = 1;
};

}  // namespace vipd::etcd
