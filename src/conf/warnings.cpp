#include "conf/warnings.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <set>

#include "conf/expansion.hpp"
#include "conf/keys.hpp"
#include "conf/programs.hpp"
#include "conf/values.hpp"
#include "sys/user.hpp"
#include "vipd/config.hpp"

namespace vipd::conf {
namespace {

bool is_https(const std::string& url) {
  return url.starts_with("https://");
}

// "10.0.0.1" of "http://10.0.0.1:2379", and "fe80::1" of "http://[fe80::1]:2379".
std::string host_of(const std::string& url) {
  const size_t begin = url.find("://");
  if (begin == std::string::npos) return "";  // a socket
  std::string host = url.substr(begin + 3, url.rfind(':') - begin - 3);
  if (host.starts_with('[')) host = host.substr(1, host.size() - 2);
  return host;
}

// What is sent there can be read on the way.
bool is_in_clear(const std::string& url) {
  const std::string host = host_of(url);
  const bool is_here = host.starts_with("127.") || host == "::1" || host == "localhost";
  return url.starts_with("http://") && !is_here;
}

// A URL may have '&' and the like; these mean a shell.
bool wants_shell(const std::string& command) {
  return command.find_first_of("'\"`|") != std::string::npos ||
         command.find(" && ") != std::string::npos || command.find(" > ") != std::string::npos;
}

class Warner {
 public:
  Warner(const Config& config, const GivenAt& given_at, Errors* warnings)
      : config_(config), given_at_(given_at), warnings_(warnings) {}

  void tls();
  void password();
  void headers(const CheckConfig& check);
  void endpoints();
  void programs();
  void preempt(const VipConfig& vip);
  void routes(const VipConfig& vip);
  void unused_checks();
  void lonely_groups();
  void hold();
  void state_dir();

 private:
  void add(const std::string& key, const std::string& words) {
    const Position* const place = given_at_(key);
    if (place != nullptr) warnings_->add(*place, words);
  }
  // The first endpoint of which it is true; nullptr: none.
  template <typename Is>
  const std::string* first(Is is) const {
    const std::vector<std::string>& urls = config_.etcd.endpoints;
    const auto found = std::find_if(urls.begin(), urls.end(), is);
    return found == urls.end() ? nullptr : &*found;
  }
  void program(const std::string& key, const std::string& path);
  const std::string& fault_of(const std::string& program);

