// The bytes of a watch, cut anywhere: what is told must not depend on the cuts.
#include "etcd/watch.hpp"
#include "fuzz/fuzz.hpp"

using namespace vipd::etcd;

namespace {

struct Trace {
  std::string text;
  int ends = 0;

  void say(const std::string& what) {
    fuzz::require(ends == 0);  // nothing after the end
    text += what + "\n";
  }
  WatchHandlers handlers() {
    return {[this](const Header& h) { say("created " + std::to_string(h.revision)); },
            [this](const Header& h, const std::vector<WatchEvent>& events) {
              say("events " + std::to_string(h.revision));
              for (const WatchEvent& e : events) {
                say((e.deleted ? "del " : "put ") + e.kv.key + "=" + e.kv.value + "@" +
                    std::to_string(e.kv.mod_revision));
              }
            },
            [this](const Error& error, int64_t compacted) {
              say("ended " + error.text + " " + std::to_string(compacted));
              fuzz::require(!error.text.empty());
              ++ends;
            }};
  }
};

std::string told(std::string_view bytes, bool whole) {
  Trace trace;
  WatchStream stream(trace.handlers());
  fuzz::Cuts cuts(bytes);
  while (!bytes.empty()) {
    const size_t length = whole ? bytes.size() : cuts.next(bytes.size());
    stream.feed(bytes.substr(0, length));
    bytes.remove_prefix(length);
  }
  stream.finish({Error::kTransport, "cut", ""});
  fuzz::require(trace.ends == 1);
  return trace.text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes = fuzz::text_of(data, size);
  fuzz::require(told(bytes, true) == told(bytes, false));
  return 0;
}
