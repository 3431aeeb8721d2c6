// Reads the sources in their order, and checks what only shows when all of them are read.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstring>
#include <list>
#include <map>
#include <unordered_map>

#include "conf/check_rules.hpp"
#include "conf/conf.hpp"
#include "conf/duration.hpp"
#include "conf/groups.hpp"
#include "conf/hints.hpp"
#include "conf/keys.hpp"
#include "conf/named_files.hpp"
#include "conf/nearest.hpp"
#include "conf/reader.hpp"
#include "conf/routes.hpp"
#include "conf/values.hpp"
#include "conf/warnings.hpp"
#include "sys/as_user.hpp"
#include "sys/fd.hpp"
#include "sys/user.hpp"
#include "vipd/auto_link.hpp"
#include "vipd/paths.hpp"

namespace vipd::conf {
namespace {

constexpr size_t kMostVips = 16'384;
constexpr size_t kMostChecks = 256;
constexpr Duration kMostHeartbeat = Duration::seconds(1);
constexpr int64_t kHeartbeatsPerTimeout = 8;
constexpr int64_t kLeastHeartbeatsPerTimeout = 4;
constexpr std::string_view kHeartbeat = "session.heartbeat";
constexpr std::string_view kTimeout = "session.timeout";
constexpr std::string_view kPeerTimeout = "peer.timeout";

class Loader {
 public:
  explicit Loader(const Sources& sources) : sources_(sources) {}  // which outlive it
  [[nodiscard]] Result run();

 private:
  struct Given {
    Position place;
    bool is_valid;
    size_t reading;  // the file or override that gave it last, by number
  };
  template <typename T>
  struct Named {
    T config;
    Position first;
  };
  template <typename T>
  struct Group {
    std::string what;  // in messages
    std::string head;  // of its keys
    size_t most;
    std::vector<Named<T>> list;
    std::map<std::string, size_t, std::less<>> index;
  };
  using Vip = Named<VipConfig>;
  using Check = Named<CheckConfig>;

  void set_defaults();
  void read_sources();
  void read_path(const std::string& path);
  void read_folder(const std::string& path);
  void read_one(const std::string& path);
  void read_override(const std::string& text, size_t number);
  void apply_once(const Setting& setting);
  void apply(const Setting& setting, Given* given);
  template <typename T>
  T* find_or_add(Group<T>* group, std::string_view name, const Setting& setting);
  void store(const Key& key, const Setting& setting, const Target& target, Given* given);

  void check_vips();
  void check_addresses();
  void check_checks();
  void check_groups();
  void check_arp_links();
  void check_as_the_daemon();
  void check_sources();
  void check_etcd(TlsTrial try_tls);
  void check_tls(const std::string& head, const TlsFilesNamed& files, TlsTrial try_tls);
  void check_file(const std::string& key, const std::string& path,
                  std::string (*fault_of)(const std::string&));
  std::string denied(const std::string& fault) const;
  void check_pair(const std::string& key, const std::string& other);
  void check_heartbeat();
  void check_peer_timeout();
  void check_vip_keys(const Vip& vip);
  void check_check_files(const CheckConfig& config, TlsTrial try_tls);
  void check_uses(Vip* vip, const CheckNames& known);
  const Position& place_of(const std::string& key) const;  // REQUIRES: it was given
  GivenAt given_at() const;

  const Sources& sources_;
  std::list<std::string> files_;  // that no source names; they stay, since places name them
  size_t reading_ = 0;

