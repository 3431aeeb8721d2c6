#include "conf/check_values.hpp"

#include <algorithm>
#include <optional>

#include "conf/duration.hpp"
#include "conf/endpoint.hpp"
#include "conf/hints.hpp"
#include "sys/number.hpp"
#include "sys/text.hpp"

namespace vipd::conf {
namespace {

constexpr Duration kShortest = Duration::milliseconds(100);
constexpr Duration kLongest = Duration::seconds(3600);
constexpr int kMostInARow = 100;
constexpr int kMostWeight = 255;  // the highest priority
constexpr size_t kMostWords = 32;
constexpr size_t kLongestKey = 512;
constexpr size_t kMostStatuses = 32;
// What is below is no final answer (RFC 9110, section 15.2).
constexpr int kLeastStatus = 200;
constexpr int kMostStatus = 599;

bool is_graphic(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~'; });
}

bool parse_range(std::string_view text, StatusRange* range) {
  const size_t dash = text.find('-');
  const std::optional<int> first = sys::parse_number<int>(text.substr(0, dash));
  const std::optional<int> last =
      dash == std::string_view::npos ? first : sys::parse_number<int>(text.substr(dash + 1));
  if (!first || !last || *first < kLeastStatus || *last > kMostStatus || *first > *last) {
    return false;
  }
  *range = {*first, *last};
  return true;
}

}  // namespace

bool parse_url(std::string_view text, std::string* out, std::string* reason) {
  for (const auto& [scheme, port] :
       {std::pair<std::string_view, std::string_view>{"http://", "80"}, {"https://", "443"}}) {
    if (!text.starts_with(scheme)) continue;
    const std::string_view rest = text.substr(scheme.size());
    const size_t end = std::min(rest.find_first_of("/?"), rest.size());
    std::string place;
    if (!parse_authority(text, rest.substr(0, end), scheme, port, &place, reason)) return false;
    if (!is_graphic(text)) return fail(reason, text, "has blanks or other bytes that no URL has");
    const std::string_view path = rest.substr(end);
    *out = std::string(scheme) + place + (path.starts_with('/') ? "" : "/") + std::string(path);
    return true;
  }
  return fail(reason, text, "is not an http or https URL; write http://HOST:PORT/PATH");
}

bool parse_host_port(std::string_view text, std::string* out, std::string* reason) {
  return parse_authority(text, text, "", "", out, reason);
}

bool parse_program(std::string_view text, std::string* out, std::string* reason) {
  std::string words;
  size_t count = 0;
  while (true) {
    const size_t begin = text.find_first_not_of(" \t");
    if (begin == std::string_view::npos) break;
    const size_t end = std::min(text.find_first_of(" \t", begin), text.size());
    words += (count++ == 0 ? "" : " ") + std::string(text.substr(begin, end - begin));
    text.remove_prefix(end);
  }
  if (!words.starts_with('/')) {
    // Not PGPASSWORD=secret, and no option of the program.
    const std::string_view first = std::string_view(words).substr(0, words.find_first_of(" ="));
    return fail(reason, first, "is not a full path of a program; start it with '/'");
  }
  if (count > kMostWords)
    return fail(reason, words.substr(0, words.find(' ')), "has more than 32 words");
  *out = words;
  return true;
}

bool parse_check_link(std::string_view text, std::string* out, std::string* reason) {
  VipConfig vip;
  if (!parse_vip_link(text, &vip, reason)) return false;
  if (vip.link == "auto") return fail(reason, text, "names no subnet; write the link's name");
  *out = vip.link;
  return true;
}

bool parse_etcd_key(std::string_view text, std::string* out, std::string* reason) {
  const size_t equals = text.find('=');
  const std::string_view key = sys::trimmed(text.substr(0, equals));
  if (key.empty() || key.size() > kLongestKey || !is_graphic(key)) {
    return fail(reason, text, "has no key of etcd; write KEY, or KEY = VALUE");
  }
  *out = key;
  if (equals == std::string_view::npos) return true;
  const std::string_view value = sys::trimmed(text.substr(equals + 1));
  if (value.empty()) return fail(reason, text, "has no value; write KEY, or KEY = VALUE");
  out->append(" = ").append(value);
  return true;
}

bool parse_statuses(std::string_view text, std::vector<StatusRange>* out, std::string* reason) {
  out->clear();
  for (std::string_view rest = text; out->size() < kMostStatuses;) {
    const size_t comma = rest.find(',');
    StatusRange range;
    if (!parse_range(sys::trimmed(rest.substr(0, comma)), &range)) break;
    out->push_back(range);
    if (comma == std::string_view::npos) return true;
    rest.remove_prefix(comma + 1);
  }
  return fail(reason, text,
              "is not a list of statuses; write some of 200 to 599, such as 200-299, 401");
}

std::string statuses_text(const std::vector<StatusRange>& statuses) {
  std::string text;
  for (const StatusRange& range : statuses) {
    text += (text.empty() ? "" : ", ") + std::to_string(range.first);
    if (range.last != range.first) text += "-" + std::to_string(range.last);
  }
  return text;
}

bool parse_count(std::string_view text, int* out, std::string* reason) {
  const std::optional<int> number = sys::parse_number<int>(text);
  if (!number || *number < 1 || *number > kMostInARow) {
    return fail(reason, text, "is not a number in the range 1 to 100");
  }
  *out = *number;
  return true;
}

bool parse_weight(std::string_view text, int* out, std::string* reason) {
  const std::optional<int> number = sys::parse_number<int>(text);
  if (!number || *number < 1 || *number > kMostWeight) {
    return fail(reason, text, "is not a number in the range 1 to 255; a priority is lowered by it");
  }
  *out = *number;
  return true;
}

bool parse_span(std::string_view text, Duration* out, std::string* reason) {
  const std::optional<Duration> duration = parse_duration(text);
  if (!duration) {
    return fail(reason, text, duration_hint(text, false));
  }
  if (*duration < kShortest || *duration > kLongest) {
    return fail(reason, text, "is out of range; write 100ms to 1h");
  }
  *out = *duration;
  return true;
}

std::string span_text(Duration span) {
  return duration_text(span);
}

bool parse_check_names(std::string_view text, CheckNames* out, std::string* reason) {
  constexpr std::string_view kNone = "none";
  *out = {};
  if (text == kNone) return true;
  std::vector<std::string> names;
  const std::string_view all = text;
  while (true) {
    const size_t comma = text.find(',');
    const std::string_view name = sys::trimmed(text.substr(0, comma));
    if (!is_vip_name(name)) {
      return fail(reason, all,
                  "is not a list of checks; write names with one comma between them, or none");
    }
    if (std::find(names.begin(), names.end(), name) != names.end()) {
      return fail(reason, all, "has " + std::string(name) + " twice");
    }
    if (name == kNone) return fail(reason, all, "has none and others; write one of the two");
    names.emplace_back(name);
    if (comma == std::string_view::npos) break;
    text.remove_prefix(comma + 1);
  }
  *out = CheckNames(std::move(names));
  return true;
}

std::string check_names_text(const CheckNames& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text.empty() ? "none" : text;
}

}  // namespace vipd::conf
