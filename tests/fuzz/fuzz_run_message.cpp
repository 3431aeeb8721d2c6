// What the daemon and the helper that runs programs say to each other, had either been taken over.
#include "fuzz/fuzz.hpp"
#include "run/message.hpp"

using namespace vipd::run;

namespace {

// What was understood is said again in as many bytes, and understood again as the same.
template <typename Message, typename Read>
void there_and_back(const std::optional<Message>& message, size_t size, Read read) {
  if (!message || size > kMostBytes) return;
  const std::string bytes = encode(*message);
  fuzz::require(bytes.size() == size);
  const std::optional<Message> again = read(bytes);
  fuzz::require(again && encode(*again) == bytes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = fuzz::text_of(data, size);
  const std::optional<Order> order = read_order(text);
  if (order && order->job) fuzz::require(order->job->words.at(0).starts_with('/'));
  there_and_back(order, size, read_order);
  const std::optional<Ended> ended = read_ended(text);
  if (ended) fuzz::require(ended->is_good() == ended->text().empty());
  there_and_back(ended, size, read_ended);
  return 0;
}
