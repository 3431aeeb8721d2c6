// The configuration: flat `key = value` files, one table of keys {name, type, range, default, help}
// that parses, prints and documents. Reads files, never writes; touches nothing else.
#pragma once

#include <string>
#include <vector>

#include "vipd/config.hpp"

namespace vipd::conf {

// Tries certificates as a client of https will use them ("": none, or the system's authorities).
// Answers with what is wrong, in words, or with "".
struct TlsFilesNamed {
  std::string cacert;
  std::string cert;
  std::string key;
};
using TlsTrial = std::string (*)(const TlsFilesNamed& files);

struct Sources {
  // Files or folders (their *.conf in the order of names). Empty: /etc/vipd.conf, then
  // /etc/vipd.d/*.conf, whichever exist.
  std::vector<std::string> paths;
  std::vector<std::string> overrides;  // "KEY=VALUE", from the command line; they win
  TlsTrial try_tls = nullptr;          // nullptr: not tried
};

struct Result {
  Config config;                    // valid only when errors is empty
  std::vector<std::string> errors;  // "FILE:LINE: what is wrong, and what would be right", all of
                                    // them; no LINE where it is the file as a whole
  // The same of what is accepted although it does not work, or not as it was meant (warnings.hpp).
  // Empty where there are errors.
  std::vector<std::string> warnings{};
};

// The files that are named in it are judged as the daemon will be able to read them once it is the
// configured user, without root's capabilities (sys/as_user.hpp), and so are the sources
// themselves: they are read again by a reload.
[[nodiscard]] Result load(const Sources& sources);
// The effective configuration, defaults included, in the syntax of the files; it reads back to the
// same.
[[nodiscard]] std::string print(const Config& config);

}  // namespace vipd::conf
