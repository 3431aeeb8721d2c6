#include "web/headers.hpp"

#include <strings.h>

#include <algorithm>

#include "sys/secret.hpp"
#include "sys/text.hpp"

namespace vipd::web {
namespace {

constexpr size_t kFileLimit = 16 * 1024;
constexpr size_t kMostLines = 32;
constexpr std::string_view kBlanks = " \t\r";  // a line may end in CR LF

// No control character: the line would end before it does.
bool is_value(std::string_view text) {
  return !text.empty() && std::none_of(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) < ' ' && c != '\t') || c == '\x7f';
  });
}

std::string_view name_of(std::string_view line) {
  return line.substr(0, line.find(':'));
}

bool is_same(std::string_view a, std::string_view b) {
  return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

// "": it is none.
std::string header_of(std::string_view line) {
  const std::string_view name = name_of(line);
  if (!sys::is_token(name) || name.size() == line.size()) return "";
  const std::string_view value = sys::trimmed(line.substr(name.size() + 1), kBlanks);
  return is_value(value) ? std::string(name) + ": " + std::string(value) : "";
}

}  // namespace

bool read_headers(const std::string& path, std::vector<std::string>* lines, std::string* reason) {
  std::string text;
  if (!sys::read_private(path, kFileLimit, &text, reason)) return false;
  std::vector<std::string> found;
  size_t number = 0;
  for (std::string_view rest = text; !rest.empty();) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    ++number;
    if (sys::trimmed(line, kBlanks).empty()) continue;
    found.push_back(header_of(line));
    if (!found.back().empty() && found.size() <= kMostLines) continue;
    *reason = path + ": line " + std::to_string(number) +
              (found.back().empty() ? " is not NAME: VALUE" : " is one more than 32");
    return false;
  }
  if (found.empty()) {
    *reason = path + ": has no line NAME: VALUE";
    return false;
  }
  *lines = std::move(found);
  return true;
}

void add_headers(const std::vector<std::string>& lines, std::vector<std::string>* headers) {
  std::erase_if(*headers, [&](const std::string& header) {
    return std::any_of(lines.begin(), lines.end(), [&](const std::string& line) {
      return is_same(name_of(line), name_of(header));
    });
  });
  headers->insert(headers->end(), lines.begin(), lines.end());
}

}  // namespace vipd::web
