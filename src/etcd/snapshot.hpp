// The answer to a txn of ranges while it arrives: keeps the keys that are wanted, and no more of
// them than there is room for. Pure.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "etcd/client.hpp"
#include "etcd/splitter.hpp"

namespace vipd::etcd {

// What a key takes while it is held.
[[nodiscard]] size_t cost_of(const KeyValue& kv);
// For people, when `room` bytes do not hold the keys that are wanted.
[[nodiscard]] std::string no_room_text(size_t room);

class Snapshot {
 public:
  // ranges: how many the txn has.
  Snapshot(size_t ranges, Wanted wanted, size_t room);
  Snapshot(const Snapshot&) = delete;
  Snapshot& operator=(const Snapshot&) = delete;

  // What is wrong with it; empty: go on.
  [[nodiscard]] std::string feed(std::string_view bytes);
  // The answer is complete. False, and why not.
  [[nodiscard]] bool finish(RangeAnswer& out, Error& error);
  // The answer without its keys; void after finish().
  [[nodiscard]] const std::string& rest() { return splitter_.rest(); }
  // It is asked for again.
  void restart();

 private:
  bool take(char* text, size_t length);

  size_t ranges_;
  Wanted wanted_;
  size_t room_;
  Splitter splitter_;
  std::vector<KeyValue> kvs_;
  size_t held_ = 0;   // bytes
  size_t count_ = 0;  // of keys, wanted or not
  std::string wrong_;
};

}  // namespace vipd::etcd
