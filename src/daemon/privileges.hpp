// Gives privileges up, once everything that needs them is open and before any foreign input is
// read.
#pragma once

#include <string>

namespace vipd {

class Kept;
struct Config;

// False, and an error in the log, if this process can never become config.user.
[[nodiscard]] bool can_become_user(const Config& config);

// Becomes config.user, or stays who we are, keeps two capabilities and enters the sandbox. Gives
// the user what a next process of his must be able to write. pidfile: empty for none. False and a
// reason when the kernel refuses.
[[nodiscard]] bool drop_privileges(const Config& config, const Kept& kept,
                                   const std::string& pidfile, std::string* reason);

}  // namespace vipd
