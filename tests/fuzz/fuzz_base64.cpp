// What decodes is the only text of its bytes; what is encoded decodes to the same.
#include "etcd/base64.hpp"
#include "fuzz/fuzz.hpp"

using namespace vipd::etcd;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = fuzz::text_of(data, size);
  const auto bytes = base64_decode(text);
  fuzz::require(!bytes || base64_encode(*bytes) == text);
  fuzz::require(base64_decode(base64_encode(text)) == text);
  return 0;
}
