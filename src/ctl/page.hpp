// The status page of http.listen: one text with its style and script in it, which asks for nothing
// but v1/status. Pure.
#pragma once

#include <string>
#include <string_view>

#include "vipd/status.hpp"

namespace vipd::ctl {

// The nonce names what of the page may be run: whatever else gets into it stays text. Without
// scripts it shows the status as a table, of the VIPs that `status` has; `is_cut`: there are more.
[[nodiscard]] std::string status_page(const Status& status, bool is_cut, std::string_view nonce);
// The header fields that go with it, each with its CR LF.
[[nodiscard]] std::string page_fields(std::string_view nonce);

}  // namespace vipd::ctl
