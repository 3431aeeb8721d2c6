// What libcurl is told of TLS, and what it says when that fails.
#pragma once

#include <curl/curl.h>

#include <string>
#include <string_view>

#include "web/http.hpp"

namespace vipd::web {

// The texts must outlive the transfer.
void set_tls(CURL* easy, const Credentials& tls);
// Of a transfer that ended with this code; `error` is libcurl's text for it.
[[nodiscard]] TlsTrouble tls_trouble(CURL* easy, CURLcode code, const char* error);
// Whether it is one that only our own files can mend.
[[nodiscard]] bool is_of_our_files(TlsTrouble trouble);
// The TLS library's reason in libcurl's text for such a trouble, without what only says who speaks;
// "": it has none.
[[nodiscard]] std::string reason_in(std::string_view error);

}  // namespace vipd::web
