// What the tests of the daemon's parts stand on.
#pragma once

#include <cstdlib>
#include <string>
#include <vector>

#include "core_rig.hpp"
#include "daemon/kept.hpp"
#include "daemon/vips.hpp"
#include "fixture.hpp"

namespace bench {

// One VIP is configured.
struct OneVip {
  OneVip() {
    configured[0].name = "api";
    configured[0].address = *vipd::Address::parse("192.0.2.1");
    configured[0].prefix_length = 24;
    configured[0].link = "eth0";
    vips.changed();
  }

  std::vector<vipd::VipConfig> configured = std::vector<vipd::VipConfig>(1);
  vipd::Vips vips{configured};
};

// A state directory of its own.
struct StateFolder {
  StateFolder() {
    std::string reason;
    if (!kept.open(folder.path(), &reason)) abort();
  }

  fixture::Folder folder;
  vipd::Kept kept{"/vipd"};
};

// A core that nobody tells anything.
struct IdleCore {
  vipd::Actions actions;
  vipd::Core core{rig::settings(), {}, &actions};
};

}  // namespace bench