  Config config_;
  Group<VipConfig> vips_{"VIP", "vip.", kMostVips, {}, {}};
  Group<CheckConfig> checks_{"check", "check.", kMostChecks, {}, {}};
  std::unordered_map<std::string, Given> given_;  // the last one of each key
  std::string who_;                               // reads the files that are named
  std::vector<const std::string*> read_;          // files and folders
  Position last_read_;                            // for faults that have no line
  bool may_lack_vips_ = false;                    // those that are missing have been reported
  Errors errors_;
  Errors warnings_;
};

void Loader::set_defaults() {
  std::string reason;
  for (const Key& key : keys()) {
    // VipConfig and CheckConfig have their own.
    if (key.fallback.empty() || key.scope() != Scope::Daemon) continue;
    if (!parse_value(key, key.fallback, {.config = &config_}, &reason)) assert(false);
  }
  config_.node_name = default_node_name();
}

void Loader::read_sources() {
  for (const std::string& path : sources_.paths) read_path(path);
  if (!sources_.paths.empty()) return;
  last_read_ = Position{kDefaultFile};
  for (const char* path : {kDefaultFile, kDefaultFolder}) {
    if (access(path, F_OK) == 0) read_path(files_.emplace_back(path));
  }
}

void Loader::read_path(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) return read_folder(path);
  read_one(path);
}

void Loader::read_folder(const std::string& path) {
  last_read_ = Position{path};
  read_.push_back(&path);
  for (std::string& file : list_folder(path, &errors_)) {
    if (!errors_.full()) read_one(files_.emplace_back(std::move(file)));
  }
}

void Loader::read_one(const std::string& path) {
  last_read_ = Position{path};
  errors_.begin_file(path);
  warnings_.begin_file(path);
  ++reading_;
  if (read_file(path, &errors_, [this](const Setting& read) { apply_once(read); })) {
    read_.push_back(&path);
  } else {
    may_lack_vips_ = true;
  }
}

void Loader::read_override(const std::string& text, size_t number) {
  const Position place{"command line", number};
  // In a file the rest would be a comment; dropping it here without a word would surprise.
  for (const char* part : {"\n", " #", "\t#", "=#"}) {
    if (text.find(part) == std::string::npos) continue;
    return errors_.add(place,
                       quoted_key(text) + " has a '#' that begins a comment, or a line break");
  }
  Errors local;
  Setting setting;
  read_settings(text, place.file, &local, [&](const Setting& read) { setting = read; });
  if (setting.key.empty()) return errors_.add(place, quoted_key(text) + " is not KEY=VALUE");
  setting.place = place;
  ++reading_;
  apply_once(setting);
}

// In one file a key is given once.
void Loader::apply_once(const Setting& setting) {
  Given& given = given_[std::string(setting.key)];
  if (given.reading == reading_) {
    return errors_.add(setting.place, quoted_key(setting.key) + " is given twice, first at " +
                                          given.place.text() + "; keep one of the two");
  }
  given = {.place = setting.place, .is_valid = false, .reading = reading_};
  apply(setting, &given);
}

void Loader::apply(const Setting& setting, Given* given) {
  if (errors_.full()) return;  // nothing that follows is shown
  std::string_view name;
  const Key* const key = find_key(setting.key, &name);
  if (setting.key.starts_with("vip.")) may_lack_vips_ = true;
  if (key == nullptr) return errors_.add(setting.place, unknown_key(std::string(setting.key)));
  Target target{.config = &config_};
  const Scope scope = key->scope();
  if (scope == Scope::Vip) target.vip = find_or_add(&vips_, name, setting);
  if (scope == Scope::Check) target.check = find_or_add(&checks_, name, setting);
  if (scope == Scope::Vip && target.vip == nullptr) return;
  if (scope == Scope::Check && target.check == nullptr) return;
  store(*key, setting, target, given);
}

// nullptr, and a fault, when there can be no such one.
template <typename T>
T* Loader::find_or_add(Group<T>* group, std::string_view name, const Setting& setting) {
  // Mostly those of one stand together.
  if (!group->list.empty() && group->list.back().config.name == name) {
    return &group->list.back().config;
  }
  if (!is_vip_name(name)) {
    errors_.add(setting.place, quoted(name) + " cannot name a " + group->what +
                                   "; write 1 to 63 letters, digits, '-' and '_' between " +
                                   group->head + " and the last dot");
    return nullptr;
  }
  const auto [found, is_new] = group->index.emplace(name, group->list.size());
  if (!is_new) return &group->list[found->second].config;
  if (group->list.size() == group->most) {
    group->index.erase(found);
    errors_.add(setting.place,
                "there are more than " + std::to_string(group->most) + " " + group->what + "s");
    return nullptr;
  }
  group->list.push_back(Named<T>{T{}, setting.place});
  group->list.back().config.name = name;
  return &group->list.back().config;
}

void Loader::store(const Key& key, const Setting& setting, const Target& target, Given* given) {
  std::string reason = value_fault(key, setting.value);
  given->is_valid = reason.empty() && parse_value(key, setting.value, target, &reason);
  if (!given->is_valid) errors_.add(setting.place, std::string(setting.key) + ": " + reason);
}

// What it will read, with what it will be allowed to.
void Loader::check_as_the_daemon() {
  sys::User user;
  std::string reason;
  const bool changes =
      !config_.user.empty() && geteuid() == 0 && sys::find_user(config_.user, &user, &reason);
  const sys::AsUser as(changes ? &user : nullptr);
  who_ = changes ? "user " + config_.user : "uid " + std::to_string(geteuid());
  check_sources();
  check_etcd(sources_.try_tls);
  for (const CheckConfig& check : config_.checks) check_check_files(check, sources_.try_tls);
  if (!errors_.empty()) return;
  warn(config_, given_at(), &warnings_);
}

const Position& Loader::place_of(const std::string& key) const {
  const auto given = given_.find(key);
  assert(given != given_.end());
  return given->second.place;
}

GivenAt Loader::given_at() const {
  return [this](const std::string& key) {
    const auto given = given_.find(key);
    return given == given_.end() ? nullptr : &given->second.place;
  };
}

void Loader::check_sources() {
  for (const std::string* path : read_) {
    const sys::Fd fd(open(path->c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (fd.is_open()) continue;
    errors_.add(Position{*path},
                "can be read now, but not by a reload: " + denied(strerror(errno)));
  }
}

void Loader::check_etcd(TlsTrial try_tls) {
  const EtcdConfig& etcd = config_.etcd;
  check_pair("etcd.cert", "etcd.key");
  check_pair("etcd.key", "etcd.cert");
  check_file("etcd.password_file", etcd.password_file, password_fault);
  check_pair("etcd.user", "etcd.password_file");
  check_pair("etcd.password_file", "etcd.user");
  const bool is_https =
      std::any_of(etcd.endpoints.begin(), etcd.endpoints.end(),
                  [](const std::string& url) { return url.starts_with("https://"); });
  check_tls("etcd.", {etcd.cacert, etcd.cert, etcd.key}, is_https ? try_tls : nullptr);
}

// Those that are there and are what they should be are tried together.
void Loader::check_tls(const std::string& head, const TlsFilesNamed& files, TlsTrial try_tls) {
  const size_t before = errors_.count();
  check_file(head + "cacert", files.cacert, certificate_fault);
  check_file(head + "cert", files.cert, certificate_fault);
  check_file(head + "key", files.key, private_key_fault);
  const bool is_whole = files.cert.empty() == files.key.empty();
  if (try_tls == nullptr || !is_whole || errors_.count() != before) return;
  const std::string fault = try_tls(files);
  if (fault.empty()) return;
  for (const char* key : {"key", "cert", "cacert", "endpoints", "http"}) {
    const auto given = given_.find(head + key);
    if (given == given_.end()) continue;
    return errors_.add(given->second.place, head + fault);
  }
  errors_.add(last_read_, head + fault);
}

void Loader::check_file(const std::string& key, const std::string& path,
                        std::string (*fault_of)(const std::string&)) {
  if (path.empty()) return;
  const std::string fault = fault_of(path);
  if (!fault.empty()) errors_.add(place_of(key), key + ": " + denied(fault));
}

// Whom: the daemon's user is somebody else than who asks.
std::string Loader::denied(const std::string& fault) const {
  return fault.ends_with(strerror(EACCES)) ? fault + " to " + who_ : fault;
}

void Loader::check_pair(const std::string& key, const std::string& other) {
  if (!given_.contains(key) || given_.contains(other)) return;
  errors_.add(place_of(key), key + " has no effect without " + other + "; write both");
}

void Loader::check_heartbeat() {
  const Duration timeout = config_.session_timeout;
  const auto given_timeout = given_.find(std::string(kTimeout));
  if (given_timeout != given_.end() && !given_timeout->second.is_valid) return;
  if (!given_.contains(std::string(kHeartbeat))) {
    const Duration eighth = Duration::milliseconds(timeout.ms() / kHeartbeatsPerTimeout);
    config_.session_heartbeat = std::min(eighth, kMostHeartbeat);
    return;
  }
  const Duration most = Duration::milliseconds(timeout.ms() / kLeastHeartbeatsPerTimeout);
  if (config_.session_heartbeat <= most) return;
  errors_.add(place_of(std::string(kHeartbeat)),
              std::string(kHeartbeat) + ": '" + duration_text(config_.session_heartbeat) +
                  "' is more than a quarter of " + std::string(kTimeout) + " (" +
                  duration_text(timeout) + "); write " + duration_text(most) + " or less");
}

// A longer one would never be entered, and the session's timeout would count.
void Loader::check_peer_timeout() {
  const Duration timeout = config_.session_timeout;
  const auto given_timeout = given_.find(std::string(kTimeout));
  if (given_timeout != given_.end() && !given_timeout->second.is_valid) return;
  const Duration most = Duration::milliseconds(timeout.ms() / 2);
  if (config_.peer_timeout <= most) return;
  errors_.add(place_of(std::string(kPeerTimeout)),
              std::string(kPeerTimeout) + ": '" + duration_text(config_.peer_timeout) +
                  "' is more than half of " + std::string(kTimeout) + " (" +
                  duration_text(timeout) + "); write " + duration_text(most) + " or less");
}

void Loader::check_vips() {
  for (Vip& vip : vips_.list) settle_vip_link(&vip.config);
  for (const Vip& vip : vips_.list) check_vip_keys(vip);
  if (!vips_.list.empty() || may_lack_vips_) return;
  if (read_.empty()) {
    return errors_.add(last_read_, "there is no such file, and no folder " +
                                       std::string(kDefaultFolder) +
                                       "; write one, or name another with -c");
  }
  struct stat info {};
  const bool is_folder =
      stat(std::string(last_read_.file).c_str(), &info) == 0 && S_ISDIR(info.st_mode);
  errors_.add(last_read_, std::string(is_folder ? "there is no *.conf in this folder"
                                                : "no VIP is configured") +
                              "; write at least vip.NAME.address and vip.NAME.link");
}

void Loader::check_vip_keys(const Vip& vip) {
  for (const Key& key : keys()) {
    const bool is_optional = !key.fallback.empty() || !key.fallback_words.empty();
    if (is_optional || key.scope() != Scope::Vip) continue;
    const std::string name = key_text(key, vip.config.name);
    if (given_.contains(name)) continue;
    errors_.add(vip.first, "VIP '" + vip.config.name + "' has no " +
                               name.substr(name.rfind('.') + 1) + "; write " + name + " = " +
                               std::string(argument_words(key)));
  }
  const std::string fault = routes_fault(vip.config);
  if (!fault.empty()) errors_.add(place_of("vip." + vip.config.name + ".routes"), fault);
}

// ARCHITECTURE.md: the election is that of the address, whatever it is called.
void Loader::check_addresses() {
  std::map<Address, const Vip*> owners;
  for (const Vip& vip : vips_.list) {
    if (vip.config.address.size() == 0) continue;  // missing or faulty: said already
    const auto [first, is_new] = owners.emplace(vip.config.address, &vip);
    if (is_new) continue;
    const std::string& other = first->second->config.name;
    errors_.add(place_of("vip." + vip.config.name + ".address"),
                "VIP '" + vip.config.name + "' has the address " + vip.config.address.text() +
                    " of VIP '" + other + "' (" + place_of("vip." + other + ".address").text() +
                    "); each VIP needs an address of its own");
  }
}

void Loader::check_checks() {
  for (const Check& check : checks_.list) judge(check.config, check.first, given_at(), &errors_);
  std::vector<std::string> names;
  for (const Check& check : checks_.list) names.push_back(check.config.name);
  const CheckNames known(std::move(names));
  for (Vip& vip : vips_.list) check_uses(&vip, known);
}

void Loader::check_check_files(const CheckConfig& config, TlsTrial try_tls) {
  const bool is_tried = config.target.starts_with("https://") && !config.insecure;
  check_tls("check." + config.name + ".", {config.cacert, config.cert, config.key},
            is_tried ? try_tls : nullptr);
  check_file("check." + config.name + ".header_file", config.header_file, headers_fault);
}

// Fills in what VIPs need that do not say it.
void Loader::check_uses(Vip* vip, const CheckNames& known) {
  const std::string key = "vip." + vip->config.name + ".checks";
  const auto given = given_.find(key);
  if (given == given_.end()) {
    vip->config.checks = known;
    return;
  }
  if (!given->second.is_valid) return;
  for (const std::string& name : vip->config.checks) {
    if (checks_.index.contains(name) || errors_.full()) continue;
    const std::string fault = key + ": there is no check " + quoted(name);
    errors_.add(place_of(key), known.all().empty()
                                   ? fault + "; define it, or write none"
                                   : fault + "; the nearest is '" +
                                         nearest(name, {known.begin(), known.end()}) + "'");
  }
}

void Loader::check_groups() {
  std::vector<VipConfig*> vips(vips_.list.size());
  for (size_t i = 0; i < vips.size(); ++i) vips[i] = &vips_.list[i].config;
  std::set<std::string> own;
  for (const Check& check : checks_.list) {
    if (is_own_check(check.config)) own.insert(check.config.name);
  }
  const GivenAt valid_at = [this](const std::string& key) {
    const auto given = given_.find(key);
    return given == given_.end() || !given->second.is_valid ? nullptr : &given->second.place;
  };
  settle_groups(vips, own, valid_at, &errors_);
}

// Who answers on one link says nothing of another.
void Loader::check_arp_links() {
  std::map<std::string, const VipConfig*> users;
  for (const Vip& vip : vips_.list) {
    for (const std::string& name : vip.config.checks) {
      const auto found = checks_.index.find(name);
      if (found == checks_.index.end()) continue;
      const Check& check = checks_.list[found->second];
      if (check.config.kind != CheckKind::Arp) continue;
      const VipConfig* first = users.emplace(name, &vip.config).first->second;
      const bool may_be_one = is_auto_link(first->link) && is_auto_link(vip.config.link);
      if (first->link == vip.config.link || may_be_one) continue;
      errors_.add(check.first, "check '" + name + "' asks on the link of its VIP, but '" +
                                   first->name + "' (" + first->link + ") and '" + vip.config.name +
                                   "' (" + vip.config.link +
                                   ") both need it; define one for each link");
      break;
    }
  }
}

Result Loader::run() {
  set_defaults();
  read_sources();
  for (size_t i = 0; i < sources_.overrides.size(); ++i) {
    read_override(sources_.overrides[i], i + 1);
  }
  check_heartbeat();
  check_peer_timeout();
  check_vips();
  check_addresses();
  check_checks();
  check_groups();
  check_arp_links();
  for (Check& check : checks_.list) config_.checks.push_back(std::move(check.config));
  config_.vips.reserve(vips_.list.size());
  for (Vip& vip : vips_.list) config_.vips.push_back(std::move(vip.config));
  check_as_the_daemon();
  return Result{std::move(config_), errors_.texts(), warnings_.texts()};
}

}  // namespace

Result load(const Sources& sources) {
  return Loader(sources).run();
}

}  // namespace vipd::conf
