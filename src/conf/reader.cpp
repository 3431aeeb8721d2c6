#include "conf/reader.hpp"

#include <dirent.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "conf/hints.hpp"
#include "conf/values.hpp"
#include "sys/errno_text.hpp"
#include "sys/file.hpp"
#include "sys/text.hpp"

namespace vipd::conf {
namespace {

constexpr size_t kLargestFile = 1 << 20;
constexpr size_t kLongestLine = 4096;
constexpr size_t kMostFiles = 1024;
constexpr std::string_view kBlanks = " \t\r";  // a line may end in CR LF

bool has_control_byte(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) < ' ' && c != '\t') || c == '\x7f';
  });
}

// A '#' inside of a word is part of it: /vipd#prod.
size_t comment_begin(std::string_view line) {
  for (size_t at = line.find('#'); at != std::string_view::npos; at = line.find('#', at + 1)) {
    if (at == 0 || line[at - 1] == ' ' || line[at - 1] == '\t') return at;
  }
  return std::string_view::npos;
}

const char* no_equals(std::string_view line) {
  const std::string_view word = line.substr(0, line.find_first_of(" \t"));
  if (word.ends_with(':')) return "there is no '='; write key = value, with '=' instead of ':'";
  if (line.ends_with('{') || line == "}") return "there are no blocks; write key = value";
  if (word == "include") return "nothing can be included; name more files or a folder with -c";
  if (word == "export") return "this is not a shell; write key = value";
  return "there is no '='; write key = value";
}

// UTF-16 has a NUL in each ASCII character, or begins with a mark.
bool is_utf16(std::string_view text) {
  if (text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff")) return true;
  return text.size() >= 4 && (text[0] == '\0') != (text[1] == '\0') &&
         (text[0] == '\0') == (text[2] == '\0') && (text[1] == '\0') == (text[3] == '\0');
}

// Why the line is no setting; nullptr when it is one, or empty.
const char* split(std::string_view line, Setting* out) {
  if (line.size() > kLongestLine) return "the line is longer than 4096 bytes";
  line = sys::trimmed(line.substr(0, comment_begin(line)), kBlanks);
  if (line.empty()) return nullptr;
  if (line.starts_with(';') || line.starts_with("//")) return "comments begin with #";
  if (line.front() == '[')
    return "there are no sections; write the whole key: vip.NAME.address = ...";
  if (has_control_byte(line)) return "the line has control characters; write plain text";
  const size_t equals = line.find('=');
  if (equals == std::string_view::npos) return no_equals(line);
  out->key = sys::trimmed(line.substr(0, equals), kBlanks);
  out->value = sys::trimmed(line.substr(equals + 1), kBlanks);
  if (out->value.starts_with('#')) out->value = {};
  if (out->key.empty()) return "there is no key before the '='; write key = value";
  return nullptr;
}

std::string lookalike_in(const Setting& setting) {
  const auto is_ascii = [](char c) { return static_cast<unsigned char>(c) < 0x80; };
  const auto is_plain = [&](std::string_view text) {
    return std::all_of(text.begin(), text.end(), is_ascii);
  };
  if (is_plain(setting.key) && is_plain(setting.value)) return "";
  return lookalike_fault(std::string(setting.key) + " = " + std::string(setting.value));
}

}  // namespace

void read_settings(std::string_view text, std::string_view file, Errors* errors,
                   const TakeSetting& take) {
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  if (is_utf16(text)) return errors->add(Position{file, 1}, "this is UTF-16; save it as UTF-8");
  for (size_t number = 1; !text.empty() && !errors->full(); ++number) {
    const size_t end = text.find('\n');
    Setting setting;
    setting.place = Position{file, number};
    const char* const fault = split(text.substr(0, end), &setting);
    const std::string lookalike = lookalike_in(setting);
    if (fault != nullptr) {
      errors->add(setting.place, fault);
    } else if (!lookalike.empty()) {
      errors->add(setting.place, "the setting " + lookalike);
    } else if (!setting.key.empty()) {
      take(setting);
    }
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
}

bool read_file(const std::string& path, Errors* errors, const TakeSetting& take) {
  std::string text;
  std::string reason;
  if (sys::read_bounded(path, kLargestFile, &text, &reason)) {
    read_settings(text, path, errors, take);
    return true;
  }
  if (reason.starts_with(path + ": ")) reason.erase(0, path.size() + 2);
  errors->add(Position{path}, "cannot be read: " + reason);
  return false;
}

std::vector<std::string> list_folder(const std::string& path, Errors* errors) {
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(opendir(path.c_str()), closedir);
  if (folder == nullptr) {
    errors->add(Position{path}, sys::errno_text("cannot be read"));
    return {};
  }
  std::vector<std::string> files;
  while (const dirent* const entry = readdir(folder.get())) {
    const std::string_view name = entry->d_name;
    if (name.starts_with('.') || !name.ends_with(".conf")) continue;
    if (files.size() < kMostFiles) {
      files.push_back(path + "/" + std::string(name));
      continue;
    }
    errors->add(Position{path}, "has more than 1024 files");
    break;
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace vipd::conf