  const Config& config_;
  const GivenAt& given_at_;
  Errors* warnings_;
  std::map<std::string, std::string> faults_;  // of programs: thousands of VIPs may share one
};

const std::string& Warner::fault_of(const std::string& program) {
  const auto [found, is_new] = faults_.emplace(program, "");
  if (is_new) found->second = program_fault(program);
  return found->second;
}

void Warner::tls() {
  if (first(is_https) != nullptr || config_.etcd.discover) return;
  for (const char* key : {"etcd.cacert", "etcd.cert", "etcd.key", "etcd.servername"}) {
    add(key, std::string(key) + " has no effect: no endpoint uses https");
  }
}

void Warner::password() {
  const std::string* const url = first(is_in_clear);
  if (url == nullptr) return;
  add("etcd.user", "etcd.user: the password is sent to " + *url + " in clear text; write https");
}

void Warner::headers(const CheckConfig& check) {
  constexpr size_t kScheme = 8;  // "https://"
  if (check.header_file.empty() ||
      !is_in_clear(check.target.substr(0, check.target.find('/', kScheme))))
    return;
  const std::string key = "check." + check.name + ".header_file";
  add(key, key + ": the headers are sent to " + check.target + " in clear text; write https");
}

void Warner::endpoints() {
  const std::string* const secure = first(is_https);
  const std::string* const open = first(is_in_clear);
  if (secure != nullptr && open != nullptr) {
    add("etcd.endpoints", "etcd.endpoints: " + *open + " is not encrypted, but " + *secure +
                              " is; write https for all members");
  }
  const auto needs_link = [](const std::string& url) { return host_of(url).starts_with("fe80:"); };
  if (const std::string* const url = first(needs_link)) {
    add("etcd.endpoints", "etcd.endpoints: " + *url +
                              " is a link-local address; it needs a link, which no URL can name; "
                              "write another address of that host");
  }
  std::map<Address, const std::string*> hosts;
  for (const std::string& url : config_.etcd.endpoints) {
    if (const auto host = Address::parse(host_of(url))) hosts.emplace(*host, &url);
  }
  for (const VipConfig& vip : config_.vips) {
    const auto own = hosts.find(vip.address);
    if (own == hosts.end()) continue;
    add("etcd.endpoints", "etcd.endpoints: " + *own->second + " is the address of VIP '" +
                              vip.name +
                              "', which no node has without etcd; write a member's own address");
  }
}

void Warner::program(const std::string& key, const std::string& path) {
  if (given_at_(key) == nullptr) return;
  const std::string fault = fault_of(path);
  if (fault.empty()) return;
  const std::string program = path.substr(0, path.find(' '));
  const bool has_arguments = program != path && fault_of(program).empty();
  add(key, key + ": " + quoted(path) + " cannot be run: " +
               (has_arguments ? "only vipd gives the program arguments; write " + program : fault));
}

void Warner::programs() {
  for (const VipConfig& vip : config_.vips) {
    if (!vip.notify.empty()) program("vip." + vip.name + ".notify", vip.notify);
    if (!vip.acquire.empty()) program("vip." + vip.name + ".acquire", vip.acquire);
  }
  for (const CheckConfig& check : config_.checks) {
    if (check.kind != CheckKind::Exec) continue;
    const std::string program = check.target.substr(0, check.target.find(' '));
    const std::string fault = fault_of(program);
    const std::string key = "check." + check.name + ".exec";
    if (!fault.empty()) add(key, key + ": " + quoted(program) + " cannot be run: " + fault);
    if (fault.empty() && wants_shell(check.target)) {
      add(key, key + ": there is no shell, and nothing is quoted; write a script and its path");
    } else if (fault.empty() && wants_expansion(check.target)) {
      add(key, key + ": there is no shell, and nothing is expanded; write a script and its path");
    }
  }
}

void Warner::preempt(const VipConfig& vip) {
  const std::string key = "vip." + vip.name + ".preempt_delay";
  if (vip.preempt || given_at_(key) == nullptr) return;
  const std::string other = key.substr(0, key.rfind('_'));
  if (given_at_(other) != nullptr) return;  // set aside on purpose, or by its group
  add(key, key + " has no effect without " + other + " = yes");
}

// Not known is what other subnets the link has.
void Warner::routes(const VipConfig& vip) {
  if (vip.routes.empty() || vip.prefix_length < 8 * vip.address.size()) return;
  const std::string head = "vip." + vip.name;
  add(head + ".routes", head + ".routes: " + vip.routes[0].gateway.text() +
                            " is reached only if the link has another address of its subnet; "
                            "otherwise write the length in " +
                            head + ".address");
}

void Warner::hold() {
  if (!config_.peer_hold || (config_.peer_timeout.ms() > 0 && config_.fence == FenceChoice::Auto))
    return;
  add("peer.hold",
      "peer.hold has no effect without a peer lease, which needs a peer.timeout and "
      "fence = auto");
}

// The session is written there. One that is new, or ends in /vipd, is given to the user; where that
// is somebody else than who is judged, nothing can be said.
void Warner::state_dir() {
  const std::string& folder = config_.state_dir;
  sys::User user{.uid = geteuid(), .gid = 0, .groups = {}};
  std::string who = "uid " + std::to_string(user.uid), ignored;
  if (!config_.user.empty()) {
    who = "user " + config_.user;
    if (!sys::find_user(config_.user, &user, &ignored) || user.uid != geteuid()) return;
  }
  if (folder.ends_with("/vipd")) return;
  if (faccessat(AT_FDCWD, folder.c_str(), W_OK | X_OK, AT_EACCESS) == 0 || errno == ENOENT) return;
  add("state.dir", "state.dir: " + quoted(folder) + " cannot be written by " + who +
                       ": after a crash its VIPs move; chown it, or name a folder that ends in "
                       "/vipd");
}

void Warner::unused_checks() {
  std::set<std::string> used;
  for (const VipConfig& vip : config_.vips) {
    const bool is_given = given_at_("vip." + vip.name + ".checks") != nullptr;
    if (!is_given && vip.group.empty()) return;  // it needs them all
    used.insert(vip.checks.begin(), vip.checks.end());
  }
  for (const CheckConfig& check : config_.checks) {
    if (used.contains(check.name)) continue;
    const std::string head = "check." + check.name + ".";
    for (const std::string& kind : kinds_of_checks()) {
      add(head + kind, "check '" + check.name + "' has no effect: no VIP has it in its checks");
    }
  }
}

void Warner::lonely_groups() {
  std::map<std::string, const VipConfig*> lonely;  // nullptr: there are others
  for (const VipConfig& vip : config_.vips) {
    const auto [found, is_new] = lonely.emplace(vip.group, &vip);
    if (!is_new) found->second = nullptr;
  }
  for (const auto& [group, vip] : lonely) {
    if (vip == nullptr || group.empty()) continue;
    const std::string key = "vip." + vip->name + ".group";
    add(key, key + " has no effect: no other VIP is in group '" + group + "'");
  }
}

}  // namespace

void warn(const Config& config, const GivenAt& given_at, Errors* warnings) {
  Warner warner(config, given_at, warnings);
  warner.tls();
  warner.password();
  warner.endpoints();
  warner.programs();
  for (const VipConfig& vip : config.vips) warner.preempt(vip);
  for (const CheckConfig& check : config.checks) warner.headers(check);
  for (const VipConfig& vip : config.vips) warner.routes(vip);
  warner.unused_checks();
  warner.lonely_groups();
  warner.hold();
  warner.state_dir();
}

}  // namespace vipd::conf
