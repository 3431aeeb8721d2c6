// The URL of an etcd member. Pure; never resolves a name.
#pragma once

#include <string>
#include <string_view>

namespace vipd::conf {

// Takes "http://HOST[:PORT]" apart and writes it as "http://HOST:PORT" with the default port filled
// in and an IPv6 address in its canonical form. False and a reason in words otherwise.
[[nodiscard]] bool parse_endpoint(std::string_view text, std::string* out, std::string* reason);

}  // namespace vipd::conf
