// A key and a value as anybody may have put them under our prefix: "KEY\nVALUE".
#include "core/keys.hpp"
#include "fuzz/fuzz.hpp"

using namespace vipd;

namespace {

constexpr char kPrefix[] = "/vipd";

void check_value(KeyKind kind, std::string_view text) {
  const Value value = decode_value(kind, text);
  if (!value.valid) return;
  const Value again = decode_value(kind, encode_value(kind, value));
  fuzz::require(again.valid && again.node == value.node && again.instance == value.instance &&
                again.timeout == value.timeout && again.nonce == value.nonce &&
                again.released == value.released && again.priority == value.priority);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes = fuzz::text_of(data, size);
  const size_t line = std::min(bytes.find('\n'), size);
  const std::string_view text = bytes.substr(0, line);
  const auto key = decode_key(kPrefix, text);
  // Two texts must not be one key, but for foreign candidates, which are only waited for.
  if (key && key->lease > LeaseId::None) fuzz::require(encode_key(kPrefix, *key) == text);
  const std::string_view value = bytes.substr(std::min(line + 1, size));
  check_value(KeyKind::Session, value);
  check_value(KeyKind::Candidate, value);
  return 0;
}
