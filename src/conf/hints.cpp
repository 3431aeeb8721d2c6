#include "conf/hints.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>
#include <vector>

#include "conf/duration.hpp"
#include "conf/expansion.hpp"
#include "conf/keys.hpp"
#include "conf/nearest.hpp"
#include "conf/secrets.hpp"
#include "conf/values.hpp"
#include "sys/number.hpp"
#include "sys/text.hpp"
#include "vipd/types.hpp"

namespace vipd::conf {
namespace {

using Words = std::pair<std::string_view, std::string_view>;

template <size_t N>
std::string_view find(const std::array<Words, N>& words, std::string_view text) {
  const auto found = std::find_if(words.begin(), words.end(),
                                  [text](const Words& each) { return each.first == text; });
  return found == words.end() ? std::string_view() : found->second;
}

bool has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

constexpr std::array<Words, 14> kLookalikes = {{{"\xc2\xa0", "a no-break space (U+00A0)"},
                                                {"\xe2\x80\xaf", "a no-break space (U+202F)"},
                                                {"\xe3\x80\x80", "a wide space (U+3000)"},
                                                {"\xe2\x80\x8b", "a zero-width space (U+200B)"},
                                                {"\xe2\x80\x8c", "a zero-width mark (U+200C)"},
                                                {"\xe2\x80\x8d", "a zero-width mark (U+200D)"},
                                                {"\xe2\x81\xa0", "a zero-width mark (U+2060)"},
                                                {"\xef\xbb\xbf", "a zero-width mark (U+FEFF)"},
                                                {"\xe2\x80\x98", "a curly quote (U+2018)"},
                                                {"\xe2\x80\x99", "a curly quote (U+2019)"},
                                                {"\xe2\x80\x9c", "a curly quote (U+201C)"},
                                                {"\xe2\x80\x9d", "a curly quote (U+201D)"},
                                                {"\xe2\x80\x93", "a dash (U+2013)"},
                                                {"\xe2\x80\x94", "a dash (U+2014)"}}};

constexpr std::array<Words, 18> kUnitNames = {{{"msec", "ms"},
                                               {"msecs", "ms"},
                                               {"millis", "ms"},
                                               {"millisecond", "ms"},
                                               {"milliseconds", "ms"},
                                               {"sec", "s"},
                                               {"secs", "s"},
                                               {"second", "s"},
                                               {"seconds", "s"},
                                               {"min", "m"},
                                               {"mins", "m"},
                                               {"minute", "m"},
                                               {"minutes", "m"},
                                               {"hr", "h"},
                                               {"hrs", "h"},
                                               {"hour", "h"},
                                               {"hours", "h"},
                                               {"", "s"}}};

constexpr std::array<Words, 20> kMeanings = {
    {{"true", "yes"},       {"on", "yes"},       {"1", "yes"},
     {"y", "yes"},          {"enabled", "yes"},  {"enable", "yes"},
     {"false", "no"},       {"off", "no"},       {"0", "no"},
     {"n", "no"},           {"disabled", "no"},  {"disable", "no"},
     {"warning", "warn"},   {"err", "error"},    {"crit", "error"},
     {"critical", "error"}, {"notice", "info"},  {"information", "info"},
     {"trace", "debug"},    {"verbose", "debug"}}};

constexpr std::string_view kInsecure = "check.NAME.insecure";

// As keepalived, ifupdown, iproute2, etcdctl and etcd itself call them.
constexpr std::array<Words, 54> kSynonyms = {{{"interface", "vip.NAME.link"},
                                              {"dev", "vip.NAME.link"},
                                              {"device", "vip.NAME.link"},
                                              {"iface", "vip.NAME.link"},
                                              {"nic", "vip.NAME.link"},
                                              {"ip", "vip.NAME.address"},
                                              {"addr", "vip.NAME.address"},
                                              {"ipaddress", "vip.NAME.address"},
                                              {"virtual_ip", "vip.NAME.address"},
                                              {"virtual_ipaddress", "vip.NAME.address"},
                                              {"prio", "vip.NAME.priority"},
                                              {"weight", "vip.NAME.priority"},
                                              {"sync_group", "vip.NAME.group"},
                                              {"track_script", "vip.NAME.checks"},
                                              {"check", "vip.NAME.checks"},
                                              {"notify_master", "vip.NAME.notify"},
                                              {"notify_backup", "vip.NAME.notify"},
                                              {"script", "check.NAME.exec"},
                                              {"command", "check.NAME.exec"},
                                              {"url", "check.NAME.http"},
                                              {"vip", "vip.NAME.address"},
                                              {"address", "vip.NAME.address"},
                                              {"link", "vip.NAME.link"},
                                              {"notify", "vip.NAME.notify"},
                                              {"conflict", "conflict"},
                                              {"hold", "peer.hold"},
                                              {"etcd.timeout", "session.timeout"},
                                              {"insecure", kInsecure},
                                              {"insecure_skip_verify", kInsecure},
                                              {"insecure_skip_tls_verify", kInsecure},
                                              {"skip_verify", kInsecure},
                                              {"skip_tls_verify", kInsecure},
                                              {"tls_skip_verify", kInsecure},
                                              {"tls_insecure", kInsecure},
                                              {"hosts", "etcd.endpoints"},
                                              {"servers", "etcd.endpoints"},
                                              {"urls", "etcd.endpoints"},
                                              {"etcd.url", "etcd.endpoints"},
                                              {"etcd.ca", "etcd.cacert"},
                                              {"cafile", "etcd.cacert"},
                                              {"trusted_ca_file", "etcd.cacert"},
                                              {"cert_file", "etcd.cert"},
                                              {"key_file", "etcd.key"},
                                              {"username", "etcd.user"},
                                              {"password", "etcd.password_file"},
                                              {"hostname", "node.name"},
                                              {"router_id", "node.name"},
                                              {"name", "node.name"},
                                              {"loglevel", "log.level"},
                                              {"log_level", "log.level"},
                                              {"advert_int", "session.heartbeat"},
                                              {"ttl", "session.timeout"},
                                              {"garp_master_repeat", "announce.count"},
                                              {"garp_master_refresh", "announce.refresh"}}};

std::string_view take_while(std::string_view* text, std::string_view bytes, bool is_in) {
  const size_t end = is_in ? text->find_first_not_of(bytes) : text->find_first_of(bytes);
  const std::string_view taken = text->substr(0, end);
  text->remove_prefix(taken.size());
  return taken;
}

// "5" or "1.5", in thousandths; up to six digits and three after the dot.
std::optional<int64_t> thousandths(std::string_view text) {
  const size_t dot = std::min(text.find('.'), text.size());
  std::string digits(text.substr(0, dot));
  std::string rest(text.substr(std::min(dot + 1, text.size())));
  if (digits.empty() || digits.size() > 6 || rest.size() > 3) return std::nullopt;
  rest.resize(3, '0');
  digits += rest;
  return sys::parse_number<int64_t>(digits);
}

// "1m30s", "1h 5m", "1.5s", "5 sec": in milliseconds.
std::optional<int64_t> loose_ms(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789.";
  int64_t total = 0;
  while (!text.empty()) {
    const std::optional<int64_t> number = thousandths(take_while(&text, kDigits, true));
    take_while(&text, " ", true);
    std::string unit = sys::lower(take_while(&text, "0123456789. ", false));
    take_while(&text, " ", true);
    if (const std::string_view name = find(kUnitNames, unit); !name.empty()) unit = name;
    const std::optional<Duration> one = parse_duration("1" + unit);
    if (!number || !one) return std::nullopt;
    total += *number * one->ms() / 1000;
    if (total > 1'000'000'000) return std::nullopt;  // no key takes more than an hour
  }
  return total;
}

// The length of a netmask such as 255.255.255.0.
std::optional<int> mask_length(std::string_view text) {
  const std::optional<Address> mask = Address::parse(text);
  if (!mask || !mask->is_v4()) return std::nullopt;
  uint32_t bits = 0;
  for (size_t i = 0; i < 4; ++i) bits = bits << 8 | mask->data()[i];
  int length = 0;
  while (length < 32 && (bits >> (31 - length) & 1) != 0) ++length;
  const bool is_mask = length > 0 && (length == 32 || bits << length == 0);
  return is_mask ? std::optional<int>(length) : std::nullopt;
}

std::string text_fault(std::string_view key, std::string_view value) {
  if (std::string_view("\"'`").find(value.front()) != std::string_view::npos) {
    return "has quotes; write it without quotes";
  }
  const std::string_view expansion = expansion_fault(key, value);
  if (!expansion.empty()) return std::string(expansion);
  for (const std::string_view mark : {" ;", " //", "\t;", "\t//"}) {
    if (has(value, mark)) return "has a comment that does not begin with #; write # instead";
  }
  return "";
}

}  // namespace

std::string value_fault(const Key& key, std::string_view value) {
  if (value.empty()) return "has no value; write one, or remove the line";
  std::string fault = secret_fault(key, value);
  if (!fault.empty()) return fault;
  // The words of a program may be anything.
  if (!key.name.ends_with(".exec")) fault = text_fault(key.name, value);
  return fault.empty() ? "" : quoted(value) + " " + fault;
}

std::string lookalike_fault(std::string_view line) {
  for (const auto& [bytes, name] : kLookalikes) {
    const size_t at = line.find(bytes);
    if (at == std::string_view::npos) continue;
    return "has " + std::string(name) + " at byte " + std::to_string(at + 1) +
           "; write plain blanks, quotes and hyphens of ASCII";
  }
  return "";
}

std::string duration_hint(std::string_view text, bool may_be_zero) {
  const std::string word = sys::lower(text);
  if (may_be_zero && (word == "never" || word == "off" || word == "no" || word == "none")) {
    return "is not a duration; write 0s";
  }
  const std::optional<int64_t> ms = loose_ms(text);
  if (!ms) return "is not a duration; write a whole number and a unit: 250ms, 4s, 1m";
  const bool has_unit = text.find_first_not_of("0123456789.") != std::string_view::npos;
  constexpr int64_t kSecondsAtMost = 1000;  // without a unit: who writes 5000 means milliseconds
  if (!has_unit && *ms >= kSecondsAtMost * 1000) {
    return "has no unit; write " + std::string(text) + "ms or " +
           duration_text(Duration::milliseconds(*ms));
  }
  return std::string(has_unit ? "is not a whole number with a unit of ms, s, m or h"
                              : "has no unit") +
         "; write " + duration_text(Duration::milliseconds(*ms));
}

size_t chosen(std::string_view text, std::span<const std::string_view> names) {
  const std::string word = sys::lower(text);
  const std::string_view meant = find(kMeanings, word);
  size_t place = 0;
  while (place < names.size() && names[place] != word && names[place] != meant) ++place;
  return place;
}

std::string address_hint(std::string_view text) {
  const size_t end = text.find_first_of(" \t");
  if (end != std::string_view::npos) {
    return "has more than an address; write " + std::string(text.substr(0, end)) +
           " alone, the link is another key: vip.NAME.link";
  }
  if (text.starts_with('[')) return "has brackets; write the address without them";
  if (has(text, "%")) return "names a link; write the address alone, and the link in vip.NAME.link";
  if (has(text, "://")) return "is a URL; write the address alone";
  const size_t slash = text.find('/');
  const std::optional<int> mask =
      slash == std::string_view::npos ? std::nullopt : mask_length(text.substr(slash + 1));
  return mask ? "has a netmask; write the length instead, /" + std::to_string(*mask) : "";
}

std::string_view synonym(std::string_view written) {
  std::string word = sys::lower(written);
  std::replace(word.begin(), word.end(), '-', '_');
  const std::string_view whole = find(kSynonyms, word);
  const std::string last = word.substr(word.rfind('.') + 1);
  // What else has such a part is no VIP's: etcd.address.
  const bool alone_only = last == "vip" || last == "address" || last == "link" || last == "notify";
  return whole.empty() && !alone_only ? find(kSynonyms, last) : whole;
}

std::string unknown_key(const std::string& written) {
  // For "vip.api.adress" the answer is "vip.api.address", with the name that is meant.
  const size_t begin = written.find('.');
  const size_t end = written.rfind('.');
  std::string name = "NAME";
  if (begin != end && is_vip_name(written.substr(begin + 1, end - begin - 1))) {
    name = written.substr(begin + 1, end - begin - 1);
  }
  const std::string head = "unknown key " + quoted_key(written);
  if (has(written, ":")) return head + "; write key = value, with '=' instead of ':'";
  if (has(written, " ")) return head + "; write key = value, a key has no blanks";
  // "vip.address", where the name was forgotten.
  const bool is_short = begin == end && begin != std::string::npos;
  const std::string with_name =
      is_short ? written.substr(0, begin) + ".NAME" + written.substr(begin) : written;
  std::vector<std::string> known;
  std::string meant(synonym(written));
  if (meant == kInsecure && !sys::lower(written).starts_with("check.")) {
    return head + "; there is none for etcd, name its authority in etcd.cacert" +
           (written.starts_with("etcd.") ? "" : "; for a check write '" + meant + "'");
  }
  bool is_for_secret = false;
  for (const Key& key : keys()) {
    known.push_back(key_text(key, name));
    const std::string word = sys::lower(known.back());
    if (meant == key.name || word == sys::lower(written) || word == sys::lower(with_name)) {
      meant = known.back();
      is_for_secret = key.names_secret && !has(written, "file");
    }
  }
  if (meant.empty() && is_short && is_vip_name(written.substr(begin + 1))) {
    if (written.starts_with("vip.")) meant = written + ".address";
    if (written.starts_with("check.")) meant = written + ".http";
  }
  if (!meant.empty()) {
    return head + "; write '" + meant + "'" +
           (is_for_secret ? " and the path of a file with the secret in it" : "");
  }
  constexpr size_t kEnough = 64;
  const std::string near = nearest(written.substr(0, kEnough), known);
  // Further off it is no slip of the pen.
  const bool is_near = 3 * edit_distance(written.substr(0, kEnough), near) <= near.size();
  return head +
         (is_near ? "; the nearest known key is '" + near + "'" : "; vipd.conf(5) has all keys");
}

}  // namespace vipd::conf
