// What the configuration says of etcd, in the adapter's terms.
#pragma once

#include "daemon/store.hpp"
#include "etcd/client.hpp"
#include "vipd/config.hpp"

namespace vipd {

// REQUIRES: the store lives as long as the options and a client of theirs.
[[nodiscard]] etcd::Options etcd_options(const Config& config, const Store& store);

}  // namespace vipd
