// The file in the state directory, as whoever may write there can leave it.
#include "daemon/memory.hpp"
#include "fuzz/fuzz.hpp"

namespace vipd::log {
void warn(const char*, ...) {}
void info(const char*, ...) {}
}  // namespace vipd::log

using namespace vipd;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const fuzz::File file(fuzz::text_of(data, size));
  const Memory memory = read_memory(file.path(), "/vipd");
  fuzz::require(memory.lease >= LeaseId::None);
  fuzz::require(memory.lease != LeaseId::None || memory.waited_out.empty());
  return 0;
}
