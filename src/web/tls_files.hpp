// The files of TLS, as they are in use: read when they change on disk, and only taken into use
// once they were left alone for a while. Half a rotation (a file that is missing, unreadable, or
// does not fit the others) leaves those in use that worked. Knows nothing of TLS itself.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>

#include "vipd/types.hpp"

namespace vipd::web {

struct TlsSettings {
  std::string cacert;  // paths; empty: none
  std::string cert;
  std::string key;
  std::string servername;  // empty: the host of the endpoint

  bool operator==(const TlsSettings&) const = default;
};

// The texts of the files (PEM), and which reading of them it was.
struct Credentials {
  std::string cacert;
  std::string cert;
  std::string key;
  uint64_t generation = 0;
};

class TlsFiles {
 public:
  // `whose`: for the log. Generations are counted from the one after `before`.
  TlsFiles(std::string whose, TlsSettings settings, uint64_t before = 0);

  // Looks at the files, at most once a second. True when others are in use from now on.
  bool look(MonoTime now);
  // Never null; the texts are empty as long as the files could never be read.
  [[nodiscard]] const std::shared_ptr<const Credentials>& current() const { return current_; }
  // What is in use cannot be used. True when there are earlier ones, which are in use now.
  bool fall_back(uint64_t generation);

  [[nodiscard]] const TlsSettings& settings() const { return settings_; }

 private:
  // What stat(2) tells of the three files; of one that is not there, its errno.
  using Signature = std::array<std::array<int64_t, 4>, 3>;

  [[nodiscard]] Signature signature() const;
  bool read();
  bool read_one(const std::string& path, std::string* out) const;

  std::string whose_;
  TlsSettings settings_;
  uint64_t last_generation_;
  std::shared_ptr<const Credentials> current_;
  std::shared_ptr<const Credentials> worked_;  // before those, until they were found to be good
  Signature taken_{};                          // what was read, or found unreadable
  Signature seen_{};                           // at the last look
  MonoTime looked_at_ = MonoTime::long_ago();
};

}  // namespace vipd::web
