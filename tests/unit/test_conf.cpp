#include "conf/conf.hpp"

#include <algorithm>
#include <functional>
#include <random>
#include <set>

#include "conf/groups.hpp"
#include "conf/keys.hpp"
#include "fixture.hpp"
#include "harness.hpp"
#include "unit/allocations.hpp"

using vipd::Config;
using vipd::Duration;
using vipd::conf::load;
using vipd::conf::print;
using vipd::conf::Result;

namespace {

const std::string kData = "tests/unit/data/conf/";
const std::string kBase = "vip.base.address = 10.9.9.9\nvip.base.link = eth0\n";
const std::string kLeast = "vip.api.address = 192.168.0.15\nvip.api.link = eth0\n";

Result load_text(const std::string& text) {
  fixture::Folder folder;
  return load({.paths = {folder.file("vipd.conf", text)}, .overrides = {}});
}

std::string errors_of(const std::string& text) {
  return fixture::joined(load_text(text).errors);
}

// One case of errors.txt, with what is really said about it.
std::string answered(const std::string& config) {
  fixture::Folder folder;
  const std::string file = folder.file("case.conf", config);
  std::vector<std::string> paths = {file};
  if (config.find("# alone") == std::string::npos) {
    paths.insert(paths.begin(), folder.file("base.conf", kBase));
  }
  std::string text = config;
  const auto plain = [&](const std::string& said) {
    return fixture::replaced(fixture::replaced(said, file, "FILE"), folder.path(), "") + "\n";
  };
  const Result result = load({.paths = paths, .overrides = {}});
  for (const std::string& error : result.errors) text += "! " + plain(error);
  for (const std::string& warning : result.warnings) text += "? " + plain(warning);
  return text;
}

void every_message_of(const std::string& file) {
  const std::string golden = fixture::read(kData + file);
  std::string actual;
  std::string config;
  bool is_case = false;
  for (const std::string& line : fixture::lines(golden + "----\n")) {
    if (line != "----") {
      if (!line.starts_with("! ") && !line.starts_with("? ")) config += line + "\n";
      continue;
    }
    actual += is_case ? "----\n" + answered(config) : config;
    config.clear();
    is_case = true;
  }
  TEST_ASSERT_EQUAL_STRING(fixture::golden(kData + file, actual), actual);
}

void every_error_message() {
  every_message_of("errors.txt");
}

void utf16_is_named() {
  std::string wide = "\xff\xfe";
  for (const char c : kLeast) wide += std::string{c, '\0'};
  for (const std::string& text : {wide, wide.substr(2), wide.substr(3)}) {
    const std::string errors = errors_of(text);
    TEST_ASSERT_MESSAGE(errors.find(":1: this is UTF-16; save it as UTF-8\n") != errors.npos,
                        errors);
  }
}

// What people write who come from other programs.
void every_mistake_is_explained() {
  every_message_of("mistakes.txt");
}

void words_that_mean_the_same_are_taken() {
  for (const char* word : {"yes", "true", "on", "YES", "1"}) {
    const Result result = load_text(kLeast + "vip.api.preempt = " + word);
    TEST_ASSERT_MESSAGE(result.errors.empty() && result.config.vips.at(0).preempt, word);
  }
  for (const char* word : {"no", "False", "off", "No", "0"}) {
    const Result result = load_text(kLeast + "vip.api.kill_connections = " + word);
    TEST_ASSERT_MESSAGE(result.errors.empty() && !result.config.vips.at(0).kill_connections, word);
  }
  const Result level = load_text(kLeast + "log.level = WARNING");
  TEST_ASSERT_TRUE(level.errors.empty() && level.config.log_level == vipd::log::Level::Warn);
}

// What is accepted, and what is said of it all the same.
void every_warning() {
  every_message_of("warnings.txt");
}

void a_password_in_clear_is_warned_of() {
  fixture::Folder folder;
  const std::string secret = folder.file("password", "secret\n");
  TEST_ASSERT_EQUAL_INT(0, chmod(secret.c_str(), 0600));
  const std::string user = kLeast + "etcd.user = vip\netcd.password_file = " + secret + "\n";
  const std::string path =
      folder.file("vipd.conf", user + "etcd.endpoints = http://127.0.0.1, http://10.0.0.2\n");
  const Result result = load({.paths = {path}, .overrides = {}});
  TEST_ASSERT_EQUAL_STRING("", fixture::joined(result.errors));
  TEST_ASSERT_EQUAL_STRING(path +
                               ":3: etcd.user: the password is sent to http://10.0.0.2:2379 in "
                               "clear text; write https\n",
                           fixture::joined(result.warnings));
  for (const char* endpoint : {"http://127.0.0.1", "https://10.0.0.2", "unix:/run/etcd.sock"}) {
    folder.file("vipd.conf", user + "etcd.endpoints = " + endpoint + "\n");
    const Result none = load({.paths = {path}, .overrides = {}});
    TEST_ASSERT_EQUAL_STRING("", fixture::joined(none.errors) + fixture::joined(none.warnings));
  }
}

void a_state_dir_that_cannot_be_written_is_warned_of() {
  fixture::Folder folder;
  const std::string kept = folder.path() + "/kept";
  const std::string given = folder.path() + "/vipd";
  const auto warnings = [](const std::string& state_dir, const std::string& user = "") {
    return fixture::joined(load_text(kLeast + "state.dir = " + state_dir + "\n" + user).warnings);
  };
  for (const std::string& path : {kept, given}) {
    TEST_ASSERT_EQUAL_STRING("", warnings(path));  // the daemon will make it
    TEST_ASSERT_EQUAL_INT(0, mkdir(path.c_str(), 0755));
    TEST_ASSERT_EQUAL_STRING("", warnings(path));
    TEST_ASSERT_EQUAL_INT(0, chmod(path.c_str(), 0555));
  }
  const std::string words = "state.dir: '" + kept + "' cannot be written by ";
  const std::string end =
      ": after a crash its VIPs move; chown it, or name a folder that ends in /vipd\n";
  const auto is_said = [&](const std::string& said, const std::string& who) {
    return said.ends_with(words + who + end);
  };
  TEST_ASSERT_TRUE(is_said(warnings(kept), "uid " + std::to_string(geteuid())));
  TEST_ASSERT_EQUAL_STRING("", warnings(given));
  TEST_ASSERT_EQUAL_INT(0, chmod(kept.c_str(), 0755));
  const std::string other = warnings(kept, "user = 1234\n");
  TEST_ASSERT_TRUE(geteuid() == 0 ? is_said(other, "user 1234") : other.empty());
  for (const std::string& path : {kept, given}) rmdir(path.c_str());
}

void least_configuration_has_the_documented_defaults() {
  const Result result = load_text("node.name = n1\n" + kLeast);
  TEST_ASSERT_EQUAL_STRING("", fixture::joined(result.errors));
  const std::string actual = print(result.config);
  TEST_ASSERT_EQUAL_STRING(fixture::golden(kData + "least.print", actual), actual);
}

void everything_set_prints_canonically() {
  const Result result = load({.paths = {kData + "full.conf"}, .overrides = {}});
  TEST_ASSERT_EQUAL_STRING("", fixture::joined(result.errors));
  const std::string actual = print(result.config);
  TEST_ASSERT_EQUAL_STRING(fixture::golden(kData + "full.print", actual), actual);
}

// What is printed of it is nowhere a default.
void everything_is_set_to_something_else() {
  const std::vector<std::string> least = fixture::lines(fixture::read(kData + "least.print"));
  for (const std::string& line : fixture::lines(fixture::read(kData + "full.print"))) {
    if (line.find(" = ") == std::string::npos) continue;
    const bool is_default = std::find(least.begin(), least.end(), line) != least.end();
    TEST_ASSERT_MESSAGE(!is_default, line + ": set it to something else in full.conf");
  }
}

void node_name_defaults_to_the_host_name() {
  char host[256] = "";
  gethostname(host, sizeof host - 1);
  TEST_ASSERT_EQUAL_STRING(std::string(host).substr(0, 64), load_text(kLeast).config.node_name);
}

void heartbeat_defaults_to_an_eighth_of_the_timeout() {
  const auto heartbeat = [](const char* timeout) {
    return load_text(kLeast + "session.timeout = " + timeout).config.session_heartbeat.ms();
  };
  TEST_ASSERT_EQUAL_INT(375, heartbeat("3s"));
  TEST_ASSERT_EQUAL_INT(375, heartbeat("3001ms"));
  TEST_ASSERT_EQUAL_INT(1000, heartbeat("8s"));
  TEST_ASSERT_EQUAL_INT(1000, heartbeat("1m"));
}

void later_file_overrides_and_command_line_overrides_all() {
  fixture::Folder folder;
  const std::string first = folder.file("a", kLeast + "session.timeout = 4s\nlog.level = warn\n");
  const std::string second = folder.file("b", "session.timeout = 6s\nannounce.count = 2\n");
  const Result result =
      load({.paths = {first, second}, .overrides = {"announce.count=3", "announce.count = 4"}});
  TEST_ASSERT_EQUAL_STRING("", fixture::joined(result.errors));
  TEST_ASSERT_EQUAL_INT(6000, result.config.session_timeout.ms());
  TEST_ASSERT_EQUAL_INT(4, result.config.announce.count);
  TEST_ASSERT_TRUE(result.config.log_level == vipd::log::Level::Warn);
}

void folder_is_read_in_the_order_of_names() {
  fixture::Folder folder;
  for (int i = 29; i > 10; --i) {  // so many that a folder without order would show
    folder.file(std::to_string(i) + ".conf", "announce.count = " + std::to_string(i) + "\n");
  }
  folder.file("10.conf", kLeast + "announce.count = 10\n");
  folder.file("30.conf.bak", "announce.count = 30\n");
  folder.file(".40.conf", "announce.count = 40\n");
  const Result result = load({.paths = {folder.path()}, .overrides = {}});
  TEST_ASSERT_EQUAL_STRING("", fixture::joined(result.errors));
  TEST_ASSERT_EQUAL_INT(29, result.config.announce.count);
}

void vips_keep_the_order_of_the_files() {
  const Result result = load_text(
      "vip.z.link = l\nvip.a.link = l\nvip.a.address = 10.0.0.2\nvip.z.address = 10.0.0.1\n");
  TEST_ASSERT_EQUAL_INT(2, result.config.vips.size());
  TEST_ASSERT_EQUAL_STRING("z", result.config.vips[0].name);
  TEST_ASSERT_EQUAL_STRING("a", result.config.vips[1].name);
}

void missing_file_is_an_error_and_the_only_one() {
  const Result result = load({.paths = {"/nonexistent/vipd.conf"}, .overrides = {}});
  TEST_ASSERT_EQUAL_STRING("/nonexistent/vipd.conf: cannot be read: No such file or directory\n",
                           fixture::joined(result.errors));
}

void what_is_no_file_is_an_error() {
  const Result result = load({.paths = {"/dev/null"}, .overrides = {}});
  TEST_ASSERT_EQUAL_STRING("/dev/null: cannot be read: not a regular file\n",
                           fixture::joined(result.errors));
}

void empty_folder_means_no_vip() {
  fixture::Folder folder;
  const Result result = load({.paths = {folder.path()}, .overrides = {}});
  TEST_ASSERT_EQUAL_STRING(
      folder.path() +
          ": there is no *.conf in this folder; write at least vip.NAME.address and "
          "vip.NAME.link\n",
      fixture::joined(result.errors));
}

void command_line_is_named_as_the_place() {
  fixture::Folder folder;
  const std::string file = folder.file("vipd.conf", kLeast);
  const Result result =
      load({.paths = {file},
            .overrides = {"log.level=info", "log.levl=info", "words", "node.name=a #b",
                          "node.name=", "etcd.password_file=se #cret"}});
  TEST_ASSERT_EQUAL_STRING(
      "command line:2: unknown key 'log.levl'; the nearest known key is 'log.level'\n"
      "command line:3: 'words' is not KEY=VALUE\n"
      "command line:4: 'node.name...' has a '#' that begins a comment, or a line break\n"
      "command line:5: node.name: has no value; write one, or remove the line\n"
      "command line:6: 'etcd.password_file...' has a '#' that begins a comment, or a line break\n",
      fixture::joined(result.errors));
}

void everything_may_come_from_the_command_line() {
  fixture::Folder folder;
  const Result result =
      load({.paths = {folder.path()}, .overrides = {"vip.a.address=10.0.0.1", "vip.a.link=eth0"}});
  TEST_ASSERT_EQUAL_STRING("", fixture::joined(result.errors));
  TEST_ASSERT_EQUAL_STRING("eth0", result.config.vips.at(0).link);
}

void line_ends_of_other_systems_are_accepted() {
  TEST_ASSERT_EQUAL_STRING("", errors_of(fixture::replaced(kLeast, "\n", "\r\n")));
  TEST_ASSERT_EQUAL_STRING("", errors_of(kLeast + "log.level = debug"));  // no line end at all
}

void control_characters_are_refused_and_not_repeated() {
  const std::string escape = errors_of(kLeast + "node.name = a\033[2Jb\n");
  TEST_ASSERT_TRUE(escape.ends_with(":3: the line has control characters; write plain text\n"));
  TEST_ASSERT_TRUE(errors_of(kLeast + "node.name = \xff\n").find("'?'") != std::string::npos);
  const std::string with_nul = kLeast + std::string("node.name = a\0b\n", 16);
  TEST_ASSERT_TRUE(errors_of(with_nul).find("control") != std::string::npos);
}

void sizes_are_bounded() {
  const std::string comment(4096, '#');
  TEST_ASSERT_EQUAL_STRING("", errors_of(kLeast + comment));
  TEST_ASSERT_TRUE(errors_of(kLeast + comment + "#").find("longer than 4096") != std::string::npos);
  std::string large = kLeast;
  while (large.size() < (1 << 20)) large += "# 34567890123456\n";
  TEST_ASSERT_TRUE(errors_of(large).find("larger than 1048576 bytes") != std::string::npos);
  large.resize(1 << 20);
  TEST_ASSERT_EQUAL_STRING("", errors_of(large));
}

std::string many_vips(int count) {
  std::string text;
  for (int i = 0; i < count; ++i) {
    const std::string name = "vip.v" + std::to_string(i);
    text += name + ".address = 10.0." + std::to_string(i / 200) + "." +
            std::to_string(i % 200 + 1) + "\n" + name + ".link = eth0\n";
  }
  return text;
}

void number_of_vips_is_bounded() {
  const Result most = load_text(many_vips(16384));
  TEST_ASSERT_EQUAL_STRING("", fixture::joined(most.errors));
  TEST_ASSERT_EQUAL_INT(16384, most.config.vips.size());
  TEST_ASSERT_TRUE(errors_of(many_vips(16385)).find("more than 16384 VIPs") != std::string::npos);
}

void number_of_errors_is_bounded() {
  std::string text = kLeast;
  for (int i = 0; i < 50'000; ++i) text += "nonsense\n";
  const Result result = load_text(text);
  TEST_ASSERT_EQUAL_INT(101, result.errors.size());
  TEST_ASSERT_TRUE(result.errors.back().ends_with(":102: only the first 100 faults are shown"));
}

// A megabyte of one kind of fault.
std::string megabyte_of(const std::function<std::string(int)>& line) {
  std::string text = kLeast;
  for (int i = 0; text.size() < (1U << 20) - 200; ++i) text += line(i) + "\n";
  return text;
}

// What a file costs is counted in allocations: each comparison of two words makes one, and so does
// each line that is kept.
void a_megabyte_of_faults_costs_little() {
  const std::vector<std::function<std::string(int)>> kinds = {
      [](int i) { return "vip.api.adress" + std::to_string(i) + " = x"; },
      [](int) { return std::string("="); },
      [](int) { return std::string("vip.api.link = eth0"); },
      [](int i) { return std::string(100, 'k') + std::to_string(i) + " = x"; },
      [](int i) { return "vip.v" + std::to_string(i) + ".checks = a, b, c"; },
  };
  for (const auto& kind : kinds) {
    const std::string text = megabyte_of(kind);
    fixture::Folder folder;
    const std::string path = folder.file("vipd.conf", text);
    const size_t before = allocations::count;
    const Result result = load({.paths = {path}, .overrides = {}});
    TEST_ASSERT_EQUAL_INT(101, result.errors.size());
    TEST_ASSERT_TRUE(allocations::count - before < 800'000);  // some 40 for each of 16,384 VIPs
  }
}

std::string vips_on_eth0(int count) {
  std::string text;
  for (int i = 0; i < count; ++i) {
    const std::string head = "vip.v" + std::to_string(i);
    text += head + ".address = 10.1." + std::to_string(i / 250) + "." +
            std::to_string(i % 250 + 1) + "\n" + head + ".link = eth0\n";
  }
  return text;
}

// What a thousand VIPs cost where there are so many checks, in allocations.
size_t cost_of_vips(int checks) {
  std::string text;
  for (int i = 0; i < checks; ++i) {
    text += "check.a-check-with-a-long-name-" + std::to_string(i) + ".file = /x\n";
  }
  const size_t start = allocations::count;
  (void)load_text(text + vips_on_eth0(1));
  const size_t one = allocations::count - start;
  (void)load_text(text + vips_on_eth0(1001));
  return allocations::count - start - 2 * one;
}

// 16,384 VIPs may need 256 checks each; copies of their names would be 130 MB.
void vips_that_need_all_checks_share_one_list() {
  TEST_ASSERT_TRUE(load_text(vips_on_eth0(1001)).errors.empty());
  TEST_ASSERT_TRUE(cost_of_vips(100) < cost_of_vips(1) + 1000);
}

// ---- whatever is printed reads back to the same ------------------------------------------------

std::mt19937 random_source(20260131);

int any(int min, int max) {
  return std::uniform_int_distribution<int>(min, max)(random_source);
}

std::string any_text(const std::string& bytes, int longest) {
  std::string text;
  const int size = any(1, longest);
  for (int i = 0; i < size; ++i)
    text += bytes[static_cast<size_t>(any(0, static_cast<int>(bytes.size()) - 1))];
  return text;
}

const std::string kLetters = "abcdefghijklmnopqrstuvwxyzABCXYZ0123456789";

vipd::CheckConfig any_check(int number) {
  const std::pair<vipd::CheckKind, std::string> kinds[] = {
      {vipd::CheckKind::Http, "https://a.b:443/healthz?x=y"},
      {vipd::CheckKind::Http, "http://[::1]:8080/"},
      {vipd::CheckKind::Tcp, "[fe80::1]:22"},
      {vipd::CheckKind::Exec, "/bin/x -a b"},
      {vipd::CheckKind::File, "/tmp/my file"},
  };
  vipd::CheckConfig check;
  check.name = any_text(kLetters + "_-", 40) + std::to_string(number);
  std::tie(check.kind, check.target) = kinds[any(0, 4)];
  check.interval = Duration::milliseconds(any(100, 100'000));
  check.timeout = Duration::seconds(any(1, 3600));
  check.rise = any(1, 100);
  check.fall = any(1, 100);
  check.insecure = check.target.starts_with("https") && any(0, 1) != 0;
  return check;
}

vipd::VipConfig any_vip(int number) {
  vipd::VipConfig vip;
  vip.name = any_text(kLetters + "_-", 60) + std::to_string(number);
  vip.address =
      vipd::Address::v4(static_cast<uint32_t>((10 + number) << 24 | 1 << 16 | any(1, 0xfffe)));
  vip.prefix_length = static_cast<unsigned>(any(8, 15));
  vip.link = any_text(kLetters + "=,.-_", 125) + "@k";
  if (any(0, 1) != 0) vip.priority = any(0, 255);
  for (int n = any(0, 3); n > 0; --n) {
    vipd::RouteConfig route;
    route.gateway = vipd::Address::v4(static_cast<uint32_t>(n));
    route.table = static_cast<uint32_t>(any(0, 1) * any(1, 253));
    vip.routes.push_back(route);
  }
  if (any(0, 3) == 0) vip.priority.reset();
  vip.preempt = any(0, 1) != 0;
  vip.preempt_delay = Duration::seconds(any(0, 3600));
  vip.source = any(0, 1) != 0;
  vip.kill_connections = any(0, 1) != 0;
  if (any(0, 1) != 0) vip.notify = "/" + any_text(kLetters + " =.", 100) + "n";
  return vip;
}

Config any_config() {
  Config config;
  config.node_name = "n" + any_text(kLetters + "!&=,.;:~'\"\\", 63);
  for (int i = any(1, 5); i > 0; --i) {
    config.etcd.endpoints.push_back("http://" + any_text(kLetters, 30) + "x" + std::to_string(i) +
                                    ":" + std::to_string(any(1, 65535)));
  }
  config.etcd.prefix = "/" + any_text(kLetters + "=.,", 40);
  config.session_timeout =
      Duration::milliseconds(any(0, 1) != 0 ? any(3000, 60000) : 1000 * any(3, 60));
  config.session_heartbeat =
      Duration::milliseconds(any(100, static_cast<int>(config.session_timeout.ms() / 4)));
  config.peer_timeout = Duration::milliseconds(
      any(0, 3) == 0
          ? 0
          : any(200, static_cast<int>(std::min<int64_t>(5000, config.session_timeout.ms() / 2))));
  config.fence = any(0, 1) != 0 ? vipd::FenceChoice::Auto : vipd::FenceChoice::None;
  for (int i = any(1, 20); i > 0; --i) {
    config.vips.push_back(any_vip(i));
  }
  for (int i = any(0, 5); i > 0; --i) {
    config.checks.push_back(any_check(i));
    for (vipd::VipConfig& vip : config.vips) {
      std::vector<std::string> names(vip.checks.begin(), vip.checks.end());
      names.push_back(config.checks.back().name);
      if (any(0, 2) != 0) vip.checks = vipd::CheckNames(std::move(names));
    }
  }
  const vipd::VipConfig first = config.vips.front();
  size_t members = 0;
  for (vipd::VipConfig& vip : config.vips) {
    if (!vip.kill_connections || members == vipd::conf::kMostMembers) continue;  // half of them
    ++members;
    vip.group = "g-1";
    vip.priority = first.priority;
    vip.preempt = first.preempt;
    vip.preempt_delay = first.preempt_delay;
    vip.checks = first.checks;
  }
  config.announce.form = static_cast<vipd::AnnounceForm>(any(0, 2));
  config.conflict = static_cast<vipd::ConflictPolicy>(any(0, 2));
  config.conflict_probe = any(0, 1) != 0;
  config.announce.count = any(1, 100);
  config.announce.interval = Duration::milliseconds(any(10, 60000));
  config.announce.refresh = Duration::seconds(any(0, 3600));
  config.control_socket = "/" + any_text(kLetters + " =.", 100) + "s";
  const std::string parent = any_text(kLetters + " =.", 150);  // " //" would be a comment
  config.state_dir = "/" + parent + "/" + any_text(kLetters + " =.", 150) + "d";
  config.log_level = static_cast<vipd::log::Level>(any(0, 3));
  config.log_target = static_cast<vipd::log::Target>(any(0, 2));
  config.user = std::to_string(any(0, 9999)) + (any(0, 1) != 0 ? ":7" : "");
  return config;
}

void what_is_printed_reads_back_to_the_same() {
  for (int i = 0; i < 500; ++i) {
    const Config config = any_config();
    const std::string text = print(config);
    const Result result = load_text(text);
    TEST_ASSERT_EQUAL_STRING("", fixture::joined(result.errors));
    TEST_ASSERT_MESSAGE(result.config == config, "read back differently:\n" + text);
  }
}

void random_bytes_never_crash() {
  const std::string bytes = kLetters + "....====  \n\n\n##,,//::[]\t\r\x01\xff";
  for (int i = 0; i < 400; ++i) {
    std::string text = kLeast + print(any_config());
    for (int j = any(1, 40); j > 0; --j) {
      const auto at = static_cast<size_t>(any(0, static_cast<int>(text.size()) - 1));
      if (any(0, 1) != 0) {
        text[at] = any_text(bytes, 1)[0];
      } else {
        text.erase(at, static_cast<size_t>(any(1, 30)));
      }
      if (text.empty()) break;
    }
    const Result result = load_text(text);
    // What is accepted after all must still hold what the other modules rely on.
    if (!result.errors.empty()) continue;
    TEST_ASSERT_TRUE(result.config.session_heartbeat * 4 <= result.config.session_timeout);
    TEST_ASSERT_TRUE(load_text(print(result.config)).config == result.config);
  }
}

// ---- the shipped example -----------------------------------------------------------------------

std::string uncommented(const std::string& text) {
  std::string result;
  for (const std::string& line : fixture::lines(text)) {
    const bool is_setting = line.starts_with("#") && line.find(" = ") != std::string::npos &&
                            line.size() > 1 && line[1] != ' ';
    result += (is_setting ? line.substr(1) : line) + "\n";
  }
  return result;
}

void shipped_example_shows_the_defaults() {
  const std::string example = fixture::read("contrib/vipd.conf");
  Result plain = load_text(example);
  TEST_ASSERT_EQUAL_STRING("", fixture::joined(plain.errors));
  const Result all = load_text(uncommented(example));
  TEST_ASSERT_EQUAL_STRING("", fixture::joined(all.errors));
  plain.config.node_name = all.config.node_name;
  TEST_ASSERT_EQUAL_STRING(print(all.config), print(plain.config));
}

// With every setting of it, whatever is a comment of several words being one still.
void shipped_example_without_comments_has_no_fault_but_missing_files() {
  std::string text;
  for (const std::string& line : fixture::lines(fixture::read("contrib/vipd.conf"))) {
    const size_t begin = line.find_first_not_of("# ");
    if (begin == std::string::npos) continue;
    const std::string rest = line.substr(begin);
    const std::string key = rest.substr(0, rest.find(' '));
    const bool is_key = key.find('.') != std::string::npos && key.back() != '.';
    if (!line.starts_with("#")) {
      text += line + "\n";
    } else if (is_key || rest.find(" = ") != std::string::npos) {
      text += rest + "\n";
    }
  }
  for (const std::string& error : load_text(text).errors) {
    TEST_ASSERT_MESSAGE(error.find("No such file or directory") != std::string::npos, error);
  }
}

// The static daemon has no words for it.
#ifdef VIPD_WITHOUT_MANUAL
void shipped_example_has_every_key() {}
#else
// "vip.api.link" and "vip.NAME.link": the same key.
std::string without_name(const std::string& key) {
  const size_t first = key.find('.');
  const size_t last = key.rfind('.');
  return key.starts_with("vip.") || key.starts_with("check.")
             ? key.substr(0, first) + key.substr(last)
             : key;
}

std::string as_example(const vipd::conf::Key& key) {
  std::string text = "\n# " + fixture::replaced(std::string(key.help), "\n", "\n# ") + "\n";
  const std::string name = fixture::replaced(std::string(key.name), "NAME", "api");
  return text + "\n#" + (key.fallback.empty() ? " " : "") + name + " = " +
         std::string(key.fallback) + "\n";
}

// VIPD_REWRITE=1 puts one that is missing at the end; it belongs to its like.
void shipped_example_has_every_key() {
  std::string example = fixture::read("contrib/vipd.conf");
  std::set<std::string> shown;
  for (const std::string& line : fixture::lines(example)) {
    const size_t begin = line.find_first_not_of("# ");
    if (begin == std::string::npos) continue;
    shown.insert(without_name(line.substr(begin, line.find_first_of(" =", begin) - begin)));
  }
  for (const vipd::conf::Key& key : vipd::conf::keys()) {
    if (!shown.contains(without_name(std::string(key.name)))) example += as_example(key);
  }
  TEST_ASSERT_EQUAL_STRING(fixture::golden("contrib/vipd.conf", example), example);
}
#endif

}  // namespace

int main() {
  UNITY_BEGIN();
  RUN_TEST(every_error_message);
  RUN_TEST(every_mistake_is_explained);
  RUN_TEST(words_that_mean_the_same_are_taken);
  RUN_TEST(every_warning);
  RUN_TEST(a_password_in_clear_is_warned_of);
  RUN_TEST(a_state_dir_that_cannot_be_written_is_warned_of);
  RUN_TEST(utf16_is_named);
  RUN_TEST(least_configuration_has_the_documented_defaults);
  RUN_TEST(everything_set_prints_canonically);
  RUN_TEST(everything_is_set_to_something_else);
  RUN_TEST(node_name_defaults_to_the_host_name);
  RUN_TEST(heartbeat_defaults_to_an_eighth_of_the_timeout);
  RUN_TEST(later_file_overrides_and_command_line_overrides_all);
  RUN_TEST(folder_is_read_in_the_order_of_names);
  RUN_TEST(vips_keep_the_order_of_the_files);
  RUN_TEST(missing_file_is_an_error_and_the_only_one);
  RUN_TEST(what_is_no_file_is_an_error);
  RUN_TEST(empty_folder_means_no_vip);
  RUN_TEST(command_line_is_named_as_the_place);
  RUN_TEST(everything_may_come_from_the_command_line);
  RUN_TEST(line_ends_of_other_systems_are_accepted);
  RUN_TEST(control_characters_are_refused_and_not_repeated);
  RUN_TEST(sizes_are_bounded);
  RUN_TEST(number_of_vips_is_bounded);
  RUN_TEST(number_of_errors_is_bounded);
  RUN_TEST(a_megabyte_of_faults_costs_little);
  RUN_TEST(vips_that_need_all_checks_share_one_list);
  RUN_TEST(what_is_printed_reads_back_to_the_same);
  RUN_TEST(random_bytes_never_crash);
  RUN_TEST(shipped_example_shows_the_defaults);
  RUN_TEST(shipped_example_without_comments_has_no_fault_but_missing_files);
  RUN_TEST(shipped_example_has_every_key);
  return UNITY_END();
}
