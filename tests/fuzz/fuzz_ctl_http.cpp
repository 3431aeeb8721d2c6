// A request on the control socket, cut anywhere: what is understood must not depend on the cuts.
#include "ctl/http_parse.hpp"
#include "fuzz/fuzz.hpp"

using vipd::ctl::HttpParser;

namespace {

std::string understood(std::string_view bytes, bool whole) {
  HttpParser parser;
  fuzz::Cuts cuts(bytes);
  size_t taken = 0;
  while (taken < bytes.size()) {
    const size_t length = whole ? bytes.size() : cuts.next(bytes.size() - taken);
    const size_t step = parser.feed(bytes.substr(taken, length));
    fuzz::require(step <= length);
    taken += step;
    if (step < length) break;
  }
  switch (parser.state()) {
    case HttpParser::State::Head:
    case HttpParser::State::Body:
      fuzz::require(taken == bytes.size());
      return "more";
    case HttpParser::State::Bad:
      fuzz::require(parser.status() >= 400 && parser.status() < 600);
      return "bad " + std::to_string(parser.status());
    case HttpParser::State::Done:
      break;
  }
  fuzz::require(parser.body().size() <= vipd::ctl::kMaxBody);
  return parser.method() + " " + parser.path() + " " + parser.body() + " " + std::to_string(taken);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes = fuzz::text_of(data, size);
  fuzz::require(understood(bytes, true) == understood(bytes, false));
  return 0;
}
