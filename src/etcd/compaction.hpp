// Whether anything compacts etcd. etcd keeps every heartbeat as a revision until it is compacted;
// otherwise it fills its quota within weeks. Pure: told what a read at a revision of an
// hour ago gave, says what to read next and when to warn.
#pragma once

#include <cstdint>
#include <string>

#include "vipd/types.hpp"

namespace vipd::etcd {

class Compaction {
 public:
  static constexpr Duration kInterval = Duration::seconds(3600);  // between two reads
  static constexpr Duration kTooLong = Duration::seconds(24 * 3600);
  static constexpr Revision kFew = 10'000;  // a cluster that hardly writes needs no compaction

  // The revision to read at; 0: the current one.
  [[nodiscard]] Revision asks() const { return kept_; }
  // The read succeeded. Not empty: what to tell people, once in kTooLong.
  [[nodiscard]] std::string answered(MonoTime now, Revision current);
  // The revision was compacted away: all is well.
  void compacted() { kept_ = current_ = 0; }
  // How many revisions are known not to have been compacted.
  [[nodiscard]] Revision uncompacted() const { return current_ - kept_; }

 private:
  Revision kept_ = 0;     // it was the current one at `since_`, and is readable still
  Revision current_ = 0;  // at the last answer
  MonoTime since_;
  MonoTime warn_at_;
};

}  // namespace vipd::etcd
