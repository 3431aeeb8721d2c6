// The body of an answer, good or an error's, of every call.
#include "etcd/json.hpp"
#include "fuzz/fuzz.hpp"

using namespace vipd::etcd;

namespace {

bool is_printable(const std::string& text) {
  for (const char c : text) {
    if (c < ' ' || c > '~') return false;
  }
  return true;
}

void require_reason(const Error& error) {
  fuzz::require(error.code == Error::kBadAnswer || (error.code >= 1 && error.code <= 16));
  fuzz::require(!error.text.empty() && error.text.size() <= 300 && is_printable(error.text));
}

template <typename T>
T read(std::string_view bytes, bool (*reader)(std::string&, T&, Error&), bool* good) {
  std::string body(bytes);
  T out{};
  Error error;
  *good = reader(body, out, error);
  if (!*good) require_reason(error);
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes = fuzz::text_of(data, size);
  bool good = false;
  const Granted granted = read(bytes, read_granted, &good);
  fuzz::require(!good || (granted.lease > 0 && granted.ttl_s > 0));
  read(bytes, read_kept_alive, &good);
  read(bytes, read_header, &good);
  read(bytes, read_txn, &good);
  read(bytes, read_range, &good);
  read(bytes, read_members, &good);
  const std::string token = read(bytes, read_token, &good);
  fuzz::require(!good || (!token.empty() && token.size() <= 8192 && is_printable(token)));
  fuzz::require(!good || token.find(' ') == std::string::npos);
  const int64_t expiry = read(bytes, read_expiry, &good);
  fuzz::require(!good || expiry > 0);
  const std::string version = read(bytes, read_version, &good);
  fuzz::require(!good || (!version.empty() && version.size() <= 40 && is_printable(version)));
  return 0;
}
