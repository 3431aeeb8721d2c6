#include "etcd/auth.hpp"

#include <algorithm>
#include <ctime>
#include <utility>

#include "etcd/base64.hpp"
#include "etcd/json.hpp"
#include "sys/secret.hpp"

namespace vipd::etcd {
namespace {

constexpr size_t kPasswordLimit = 4096;
constexpr Duration kPostponed = Duration::seconds(1);
constexpr int64_t kYear_s = 366 * 86400;

// RFC 7515: "the URL- and filename-safe character set, with all trailing '=' characters omitted".
std::string from_base64url(std::string text) {
  std::replace(text.begin(), text.end(), '-', '+');
  std::replace(text.begin(), text.end(), '_', '/');
  text.append((4 - text.size() % 4) % 4, '=');
  return base64_decode(text).value_or("");
}

}  // namespace

int64_t token_end(const std::string& token) {
  const size_t begin = token.find('.') + 1;  // head.claims.signature
  const size_t end = token.find('.', begin);
  if (begin == 0 || end == std::string::npos) return 0;
  std::string claims = from_base64url(token.substr(begin, end - begin));
  int64_t seconds = 0;
  Error error;
  return read_expiry(claims, seconds, error) ? seconds : 0;
}

const std::string& Auth::password(std::string* reason) {
  std::string fresh;
  if (sys::read_secret(settings_.password_file, kPasswordLimit, &fresh, reason)) {
    password_ = std::move(fresh);
  }
  return password_;
}

void Auth::granted(std::string token, MonoTime now) {
  token_ = std::move(token);
  ++number_;
  // Where the clocks of the hosts differ, this is wrong: then etcd's refusal has it renewed.
  const int64_t left_s = token_end(token_) - time(nullptr);
  const bool known = left_s > 0 && left_s < kYear_s;
  renew_at_ = known ? now + Duration::seconds(left_s) * 2 / 3 : MonoTime::never();
}

void Auth::not_needed() {
  token_.clear();
  ++number_;
  renew_at_ = MonoTime::never();
}

void Auth::postponed(MonoTime now) {
  if (!renew_at_.is_never()) renew_at_ = now + kPostponed;
}

}  // namespace vipd::etcd
