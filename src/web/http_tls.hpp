// What libcurl is told of TLS, and what it says when that fails.
#pragma once

#include <curl/curl.h>

#include "web/http.hpp"

namespace vipd::web {

// The texts must outlive the transfer.
void set_tls(CURL* easy, const Credentials& tls);
// Of a transfer that ended with this code; `error` is libcurl's text for it.
[[nodiscard]] TlsTrouble tls_trouble(CURL* easy, CURLcode code, const char* error);

}  // namespace vipd::web
