// A neighbour that frames are sent to alone.
#pragma once

#include "vipd/types.hpp"

namespace vipd::net {

struct Station {
  Address address;
  MacAddress mac;
};

}  // namespace vipd::net
