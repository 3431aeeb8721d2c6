// The value of a key by its kind: read, written, described.

#include "conf/duration.hpp"
#include "conf/hints.hpp"
#include "conf/keys.hpp"
#include "conf/values.hpp"
#include "sys/number.hpp"
#include "sys/text.hpp"

namespace vipd::conf {
namespace {

constexpr size_t kLongestList = 32;

std::string bounds(const Span& type) {
  const std::string range = duration_text(type.min) + " to " + duration_text(type.max);
  return type.may_be_zero ? "0s (never), or " + range : range;
}

std::string bounds(const Count& type) {
  return std::to_string(type.min) + " to " + std::to_string(type.max);
}

std::string joined(const Choice& type) {
  std::string text;
  for (const std::string_view name : type.names) {
    if (!text.empty()) text += name == type.names.back() ? " or " : ", ";
    text += name;
  }
  return text;
}

struct Parser {
  std::string_view text;
  const Target& target;
  std::string* reason;

  [[nodiscard]] bool fail(const std::string& words) const {
    *reason = quoted(text) + " " + words;
    return false;
  }

  bool operator()(const Count& type) const {
    const std::optional<int> number = sys::parse_number<int>(text);
    if (!number || *number < type.min || *number > type.max) {
      return fail("is not a number in the range " + bounds(type));
    }
    type.at(*target.config) = *number;
    return true;
  }

  bool operator()(const Span& type) const {
    const std::optional<Duration> duration = parse_duration(text);
    if (!duration) return fail(duration_hint(text, type.may_be_zero));
    const bool is_never = type.may_be_zero && *duration == Duration();
    if (!is_never && (*duration < type.min || *duration > type.max)) {
      return fail("is out of range; write " + bounds(type));
    }
    type.at(*target.config) = *duration;
    return true;
  }

  bool operator()(const Choice& type) const {
    const size_t place = chosen(text, type.names);
    if (place == type.names.size()) {
      return fail("is none of the possible values; write " + joined(type));
    }
    type.set(*target.config, place);
    return true;
  }

  bool operator()(const Text& type) const {
    std::string value;
    if (!type.parse(text, &value, reason)) return false;
    type.at(*target.config) = value;
    return true;
  }

  bool operator()(const TextList& type) const {
    std::vector<std::string> values;
    std::string_view rest = text;
    // Before it is divided: a comma may be part of the password.
    const size_t at = text.find('@');
    const bool has_user =
        text.find("://") < at || (text.find(':') < at && !text.starts_with("unix:"));
    if (at != std::string_view::npos && has_user) {
      return fail("has a user name, which is not sent; write etcd.user and etcd.password_file");
    }
    while (true) {
      const size_t comma = rest.find(',');
      if (!add(type, sys::trimmed(rest.substr(0, comma)), &values)) return false;
      if (comma == std::string_view::npos) break;
      rest.remove_prefix(comma + 1);
    }
    type.at(*target.config) = values;
    return true;
  }

  bool add(const TextList& type, std::string_view item, std::vector<std::string>* values) const {
    std::string value;
    if (item.empty()) return fail("has an empty item; write the items with one comma between them");
    if (!type.parse(item, &value, reason)) return false;
    for (const std::string& other : *values) {
      if (other == value) return fail("has " + value + " twice");
    }
    if (values->size() == kLongestList) return fail("has more than 32 items");
    values->push_back(value);
    return true;
  }

  bool operator()(const VipText& type) const { return type.parse(text, target.vip, reason); }
  bool operator()(const CheckText& type) const { return type.parse(text, target.check, reason); }
};

struct Printer {
  Config config;  // a copy: the accessors of the table give what can be written to
  const Source& source;

  std::string operator()(const Count& type) { return std::to_string(type.at(config)); }
  std::string operator()(const Span& type) { return duration_text(type.at(config)); }
  std::string operator()(const Choice& type) { return std::string(type.names[type.get(config)]); }
  std::string operator()(const Text& type) { return type.at(config); }
  std::string operator()(const TextList& type) {
    std::string text;
    for (const std::string& item : type.at(config)) text += (text.empty() ? "" : ", ") + item;
    return text;
  }
  std::string operator()(const VipText& type) { return type.print(*source.vip); }
  std::string operator()(const CheckText& type) { return type.print(*source.check); }
};

struct Ranges {
  std::string operator()(const Count& type) const { return bounds(type); }
  std::string operator()(const Span& type) const { return bounds(type); }
  std::string operator()(const Choice& type) const { return joined(type); }
  std::string operator()(const Text&) const { return ""; }
  std::string operator()(const TextList&) const { return ""; }
  std::string operator()(const VipText&) const { return ""; }
  std::string operator()(const CheckText&) const { return ""; }
};

struct Arguments {
  std::string_view operator()(const Count&) const { return "NUMBER"; }
  std::string_view operator()(const Span&) const { return "DURATION"; }
  std::string_view operator()(const Choice&) const { return "WORD"; }
  std::string_view operator()(const Text& type) const { return type.argument; }
  std::string_view operator()(const TextList& type) const { return type.argument; }
  std::string_view operator()(const VipText& type) const { return type.argument; }
  std::string_view operator()(const CheckText& type) const { return type.argument; }
};

}  // namespace

bool parse_value(const Key& key, std::string_view text, const Target& target, std::string* reason) {
  return std::visit(Parser{text, target, reason}, key.type);
}

std::string print_value(const Key& key, const Source& source) {
  return std::visit(Printer{*source.config, source}, key.type);
}

std::string range_words(const Key& key) {
  return std::visit(Ranges{}, key.type);
}

std::string_view argument_words(const Key& key) {
  return std::visit(Arguments{}, key.type);
}

}  // namespace vipd::conf
