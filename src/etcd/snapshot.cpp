#include "etcd/snapshot.hpp"

#include "etcd/json.hpp"

namespace vipd::etcd {

size_t cost_of(const KeyValue& kv) {
  return kKeyCost + kv.key.size() + kv.value.size();
}

std::string no_room_text(size_t room) {
  return "more keys than fit into " + std::to_string(room >> 10) +
         " KiB, a limit that grows with the number of VIPs configured here";
}

Snapshot::Snapshot(size_t ranges, Wanted wanted, size_t room)
    : ranges_(ranges),
      wanted_(std::move(wanted)),
      room_(room),
      splitter_(row_of(Purpose::Snapshot).limit,
                [this](char* text, size_t length) { return take(text, length); }) {}

void Snapshot::restart() {
  splitter_.clear();
  kvs_.clear();
  held_ = count_ = 0;
  wrong_.clear();
}

std::string Snapshot::feed(std::string_view bytes) {
  if (splitter_.feed(bytes)) return "";
  if (wrong_.empty()) {
    const std::string& rest = splitter_.rest();
    wrong_ = "unexpected answer: " + printable(rest.data(), rest.size(), 100);
  }
  return wrong_;
}

bool Snapshot::take(char* text, size_t length) {
  KeyValue kv;
  Error error;
  if (!read_key_value(text, length, kv, error)) {
    wrong_ = error.text;
    return false;
  }
  ++count_;
  if (wanted_ && !wanted_(kv.key)) return true;
  held_ += cost_of(kv);
  if (held_ > room_) {
    wrong_ = no_room_text(room_);
    return false;
  }
  kvs_.push_back(std::move(kv));
  return true;
}

bool Snapshot::finish(RangeAnswer& out, Error& error) {
  SnapshotFrame frame;
  if (!read_snapshot(splitter_.rest(), ranges_, frame, error)) return false;
  if (frame.count != count_) {
    error = {Error::kBadAnswer, "the number of keys does not match the count", ""};
    return false;
  }
  out.header = frame.header;
  out.kvs = std::move(kvs_);
  return true;
}

}  // namespace vipd::etcd
