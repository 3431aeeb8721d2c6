// Whether etcd can be used as configured: for vipd -n --online. Reads one key, writes
// nothing, and takes 3 seconds at most.
#pragma once

#include <string>
#include <vector>

#include "vipd/config.hpp"

namespace vipd {

struct EndpointReport {
  std::string endpoint;
  std::string cluster;  // hexadecimal; "": it named none
  std::string fault;    // "": it can be used
};

// Each of etcd.endpoints, asked as the daemon asks: by the JSON gateway, with the TLS files, and
// with the user's password once it has named a cluster. All should name etcd.cluster, or one.
[[nodiscard]] std::vector<EndpointReport> ask_endpoints(const Config& config);

}  // namespace vipd
