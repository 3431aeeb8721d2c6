// Keys and values of ARCHITECTURE.md as the texts that etcd stores, both ways. Pure. Whatever a
// person or another program put under our prefix decodes to something or to nothing; it never
// fails.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "vipd/store.hpp"

namespace vipd {

// `prefix` without a '/' at its end.
[[nodiscard]] std::string encode_key(std::string_view prefix, const Key& key);
// nullopt for a key that has no part in the protocol. A candidate whose last part is no lease id
// gets a LeaseId below zero made from it, so that it is waited for like any other.
[[nodiscard]] std::optional<Key> decode_key(std::string_view prefix, std::string_view text);

// One line of JSON; empty for KeyKind::Writes.
[[nodiscard]] std::string encode_value(KeyKind kind, const Value& value);
// valid == false for text that is not ours; a foreign candidate's text is then shown as its node.
[[nodiscard]] Value decode_value(KeyKind kind, std::string_view text);

// From the first key to behind the last.
struct KeyRange {
  std::string begin;
  std::string end;
};
// Where our keys are, in order; a snapshot reads nothing else.
[[nodiscard]] std::vector<KeyRange> key_ranges(std::string_view prefix);
// From the begin of the first to the end of the last: what the one watch covers.
[[nodiscard]] KeyRange watched_range(std::string_view prefix);

}  // namespace vipd
