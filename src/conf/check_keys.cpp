// The rows of the table of keys that are a check's.
#include <array>

#include "conf/check_values.hpp"
#include "conf/keys.hpp"

namespace vipd::conf {
namespace {

constexpr std::array<std::string_view, 2> kNoYes = {"no", "yes"};

const Key kCheckKeys[] = {
    {.name = "check.NAME.http",
     .type = kind_key<CheckKind::Http, parse_url>("URL"),
     .fallback = "",
     .fallback_words = "none",
     .help = "Up when this URL, http or https, answers with one of the statuses below.\n"
             "Redirections are not followed.\n"
             "Each run makes a new connection.\n"
             "Each check has exactly one of the keys that say when it is up; see CHECKS below."},
    {.name = "check.NAME.tcp",
     .type = kind_key<CheckKind::Tcp, parse_host_port>("HOST:PORT"),
     .fallback = "",
     .fallback_words = "none",
     .help = "Up when a connection to this port is accepted, at any address of the host."},
    {.name = "check.NAME.exec",
     .type = kind_key<CheckKind::Exec, parse_program>("PATH [ARGUMENT]..."),
     .fallback = "",
     .fallback_words = "none",
     .help = "Up when this program ends with status 0.\n"
             "Arguments are separated by blanks; there is no shell and no quoting."},
    {.name = "check.NAME.file",
     .type = kind_key<CheckKind::File, parse_path>("PATH"),
     .fallback = "",
     .fallback_words = "none",
     .help = "Up while this file or folder exists.\n"
             "It should be on a local file system: if that hangs, the daemon hangs, too."},
    {.name = "check.NAME.arp",
     .type = kind_key<CheckKind::Arp, parse_neighbour>("ADDRESS"),
     .fallback = "",
     .fallback_words = "none",
     .help =
         "Up when this address answers ARP, or neighbour discovery for IPv6, on the link of the\n"
         "VIP."},
    {.name = "check.NAME.link",
     .type = kind_key<CheckKind::Link, parse_check_link>("LINK"),
     .fallback = "",
     .fallback_words = "none",
     .help = "Up while this network interface is there, is up and has carrier.\n"
             "It is written like vip.NAME.link.\n"
             "The kernel reports changes at once; interval matters only until rise or fall is\n"
             "reached."},
    {.name = "check.NAME.etcd",
     .type = kind_key<CheckKind::Etcd, parse_etcd_key>("KEY [= VALUE]"),
     .fallback = "",
     .fallback_words = "none",
     .help =
         "Up while this key of etcd has the value VALUE, or without one this node's name, such\n"
         "as the leader's key of Patroni, /service/CLUSTER/leader.\n"
         "While etcd does not answer, the check stays as it is.\n"
         "Each run is one request to etcd, so the interval must be at least 1s.\n"
         "Where etcd's authentication is on, etcd.user needs to read the key."},
    {.name = "check.NAME.status",
     .type = CheckText{"STATUS[-STATUS][, ...]",
                       [](std::string_view text, CheckConfig* check, std::string* reason) {
                         return parse_statuses(text, &check->statuses, reason);
                       },
                       [](const CheckConfig& check) {
                         const bool is_http = check.kind == CheckKind::Http;
                         return is_http ? statuses_text(check.statuses) : "";
                       }},
     .fallback = "200-299",
     .fallback_words = "",
     .help = "For http: the statuses that are good, from 200 to 599.\n"
             "Write 200-299, 401 where a server that asks for a password is to count as up."},
    {.name = "check.NAME.header_file",
     .type = path_key<&CheckConfig::header_file>(),
     .fallback = "",
     .fallback_words = "none",
     .help =
         "For http: a file whose lines are sent as headers, each in the form NAME: VALUE, such\n"
         "as Authorization: Bearer TOKEN.\n"
         "It is refused when others can read it; see SECRETS.\n"
         "It is read for each run; while it cannot be used, the headers read last are sent.",
     .names_secret = true},
    {.name = "check.NAME.interval",
     .type = span_key<&CheckConfig::interval>(),
     .fallback = "1s",
     .fallback_words = "",
     .help =
         "The time from the start of one run to that of the next, plus or minus a tenth; 100ms to\n"
         "1h.\n"
         "Two runs never overlap."},
    {.name = "check.NAME.timeout",
     .type = span_key<&CheckConfig::timeout>(),
     .fallback = "1s",
     .fallback_words = "",
     .help = "A run that takes longer has failed; 100ms to 1h."},
    {.name = "check.NAME.rise",
     .type = count_key<&CheckConfig::rise>(),
     .fallback = "2",
     .fallback_words = "",
     .help = "How many runs in a row must be good before a check that is down is up again; 1 to\n"
             "100."},
    {.name = "check.NAME.fall",
     .type = count_key<&CheckConfig::fall>(),
     .fallback = "3",
     .fallback_words = "",
     .help = "How many runs in a row must have failed before it is down; 1 to 100."},
    {.name = "check.NAME.weight",
     .type = CheckText{"NUMBER",
                       [](std::string_view text, CheckConfig* check, std::string* reason) {
                         return parse_weight(text, &check->weight, reason);
                       },
                       [](const CheckConfig& check) {
                         return check.weight == 0 ? "" : std::to_string(check.weight);
                       }},
     .fallback = "",
     .fallback_words = "none",
     .help = "Down, the check only lowers this node's priority for its VIPs by this, 1 to 255,\n"
             "instead of keeping it out; see CHECKS below."},
    {.name = "check.NAME.cacert",
     .type = path_key<&CheckConfig::cacert>(),
     .fallback = "",
     .fallback_words = "the system's authorities",
     .help = "For https: CA certificates (PEM) for verifying the server's certificate.\n"
             "This file and the next two are read again when they change."},
    {.name = "check.NAME.cert",
     .type = path_key<&CheckConfig::cert>(),
     .fallback = "",
     .fallback_words = "none",
     .help = "For https: the certificate (PEM) that is shown to the server."},
    {.name = "check.NAME.key",
     .type = path_key<&CheckConfig::key>(),
     .fallback = "",
     .fallback_words = "none",
     .help = "The private key (PEM, without a passphrase) of that certificate.",
     .names_secret = true},
    {.name = "check.NAME.insecure",
     .type = CheckText{"yes|no",
                       [](std::string_view text, CheckConfig* check, std::string* reason) {
                         return parse_yes_no(text, &check->insecure, reason);
                       },
                       [](const CheckConfig& check) {
                         const bool is_https = check.target.starts_with("https://");
                         return std::string(is_https ? kNoYes[check.insecure] : "");
                       }},
     .fallback = "no",
     .fallback_words = "",
     .help = "For https: whether any certificate of the server will do."},
};

}  // namespace

std::span<const Key> check_keys() {
  return kCheckKeys;
}

}  // namespace vipd::conf
