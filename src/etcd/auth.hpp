// Who we are for etcd: user and password, the token that goes with each request, and when it is to
// be renewed. Reads the password's file; asks nobody.
#pragma once

#include <cstdint>
#include <string>

#include "vipd/types.hpp"

namespace vipd::etcd {

struct AuthSettings {
  std::string user;  // empty: no authentication
  std::string password_file;

  bool operator==(const AuthSettings&) const = default;
};

class Auth {
 public:
  explicit Auth(AuthSettings settings) : settings_(std::move(settings)) {}

  [[nodiscard]] const AuthSettings& settings() const { return settings_; }
  // Nothing can be sent without asking for a token first.
  [[nodiscard]] bool lacks_token() const { return !settings_.user.empty() && number_ == 0; }
  [[nodiscard]] const std::string& token() const { return token_; }
  // Which token it is; 0: none so far. One that is not needed, as etcd says, counts as well.
  [[nodiscard]] uint64_t number() const { return number_; }
  // A token whose end is known is renewed when two thirds of its life are over.
  [[nodiscard]] bool renewal_due(MonoTime now) const { return now >= renew_at_; }

  // The password in the file now, or the one read last if the file cannot be read now. Empty, and a
  // reason, if it never could be read.
  [[nodiscard]] const std::string& password(std::string* reason);

  void granted(std::string token, MonoTime now);
  void not_needed();
  // A renewal failed; the next in a second.
  void postponed(MonoTime now);

 private:
  AuthSettings settings_;
  std::string password_;
  std::string token_;
  uint64_t number_ = 0;
  MonoTime renew_at_ = MonoTime::never();
};

// Seconds since 1970 at which a token ends that is a JWT (RFC 7519); 0 for any other.
[[nodiscard]] int64_t token_end(const std::string& token);

}  // namespace vipd::etcd
