#include "conf/keys.hpp"

#include <array>

#include "conf/check_values.hpp"
#include "conf/duration.hpp"
#include "conf/endpoint.hpp"
#include "conf/groups.hpp"
#include "conf/routes.hpp"
#include "conf/values.hpp"
#include "vipd/paths.hpp"

namespace vipd::conf {
namespace {

constexpr std::array<std::string_view, 2> kNoYes = {"no", "yes"};
constexpr std::array<std::string_view, 4> kLevels = {"error", "warn", "info", "debug"};
constexpr std::array<std::string_view, 3> kPolicies = {"defend", "release", "ignore"};
constexpr std::array<std::string_view, 3> kForms = {"request", "reply", "both"};
constexpr std::array<std::string_view, 2> kFences = {"auto", "none"};
constexpr std::array<std::string_view, 3> kTargets = {"stderr", "syslog", "kmsg"};

constexpr Duration ms(int64_t n) {
  return Duration::milliseconds(n);
}
constexpr Duration s(int64_t n) {
  return Duration::seconds(n);
}
constexpr Duration kMinute = s(60);
constexpr Duration kHour = s(3600);

template <bool VipConfig::*Member>
constexpr VipText switch_key() {
  return {"yes|no",
          [](std::string_view text, VipConfig* vip, std::string* reason) {
            return parse_yes_no(text, &(vip->*Member), reason);
          },
          [](const VipConfig& vip) { return std::string(kNoYes[vip.*Member]); }};
}

// What else a new one needs: ARCHITECTURE.md, "Where to add what".
const Key kKeys[] = {
    {.name = "node.name",
     .type = Text{"NAME", parse_node_name, [](Config& c) -> std::string& { return c.node_name; }},
     .fallback = "",
     .fallback_words = "the host name",
     .help = "What people see for this node in the status and the logs of all nodes.\n"
             "It need not be unique for safety, but vipd warns if two nodes share a name."},
    {.name = "etcd.endpoints",
     .type = TextList{"URL[, URL]...", parse_endpoint,
                      [](Config& c) -> std::vector<std::string>& { return c.etcd.endpoints; }},
     .fallback = "http://127.0.0.1:2379",
     .fallback_words = "",
     .help =
         "The members of the etcd cluster, in order of preference.\n"
         "Each is http://HOST or http://HOST:PORT (2379 when left out), the same with https, or\n"
         "unix:/PATH for a Unix socket; HOST is a name, an IPv4 address, or an IPv6 address in\n"
         "brackets.\n"
         "Each address of a name is tried; when all of them fail, the name is looked up again.\n"
         "A member that does not answer is skipped until it has answered again for a while."},
    {.name = "etcd.cluster",
     .type =
         Text{"HEX|auto", parse_cluster, [](Config& c) -> std::string& { return c.etcd.cluster; }},
     .fallback = "auto",
     .fallback_words = "",
     .help =
         "The id of the etcd cluster to which all endpoints must belong, in hexadecimal, as\n"
         "`vipctl status` and `etcdctl endpoint status` show it.\n"
         "With auto it is the cluster that more than half of etcd.endpoints name.\n"
         "Until they have named one, no VIP is taken, not even after a restart.\n"
         "A single endpoint decides alone.\n"
         "Endpoints of another cluster are reported and not used."},
    {.name = "etcd.discover",
     .type = Choice{kNoYes, [](const Config& c) { return size_t{c.etcd.discover}; },
                    [](Config& c, size_t n) { c.etcd.discover = n == 1; }},
     .fallback = "no",
     .fallback_words = "",
     .help =
         "Whether members from etcd's own member list are used as well, after etcd.endpoints.\n"
         "Only members with a scheme (http or https) that an endpoint has are used.\n"
         "If a listed URL has no JSON gateway, its host is asked by the scheme and port of the\n"
         "member that listed it.\n"
         "A member that calls itself localhost is left out."},
    {.name = "etcd.cacert",
     .type = Text{"PATH", parse_path, [](Config& c) -> std::string& { return c.etcd.cacert; }},
     .fallback = "",
     .fallback_words = "the system's authorities",
     .help =
         "CA certificates (PEM) for verifying the server certificates of etcd's members.\n"
         "An https member without a valid certificate for its name or address is not used.\n"
         "This file and the next two are read again when they change; while one of them is\n"
         "missing or does not fit the others, the old ones stay in use.\n"
         "No request is sent to etcd until all of them have been read once."},
    {.name = "etcd.cert",
     .type = Text{"PATH", parse_path, [](Config& c) -> std::string& { return c.etcd.cert; }},
     .fallback = "",
     .fallback_words = "none",
     .help =
         "The client certificate (PEM), followed by intermediate ones that etcd does not have.\n"
         "If etcd's authentication is on, it must not have a common name (CN)."},
    {.name = "etcd.key",
     .type = Text{"PATH", parse_path, [](Config& c) -> std::string& { return c.etcd.key; }},
     .fallback = "",
     .fallback_words = "none",
     .help = "The private key (PEM, without a passphrase) of that certificate.",
     .names_secret = true},
    {.name = "etcd.servername",
     .type = Text{"HOST", parse_host, [](Config& c) -> std::string& { return c.etcd.servername; }},
     .fallback = "",
     .fallback_words = "the host of the endpoint",
     .help = "The name or address that the certificate of each member must have."},
    {.name = "etcd.user",
     .type = Text{"NAME", parse_user, [](Config& c) -> std::string& { return c.etcd.user; }},
     .fallback = "",
     .fallback_words = "none",
     .help = "The user of etcd's own authentication.\n"
             "Needs readwrite on all keys that start with etcd.prefix and a slash."},
    {.name = "etcd.password_file",
     .type =
         Text{"PATH", parse_path, [](Config& c) -> std::string& { return c.etcd.password_file; }},
     .fallback = "",
     .fallback_words = "none",
     .help = "The file with that user's password, in one line.\n"
             "It is refused when others can read it; see SECRETS.\n"
             "It is read again whenever a new token is needed.\n"
             "It is sent only to a member that has just named the right cluster.",
     .names_secret = true},
    {.name = "etcd.prefix",
     .type = Text{"PREFIX", parse_prefix, [](Config& c) -> std::string& { return c.etcd.prefix; }},
     .fallback = "/vipd",
     .fallback_words = "",
     .help = "All keys in etcd start with this.\n"
             "Other programs' keys below it do no harm, and are not read.\n"
             "Nodes that share VIPs must agree on it."},
    {.name = "session.timeout",
     .type = Span{s(3), kMinute, false, [](Config& c) -> Duration& { return c.session_timeout; }},
     .fallback = "5s",
     .fallback_words = "",
     .help = "How long after its owner's last heartbeat another node may take a VIP.\n"
             "An owner that hears nothing from etcd gives its VIPs up before that time is over.\n"
             "It must be the same on all nodes."},
    {.name = "session.heartbeat",
     .type =
         Span{ms(100), s(15), false, [](Config& c) -> Duration& { return c.session_heartbeat; }},
     .fallback = "",
     .fallback_words = "an eighth of session.timeout, at most 1s",
     .help = "How often an owner renews its session; one small write to etcd each.\n"
             "At most a quarter of session.timeout."},
    {.name = "peer.timeout",
     .type = Span{ms(200), s(5), true, [](Config& c) -> Duration& { return c.peer_timeout; }},
     .fallback = "1s",
     .fallback_words = "",
     .help =
         "How long after its owner fell silent another node may take a VIP, where the other nodes\n"
         "renew the owner's peer lease over the LAN and the packet fence is in force; see PEER\n"
         "LEASE below.\n"
         "At most half of session.timeout, which applies in all other cases.\n"
         "With 0s this node holds no peer lease, but still renews those of other nodes."},
    {.name = "peer.hold",
     .type = Choice{kNoYes, [](const Config& c) { return size_t{c.peer_hold}; },
                    [](Config& c, size_t n) { c.peer_hold = n == 1; }},
     .fallback = "no",
     .fallback_words = "",
     .help =
         "Whether this node keeps its VIPs while etcd is away, for as long as all nodes that renew\n"
         "its peer lease do; see HOLDING ON below.\n"
         "Set it only once every node runs a version that supports it: an older one may take a\n"
         "VIP that is held."},
    {.name = "fence",
     .type = Choice{kFences, [](const Config& c) { return static_cast<size_t>(c.fence); },
                    [](Config& c, size_t n) { c.fence = static_cast<FenceChoice>(n); }},
     .fallback = "auto",
     .fallback_words = "",
     .help =
         "Whether a program in the kernel drops the packets of a VIP once this node's authority\n"
         "for it is over: if the kernel supports it, or never.\n"
         "Without it there is no peer lease."},
    {.name = "vip.NAME.address",
     .type = VipText{"ADDRESS[/LENGTH]", parse_vip_address, vip_address_text},
     .fallback = "",
     .fallback_words = "",
     .help = "The address to share, IPv4 or IPv6.\n"
             "It is always set as /32 or /128, whatever LENGTH is.\n"
             "LENGTH names its subnet; the subnet's route is added with the address if the link\n"
             "has no other address in it.\n"
             "A VIP is one address: for both protocols configure two VIPs.\n"
             "Required for each VIP; no two VIPs may have the same address."},
    {.name = "vip.NAME.link",
     .type = VipText{"LINK|auto", parse_vip_link, vip_link_text},
     .fallback = "",
     .fallback_words = "",
     .help =
         "The network interface that gets the address: its name, one of its alternative names, or\n"
         "mac:aa:bb:cc:dd:ee:ff.\n"
         "With auto it is the one on which the host has an address of the VIP's subnet, or else, for\n"
         "a VIP without LENGTH, that of the default route.\n"
         "Changing it, or the LENGTH of a VIP with auto, removes the address for a moment.\n"
         "The interface may appear after the daemon has started.\n"
         "Required for each VIP."},
    {.name = "vip.NAME.routes",
     .type = VipText{"DESTINATION via GATEWAY [table N], ...", parse_routes, routes_text},
     .fallback = "",
     .fallback_words = "none",
     .help = "Routes on that link that come and go with the address, which is their source.\n"
             "DESTINATION is ADDRESS/LENGTH or default; see SUBNETS AND ROUTES."},
    {.name = "vip.NAME.group",
     .type = VipText{"NAME", parse_group, [](const VipConfig& vip) { return vip.group; }},
     .fallback = "",
     .fallback_words = "none",
     .help = "VIPs with the same name here are owned by one node, all or none; see GROUPS below."},
    {.name = "vip.NAME.priority",
     .type = VipText{"NUMBER|auto", parse_priority,
                     [](const VipConfig& vip) {
                       return vip.priority ? std::to_string(*vip.priority) : std::string("auto");
                     }},
     .fallback = "100",
     .fallback_words = "",
     .help =
         "This node's place in the queue, 0 to 255: a standby makes way for one of higher\n"
         "priority.\n"
         "An owner does not, unless vip.NAME.preempt is set.\n"
         "With auto the number is computed from the node's name and the address or group, so\n"
         "that many VIPs spread evenly over the nodes, and few move when a node joins or leaves.\n"
         "Then set auto on all nodes, give each its own name, and set preempt to let VIPs return\n"
         "to a node that is back."},
    {.name = "vip.NAME.preempt",
     .type = switch_key<&VipConfig::preempt>(),
     .fallback = "no",
     .fallback_words = "",
     .help = "Whether this node, as the owner, hands the VIP over to a standby of higher priority.\n"
             "That is a clean hand-over like any other."},
    {.name = "vip.NAME.preempt_delay",
     .type = VipText{"DURATION", parse_preempt_delay,
                     [](const VipConfig& vip) { return duration_text(vip.preempt_delay); }},
     .fallback = "30s",
     .fallback_words = "",
     .help = "How long that standby must have been ready before, 0s to 1h.\n"
             "At least session.timeout is used, as a node that has just started waits for that."},
    {.name = "vip.NAME.source",
     .type = switch_key<&VipConfig::source>(),
     .fallback = "no",
     .fallback_words = "",
     .help = "Whether the host may choose the address as source of outgoing connections.\n"
             "Without it the address is deprecated (RFC 4862); connections to the address itself\n"
             "and answers are not affected.\n"
             "IPv4 has no such choice: the first address of the link's subnet is used, unless a\n"
             "route with src names another."},
    {.name = "vip.NAME.kill_connections",
     .type = switch_key<&VipConfig::kill_connections>(),
     .fallback = "yes",
     .fallback_words = "",
     .help = "Whether TCP connections to the address are reset before it goes, so that clients\n"
             "connect to the next owner at once.\n"
             "Listening sockets stay.\n"
             "Entries of conntrack for the address are deleted after it was removed, so that NAT\n"
             "decides anew for connections of containers, and of clients behind this host.\n"
             "These clients notice with the next packet that they send."},
    {.name = "vip.NAME.checks",
     .type = VipText{"CHECK[, CHECK]...|none",
                     [](std::string_view text, VipConfig* vip, std::string* reason) {
                       return parse_check_names(text, &vip->checks, reason);
                     },
                     [](const VipConfig& vip) { return check_names_text(vip.checks); }},
     .fallback = "",
     .fallback_words = "all that are defined",
     .help = "The checks that must be up, by their names.\n"
             "While one of them is down, this node gives the VIP up and stays out of its queue."},
    {.name = "vip.NAME.notify",
     .type = VipText{"PATH",
                     [](std::string_view text, VipConfig* vip, std::string* reason) {
                       return parse_path(text, &vip->notify, reason);
                     },
                     [](const VipConfig& vip) { return vip.notify; }},
     .fallback = "",
     .fallback_words = "none",
     .help = "A program that is run on every change of state, with the arguments NAME ADDRESS\n"
             "STATE REASON; see NOTIFICATIONS below."},
    {.name = "vip.NAME.acquire",
     .type = VipText{"PATH",
                     [](std::string_view text, VipConfig* vip, std::string* reason) {
                       return parse_path(text, &vip->acquire, reason);
                     },
                     [](const VipConfig& vip) { return vip.acquire; }},
     .fallback = "",
     .fallback_words = "none",
     .help = "A program that must succeed before the address is set, with the arguments NAME\n"
             "ADDRESS; see ACQUIRING below."},
};

// Behind those of checks.
const Key kLaterKeys[] = {
    {.name = "announce.form",
     .type = Choice{kForms, [](const Config& c) { return static_cast<size_t>(c.announce.form); },
                    [](Config& c, size_t n) { c.announce.form = static_cast<AnnounceForm>(n); }},
     .fallback = "both",
     .fallback_words = "",
     .help = "Which ARP packets announce an IPv4 address; some devices take only one of the two.\n"
             "IPv6 addresses are announced by unsolicited neighbour advertisements."},
    {.name = "announce.count",
     .type = Count{1, 100, [](Config& c) -> int& { return c.announce.count; }},
     .fallback = "5",
     .fallback_words = "",
     .help =
         "How many times a VIP is announced after it was taken, and whenever its link has come\n"
         "back; the first time at once."},
    {.name = "announce.interval",
     .type =
         Span{ms(10), kMinute, false, [](Config& c) -> Duration& { return c.announce.interval; }},
     .fallback = "1s",
     .fallback_words = "",
     .help = "The time between these announcements."},
    {.name = "announce.refresh",
     .type = Span{s(1), kHour, true, [](Config& c) -> Duration& { return c.announce.refresh; }},
     .fallback = "60s",
     .fallback_words = "",
     .help = "How often the owner repeats the announcement after that.\n"
             "A link that has just come up may not forward yet: for 40 s it is at most 5 s."},
    {.name = "announce.targets",
     .type = TextList{"ADDRESS[, ADDRESS]...", parse_neighbour,
                      [](Config& c) -> std::vector<std::string>& { return c.announce.targets; }},
     .fallback = "",
     .fallback_words = "none",
     .help =
         "Neighbours that also get each announcement as a unicast frame, such as routers behind\n"
         "a fabric or a wireless network that suppresses broadcasts.\n"
         "They are looked for on the links of the VIPs; one that does not answer is logged once."},
    {.name = "conflict",
     .type = Choice{kPolicies, [](const Config& c) { return static_cast<size_t>(c.conflict); },
                    [](Config& c, size_t n) { c.conflict = static_cast<ConflictPolicy>(n); }},
     .fallback = "defend",
     .fallback_words = "",
     .help =
         "What to do when a host outside the election claims a VIP that is ours, once etcd has\n"
         "confirmed that it is: announce it again, at most once in 10 s (RFC 5227); let it go\n"
         "and stay out of the election while that host answers; or nothing.\n"
         "It is logged and counted in any case."},
    {.name = "conflict.probe",
     .type = Choice{kNoYes, [](const Config& c) { return size_t{c.conflict_probe}; },
                    [](Config& c, size_t n) { c.conflict_probe = n != 0; }},
     .fallback = "yes",
     .fallback_words = "",
     .help =
         "Whether to probe the network for a VIP before it is taken, if it is not known who had\n"
         "it last; also after the machine stood still, and for 40 s after the link came up.\n"
         "While a host outside the election answers, the VIP is in fault.\n"
         "Set no if a router or a fabric answers for other hosts' addresses (proxy ARP)."},
    {.name = "control.socket",
     .type = Text{"PATH", parse_socket_path,
                  [](Config& c) -> std::string& { return c.control_socket; }},
     .fallback = kDefaultSocket,
     .fallback_words = "",
     .help = "The Unix socket that vipctl talks to."},
    {.name = "http.listen",
     .type = Text{"ADDRESS:PORT", parse_listen,
                  [](Config& c) -> std::string& { return c.http_listen; }},
     .fallback = "off",
     .fallback_words = "",
     .help =
         "Where to serve a status page, /v1/status, /metrics and /healthz over TCP, to everybody\n"
         "who can connect there; nothing can be changed that way.\n"
         "An IPv6 address is written in brackets.\n"
         "A port that is already in use is tried again every 5 s."},
    {.name = "state.dir",
     .type = Text{"PATH", parse_path, [](Config& c) -> std::string& { return c.state_dir; }},
     .fallback = kDefaultStateDir,
     .fallback_words = "",
     .help = "The folder for what the daemon remembers from one start to the next.\n"
             "It is locked: a second daemon with the same one is refused."},
    {.name = "log.level",
     .type = Choice{kLevels, [](const Config& c) { return static_cast<size_t>(c.log_level); },
                    [](Config& c, size_t n) { c.log_level = static_cast<log::Level>(n); }},
     .fallback = "info",
     .fallback_words = "",
     .help = "The least important messages that are still logged."},
    {.name = "log.target",
     .type = Choice{kTargets, [](const Config& c) { return static_cast<size_t>(c.log_target); },
                    [](Config& c, size_t n) { c.log_target = static_cast<log::Target>(n); }},
     .fallback = "stderr",
     .fallback_words = "",
     .help = "Where the log goes: the standard error output, syslog, or the kernel's log."},
    {.name = "user",
     .type =
         Text{"NAME|UID[:GID]", parse_account, [](Config& c) -> std::string& { return c.user; }},
     .fallback = "",
     .fallback_words = "whoever starts the daemon",
     .help =
         "The user that the daemon becomes once it has started; for a name, with its groups from\n"
         "/etc/group.\n"
         "Under systemd set User= in the unit instead: the shipped unit does not let vipd change\n"
         "its user, and vipd ends with status 2.\n"
         "Even as root, it keeps only the capabilities CAP_NET_ADMIN and CAP_NET_RAW.\n"
         "So the user must be able to read all files that are read later, and this one for a\n"
         "reload.\n"
         "The socket and the files in state.dir are given to the user, and state.dir itself when\n"
         "vipd makes it or its name ends in /vipd.\n"
         "Any other state.dir must be writable by the user: otherwise a crash moves the VIPs.\n"
         "Programs of checks and notifications are run as that user, without any capability."},
};

constexpr std::string_view kName = "NAME";

}  // namespace

std::span<const Key> keys() {
  static const std::vector<Key> all = [] {
    std::vector<Key> joined;
    for (const std::span<const Key> part :
         {std::span<const Key>(kKeys), check_keys(), std::span<const Key>(kLaterKeys)}) {
      joined.insert(joined.end(), part.begin(), part.end());
    }
    return joined;
  }();
  return all;
}

Scope Key::scope() const {
  if (std::holds_alternative<VipText>(type)) return Scope::Vip;
  return std::holds_alternative<CheckText>(type) ? Scope::Check : Scope::Daemon;
}

const Key* find_key(std::string_view written, std::string_view* name) {
  *name = {};
  for (const Key& key : keys()) {
    if (!written.starts_with(key.name.front())) continue;  // by far the most of them
    if (key.scope() == Scope::Daemon) {
      if (written == key.name) return &key;
      continue;
    }
    const size_t at = key.name.find(kName);
    const std::string_view head = key.name.substr(0, at);              // "vip."
    const std::string_view tail = key.name.substr(at + kName.size());  // ".address"
    if (!written.starts_with(head) || !written.ends_with(tail)) continue;
    if (written.size() < head.size() + tail.size()) continue;  // "vip.address"
    *name = written.substr(head.size(), written.size() - head.size() - tail.size());
    return &key;
  }
  return nullptr;
}

std::string key_text(const Key& key, std::string_view name) {
  std::string text(key.name);
  if (key.scope() != Scope::Daemon) text.replace(text.find(kName), kName.size(), name);
  return text;
}

std::vector<std::string> kinds_of_checks() {
  std::vector<std::string> kinds;
  for (const Key& key : keys()) {
    const CheckText* text = std::get_if<CheckText>(&key.type);
    if (text == nullptr || !text->is_kind) continue;
    kinds.emplace_back(key.name.substr(key.name.rfind('.') + 1));
  }
  return kinds;
}

std::string kinds_text() {
  const std::vector<std::string> kinds = kinds_of_checks();
  std::string text = kinds.front();
  for (size_t i = 1; i < kinds.size(); ++i) {
    text += (i + 1 == kinds.size() ? " and ." : ", .") + kinds[i];
  }
  return text;
}

}  // namespace vipd::conf
