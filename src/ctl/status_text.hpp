// The status as the JSON object of vipctl(8) and as log lines. Pure.
#pragma once

#include <string>
#include <vector>

#include "vipd/status.hpp"

namespace vipd::ctl {

[[nodiscard]] std::string status_json(const Status& status);
// "ENDPOINT: what is wrong there".
[[nodiscard]] std::string etcd_error_of(const Status& status);
// One line for the daemon, one for each VIP (SIGUSR1).
[[nodiscard]] std::vector<std::string> status_lines(const Status& status);
// Packet fence and peer lease; empty where nothing is known of them.
[[nodiscard]] std::string peer_line(const Status& status);
// What is wrong with the clusters of the endpoints; nothing where all is well.
[[nodiscard]] std::vector<std::string> cluster_lines(const Status& status);

}  // namespace vipd::ctl
