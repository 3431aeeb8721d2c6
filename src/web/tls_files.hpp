// The TLS files in use: read again when they change on disk, and taken into use once they have not
// changed for a while. While one of them is missing, unreadable or does not fit the others (a
// rotation that is half done), the old files stay in use. If a configured file could never be read,
// there is a fault, and no request may be made. Knows nothing of TLS itself.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "vipd/types.hpp"
#include "web/authorities.hpp"

namespace vipd::web {

struct TlsSettings {
  std::string cacert;  // paths; empty: none
  std::string cert;
  std::string key;
  std::string servername;  // empty: the host of the endpoint
  bool verifies = true;    // false: any server will do, and no authority is needed

  bool operator==(const TlsSettings&) const = default;
};

// The texts of the files (PEM), and which reading of them it was.
struct Credentials {
  std::string cacert;
  std::string cert;
  std::string key;
  std::string bundle;  // path of the system's authorities, which count without a cacert
  std::string fault;   // why nothing may be asked with them; "": they can be used
  uint64_t generation = 0;
};

class TlsFiles {
 public:
  // `whose`: for the log. Generations are counted from the one after `before`.
  TlsFiles(std::string whose, TlsSettings settings, uint64_t before = 0,
           std::span<const char* const> bundles = kBundles);

  // Looks at the files, at most once a second. True when others are in use from now on.
  bool look(MonoTime now);
  // Never null; with a fault, and no texts, as long as the files could never be read.
  [[nodiscard]] const std::shared_ptr<const Credentials>& current() const { return current_; }
  // What is in use cannot be used. True when there are earlier ones, which are in use now.
  bool fall_back(uint64_t generation);

  [[nodiscard]] const TlsSettings& settings() const { return settings_; }

 private:
  // What stat(2) tells of the three files; of one that is not there, its errno. A change of mode,
  // owner or ACL shows in the time of change.
  using Signature = std::array<std::array<int64_t, 6>, 3>;

  [[nodiscard]] Signature signature() const;
  bool read();
  bool read_all(Credentials* out, std::string* reason) const;
  void refuse(const std::string& reason);

  std::string whose_;
  TlsSettings settings_;
  std::span<const char* const> bundles_;
  uint64_t last_generation_;
  std::shared_ptr<const Credentials> current_;
  std::shared_ptr<const Credentials> worked_;  // before those, until they were found to be good
  std::string fault_;                          // of the last reading; "": it was good
  Signature taken_{};                          // what was read, or found unreadable
  Signature seen_{};                           // at the last look
  MonoTime looked_at_ = MonoTime::long_ago();
};

}  // namespace vipd::web
