// Whether certificates can be used, found out by the very code that will use them: libcurl and its
// TLS library begin a handshake with a socket of our own that hangs up. Nothing leaves the process.
#pragma once

#include <string>

#include "web/tls_files.hpp"

namespace vipd::web {

// What is wrong, beginning with the file's key (cacert, cert, key), or "". Reads the files; takes
// some milliseconds.
[[nodiscard]] std::string tls_fault(const TlsSettings& settings);

}  // namespace vipd::web
