#include "conf/expansion.hpp"

#include <algorithm>

namespace vipd::conf {
namespace {

using IsByte = bool (*)(char);

constexpr std::string_view kExpanded =
    "would have to be expanded, and nothing is expanded here; write the value itself, or leave the "
    "key out";

bool is_capital(char c) {
  return c >= 'A' && c <= 'Z';
}

bool is_letter(char c) {
  return is_capital(c) || (c >= 'a' && c <= 'z');
}

bool is_of_constant(char c) {
  return is_capital(c) || c == '_' || (c >= '0' && c <= '9');
}

bool is_of_name(char c) {
  return is_letter(c) || is_of_constant(c);
}

bool is_of_words(char c) {
  return is_of_name(c) || c == '-' || c == '.' || c == ' ';
}

bool starts_variable(char c) {
  return is_letter(c) || c == '_' || c == '{' || c == '(';
}

// Of the environment, that is: /$metadata may be a part of a URL.
bool starts_constant(char c) {
  return starts_variable(c) && (c < 'a' || c > 'z');
}

bool has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

bool has_mark(std::string_view text, char mark, IsByte is_next) {
  for (size_t at = text.find(mark); at != std::string_view::npos; at = text.find(mark, at + 1)) {
    if (at + 1 < text.size() && is_next(text[at + 1])) return true;
  }
  return false;
}

// Whatever else the password has: that there is one is reported elsewhere.
bool has_user(std::string_view text) {
  const size_t scheme = text.find("://");
  if (scheme == std::string_view::npos) return false;
  const std::string_view rest = text.substr(scheme + 3);
  return has(rest.substr(0, rest.find('/')), "@");
}

// %H, of one letter: %C3 may be a part of a name. The link of fe80::1%eth0 has a message of its
// own.
bool has_specifier(std::string_view text) {
  size_t at = text.find('%');
  if (at == std::string_view::npos || std::count(text.begin(), text.begin() + at, ':') > 1) {
    return false;
  }
  for (; at != std::string_view::npos; at = text.find('%', at + 1)) {
    const std::string_view rest = text.substr(at + 1);
    if (!rest.empty() && is_letter(rest[0]) && (rest.size() == 1 || !is_of_name(rest[1]))) {
      return true;
    }
  }
  return false;
}

// A letter and more between two marks: <word>, @WORD@.
bool has_word(std::string_view text, char open, char close, IsByte is_inside) {
  for (size_t at = text.find(open); at != std::string_view::npos; at = text.find(open, at + 1)) {
    const std::string_view rest = text.substr(at + 1);
    const auto end = std::find_if_not(rest.begin(), rest.end(), is_inside);
    if (end != rest.end() && *end == close && is_letter(rest.front())) return true;
  }
  return false;
}

std::string_view placeholder_fault(std::string_view value) {
  if (has(value, "{{")) {
    return "has a placeholder, {{NAME}}, and nothing fills it in here; write the value itself";
  }
  if (has_word(value, '@', '@', is_of_constant)) {
    return "has a placeholder, @NAME@, and nothing fills it in here; write the value itself";
  }
  if (has_word(value, '<', '>', is_of_words)) {
    return "has a placeholder, <NAME>, and nothing fills it in here; write the value itself";
  }
  return "";
}

}  // namespace

std::string_view expansion_fault(std::string_view key, std::string_view value) {
  if (has_user(value)) return "";
  const bool is_of_etcd = key.ends_with(".etcd");  // others decide what a key there is called
  const bool has_escapes = key.ends_with(".http") || is_of_etcd;  // %20
  if (value.starts_with('$') || value.starts_with("~/")) return kExpanded;
  if (has_mark(value, '$', has_escapes ? starts_constant : starts_variable)) return kExpanded;
  if (value.size() == 2 && value.front() == '%') return kExpanded;
  if (!has_escapes && has_specifier(value)) return kExpanded;
  return placeholder_fault(is_of_etcd ? value.substr(0, value.find('=')) : value);
}

bool wants_expansion(std::string_view words) {
  return has_mark(words, '$', starts_variable) || has(words, " ~/");
}

}  // namespace vipd::conf
