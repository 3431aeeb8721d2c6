// What the core is told of the configuration: a member that settings_of() forgets would leave the
// core with its default.
#include "daemon/settings.hpp"

#include "conf/conf.hpp"
#include "fixture.hpp"
#include "harness.hpp"
#include "logged.hpp"
#include "vipd/config.hpp"

using namespace vipd;

namespace {

// Everything is another than by default.
Config unusual() {
  Config config;
  config.node_name = "a";
  config.session_timeout = Duration::seconds(7);
  config.session_heartbeat = Duration::milliseconds(321);
  config.peer_timeout = Duration::milliseconds(654);
  config.peer_hold = true;
  config.announce = {.form = AnnounceForm::Reply,
                     .count = 3,
                     .interval = Duration::seconds(2),
                     .refresh = Duration::seconds(9),
                     .targets = {}};
  config.conflict = ConflictPolicy::Ignore;
  config.etcd.cluster = "cdf818194e3a8c32";
  config.etcd.endpoints = {"http://10.0.0.1:2379", "http://10.0.0.2:2379"};
  config.conflict_probe = true;
  config.vips.resize(1);
  VipConfig& vip = config.vips[0];
  vip.name = "api";
  vip.address = *Address::parse("192.0.2.1");
  vip.link = "eth0";
  vip.priority = 150;
  vip.preempt = true;
  vip.preempt_delay = Duration::seconds(5);
  vip.acquire = "/bin/acquire";
  vip.group = "web";
  return config;
}

// A new member does not compile here: is it one of the configuration?
void the_core_is_told_everything() {
  const Settings settings = settings_of(unusual());
  const auto& [node, instance, timeout, heartbeat, peer_timeout, hold, count, interval, refresh,
               conflict, probe, vips, cluster, memory, boot, paused] = settings;
  TEST_ASSERT_EQUAL_STRING("a", node);
  TEST_ASSERT_TRUE(timeout == Duration::seconds(7));
  TEST_ASSERT_TRUE(heartbeat == Duration::milliseconds(321));
  TEST_ASSERT_EQUAL_INT(3, count);
  TEST_ASSERT_TRUE(interval == Duration::seconds(2));
  TEST_ASSERT_TRUE(refresh == Duration::seconds(9));
  TEST_ASSERT_TRUE(conflict == ConflictPolicy::Ignore);
  TEST_ASSERT_TRUE(probe);
  TEST_ASSERT_EQUAL_INT(1, vips.size());
  TEST_ASSERT_EQUAL_UINT64(0xcdf818194e3a8c32, cluster.fixed);
  TEST_ASSERT_TRUE(cluster.endpoints == unusual().etcd.endpoints);
  TEST_ASSERT_TRUE(peer_timeout == Duration::milliseconds(654));
  TEST_ASSERT_TRUE(hold);
  // What the daemon itself knows.
  TEST_ASSERT_TRUE(boot == 0 && instance.empty() && memory.lease == LeaseId::None && !paused);
}

void the_core_is_told_everything_of_a_vip() {
  const VipSettings vip = settings_of(unusual()).vips[0];
  const auto& [name, address, link, priority, preempt, preempt_delay, acquires, group, blocked] =
      vip;
  TEST_ASSERT_EQUAL_STRING("api", name);
  TEST_ASSERT_EQUAL_STRING("192.0.2.1", address.text());
  TEST_ASSERT_EQUAL_STRING("eth0", link);
  TEST_ASSERT_TRUE(priority == 150);
  TEST_ASSERT_TRUE(preempt);
  TEST_ASSERT_TRUE(preempt_delay == Duration::seconds(5));
  TEST_ASSERT_TRUE(acquires);
  TEST_ASSERT_EQUAL_STRING("web", group);
  TEST_ASSERT_TRUE(blocked.empty());
}

void a_faulty_file_changes_nothing() {
  const fixture::Folder folder;
  const std::string path = folder.path() + "/vipd.conf";
  const conf::Sources sources{.paths = {path}, .overrides = {}};
  const std::string good = "vip.api.address = 192.0.2.1\nvip.api.link = lo\n";
  const Config now;
  std::optional<Config> next;
  logged::lines.clear();
  fixture::write(path, good + "vip.api.adress = 192.0.2.2\n");
  TEST_ASSERT_EQUAL_INT(1, read_again(sources, true, now, &next).errors.size());
  TEST_ASSERT_FALSE(next.has_value());
  TEST_ASSERT_EQUAL_INT(1, logged::count("the configuration was not changed"));
  fixture::write(path, good);
  TEST_ASSERT_TRUE(read_again(sources, true, now, &next).errors.empty());
  TEST_ASSERT_EQUAL_STRING("api", next.value().vips.at(0).name);
}

// On every node that reads it the check would be down, and nobody would have the VIP.
void the_first_program_needs_a_restart() {
  const fixture::Folder folder;
  const std::string path = folder.path() + "/vipd.conf";
  const conf::Sources sources{.paths = {path}, .overrides = {}};
  const std::string good = "vip.api.address = 192.0.2.1\nvip.api.link = lo\n";
  for (const char* key : {"check.x.exec", "vip.api.notify", "vip.api.acquire"}) {
    fixture::write(path, good + key + " = /bin/true\n");
    std::optional<Config> next;
    const std::vector<std::string> errors = read_again(sources, false, Config(), &next).errors;
    TEST_ASSERT_EQUAL_INT(1, errors.size());
    TEST_ASSERT_TRUE(errors[0].starts_with(std::string(key) + ": "));
    TEST_ASSERT_TRUE(
        errors[0].ends_with("nothing was changed; restart it, which hands its VIPs over"));
    TEST_ASSERT_FALSE(next.has_value());
    TEST_ASSERT_TRUE(read_again(sources, true, Config(), &next).errors.empty());
    TEST_ASSERT_TRUE(next.has_value());
  }
}

// What waits for a restart is as before for every part, and the person who reloads is told.
void keys_that_wait_for_a_restart_are_named() {
  const fixture::Folder folder;
  const std::string path = folder.path() + "/vipd.conf";
  const conf::Sources sources{.paths = {path}, .overrides = {}};
  const std::string good = "vip.api.address = 192.0.2.1\nvip.api.link = lo\nnode.name = n1\n";
  fixture::write(path, good);
  const Config now = conf::load(sources).config;
  std::optional<Config> next;
  TEST_ASSERT_TRUE(read_again(sources, true, now, &next).warnings.empty());
  const std::string all =
      "node.name, etcd.prefix, session.timeout, session.heartbeat, control.socket, state.dir, "
      "user, fence";
  fixture::write(path, good +
                           "vip.api.priority = 7\netcd.prefix = /x\nsession.timeout = 7s\n"
                           "session.heartbeat = 1s\ncontrol.socket = /run/x\nstate.dir = /run/x\n"
                           "user = root\nfence = none\nvip.api.preempt_delay = 9s\n");
  logged::lines.clear();
  const conf::Sources renamed{.paths = {path}, .overrides = {"node.name=n2"}};
  const std::vector<std::string> warnings = read_again(renamed, true, now, &next).warnings;
  TEST_ASSERT_EQUAL_INT(2, warnings.size());
  TEST_ASSERT_TRUE(warnings[0].starts_with(path + ":"));
  TEST_ASSERT_EQUAL_STRING("not changed until the daemon is restarted: " + all, warnings[1]);
  for (const std::string& warning : warnings) TEST_ASSERT_EQUAL_INT(1, logged::count(warning));
  Config same = now;
  same.vips = next->vips;
  TEST_ASSERT_EQUAL_INT(7, next->vips[0].priority.value());
  TEST_ASSERT_EQUAL_STRING(conf::print(same), conf::print(*next));
}

}  // namespace

int main() {
  UNITY_BEGIN();
  RUN_TEST(the_core_is_told_everything);
  RUN_TEST(the_core_is_told_everything_of_a_vip);
  RUN_TEST(a_faulty_file_changes_nothing);
  RUN_TEST(the_first_program_needs_a_restart);
  RUN_TEST(keys_that_wait_for_a_restart_are_named);
  return UNITY_END();
}
