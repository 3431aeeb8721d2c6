// The answer to a txn of ranges, cut anywhere: what is read must not depend on the cuts.
#include "etcd/snapshot.hpp"
#include "fuzz/fuzz.hpp"

using namespace vipd::etcd;

namespace {

constexpr size_t kRanges = 2;
constexpr size_t kRoom = 4 * kKeyCost;

std::string read(std::string_view bytes, bool whole) {
  Snapshot snapshot(
      kRanges, [](std::string_view key) { return key != "foreign"; }, kRoom);
  fuzz::Cuts cuts(bytes);
  while (!bytes.empty()) {
    const size_t length = whole ? bytes.size() : cuts.next(bytes.size());
    const std::string wrong = snapshot.feed(bytes.substr(0, length));
    // How much of the rest is quoted depends on the cuts.
    if (!wrong.empty()) return "wrong";
    bytes.remove_prefix(length);
  }
  RangeAnswer out;
  Error error;
  if (!snapshot.finish(out, error)) {
    fuzz::require(!error.text.empty());
    return "error " + error.text;
  }
  std::string text = std::to_string(out.header.revision);
  size_t held = 0;
  for (const KeyValue& kv : out.kvs) {
    fuzz::require(kv.key != "foreign" && kv.create_revision <= kv.mod_revision);
    held += cost_of(kv);
    text += " " + kv.key + "=" + kv.value;
  }
  fuzz::require(held <= kRoom);
  return text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes = fuzz::text_of(data, size);
  fuzz::require(read(bytes, true) == read(bytes, false));
  return 0;
}
