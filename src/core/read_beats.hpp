// Heartbeats while etcd takes no writes: the reads under way, the deletion of keys under way, and
// whether it was we who deleted our `writes` key (ARCHITECTURE.md, "When etcd takes no writes").
// Never sends anything.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "vipd/event.hpp"
#include "vipd/types.hpp"

namespace vipd {

class ReadBeats {
 public:
  // Heartbeats are reads from now on.
  void begin() { wanted_ = true; }
  void end();
  [[nodiscard]] bool wanted() const { return wanted_; }

  // --- our `writes` key
  // [safety] It was we who deleted it: only then do reads count.
  void deleted_writes() { reader_ = true; }
  [[nodiscard]] bool reader() const { return reader_; }
  [[nodiscard]] bool is_deleting() const { return deleting_ != 0; }
  [[nodiscard]] MonoTime delete_at() const { return delete_at_; }
  // A deletion is sent, and not again before `next`. REQUIRES: !is_deleting().
  void deleting(RequestId request, MonoTime next);
  // Whether it is that one; it is answered or has failed then.
  [[nodiscard]] bool take_deletion(RequestId request);

  // --- the reads
  // When the next one is due: with none under way after `interval`, else after `hedge`.
  [[nodiscard]] MonoTime next_at(Duration interval, Duration hedge) const;
  void sent(RequestId request, MonoTime now);
  // When the read was sent that is answered by it, if it is one. The older ones are forgotten.
  [[nodiscard]] std::optional<MonoTime> answered(RequestId request);
  void failed(RequestId request);
  // [safety] Those under way count no more.
  void forget_reads() { reads_.clear(); }

 private:
  struct Read {
    RequestId request;
    MonoTime sent;
  };

  bool wanted_ = false;
  bool reader_ = false;
  std::vector<Read> reads_;  // oldest first
  MonoTime read_at_ = MonoTime::long_ago();
  RequestId deleting_ = 0;
  MonoTime delete_at_ = MonoTime::long_ago();
};

}  // namespace vipd
