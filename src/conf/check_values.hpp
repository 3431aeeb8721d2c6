// What is allowed as the value of a check's keys, as conf/values.hpp; and their entries in the
// table, each for a member of CheckConfig. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "conf/keys.hpp"
#include "conf/values.hpp"
#include "vipd/config.hpp"

namespace vipd::conf {

// "http://HOST[:PORT][/...]" or https; the port filled in, a '/' at least after it.
[[nodiscard]] bool parse_url(std::string_view text, std::string* out, std::string* reason);
[[nodiscard]] bool parse_host_port(std::string_view text, std::string* out, std::string* reason);
// A program's full path and its arguments: words with blanks between them, and nothing else.
[[nodiscard]] bool parse_program(std::string_view text, std::string* out, std::string* reason);
[[nodiscard]] bool parse_check_link(std::string_view text, std::string* out, std::string* reason);
// "KEY", or "KEY = VALUE" with one blank on each side; the key has no '='.
[[nodiscard]] bool parse_etcd_key(std::string_view text, std::string* out, std::string* reason);
// "200-299, 401": statuses and ranges of them with commas between.
[[nodiscard]] bool parse_statuses(std::string_view text, std::vector<StatusRange>* out,
                                  std::string* reason);
[[nodiscard]] std::string statuses_text(const std::vector<StatusRange>& statuses);
[[nodiscard]] bool parse_count(std::string_view text, int* out, std::string* reason);
// 1 to 255.
[[nodiscard]] bool parse_weight(std::string_view text, int* out, std::string* reason);
[[nodiscard]] bool parse_span(std::string_view text, Duration* out, std::string* reason);
[[nodiscard]] std::string span_text(Duration span);

// "none", or names with commas between them.
[[nodiscard]] bool parse_check_names(std::string_view text, CheckNames* out, std::string* reason);
[[nodiscard]] std::string check_names_text(const CheckNames& names);

template <CheckKind Kind, auto Parse>
constexpr CheckText kind_key(std::string_view argument) {
  return {argument,
          [](std::string_view text, CheckConfig* check, std::string* reason) {
            check->kind = Kind;
            return Parse(text, &check->target, reason);
          },
          [](const CheckConfig& check) { return check.kind == Kind ? check.target : ""; }, true};
}

template <std::string CheckConfig::*Member>
constexpr CheckText path_key() {
  return {"PATH",
          [](std::string_view text, CheckConfig* check, std::string* reason) {
            return parse_path(text, &(check->*Member), reason);
          },
          [](const CheckConfig& check) { return check.*Member; }};
}

template <Duration CheckConfig::*Member>
constexpr CheckText span_key() {
  return {"DURATION",
          [](std::string_view text, CheckConfig* check, std::string* reason) {
            return parse_span(text, &(check->*Member), reason);
          },
          [](const CheckConfig& check) { return span_text(check.*Member); }};
}

template <int CheckConfig::*Member>
constexpr CheckText count_key() {
  return {"NUMBER",
          [](std::string_view text, CheckConfig* check, std::string* reason) {
            return parse_count(text, &(check->*Member), reason);
          },
          [](const CheckConfig& check) { return std::to_string(check.*Member); }};
}

}  // namespace vipd::conf
