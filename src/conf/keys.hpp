// The one table of keys. What parses, prints and documents a key stands in its one entry, so that
// these three cannot drift apart. Pure.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "vipd/config.hpp"

namespace vipd::conf {

// The kinds of value: what is allowed, and where it is kept.
struct Count {
  int min;
  int max;
  int& (*at)(Config&);
};
struct Span {
  Duration min;
  Duration max;
  bool may_be_zero;
  Duration& (*at)(Config&);
};
struct Choice {
  std::span<const std::string_view> names;  // in the order of the enum's values
  size_t (*get)(const Config&);
  void (*set)(Config&, size_t);
};
struct Text {
  std::string_view argument;
  bool (*parse)(std::string_view text, std::string* out, std::string* reason);
  std::string& (*at)(Config&);
};
struct TextList {
  std::string_view argument;
  bool (*parse)(std::string_view text, std::string* out, std::string* reason);
  std::vector<std::string>& (*at)(Config&);
};
struct VipText {
  std::string_view argument;
  bool (*parse)(std::string_view text, VipConfig* vip, std::string* reason);
  std::string (*print)(const VipConfig&);
};

struct CheckText {
  std::string_view argument;
  bool (*parse)(std::string_view text, CheckConfig* check, std::string* reason);
  std::string (*print)(const CheckConfig&);
  bool is_kind = false;  // it says what is looked at: a check has one of these
};

// Whose key it is.
enum class Scope { Daemon, Vip, Check };

// What a key's value is stored in; vip and check where the key is for one.
struct Target {
  Config* config = nullptr;
  VipConfig* vip = nullptr;
  CheckConfig* check = nullptr;
};
struct Source {
  const Config* config = nullptr;
  const VipConfig* vip = nullptr;
  const CheckConfig* check = nullptr;
};

// Words for vipd.conf(5). The static daemon goes without: they are 10,000 bytes of its file.
#ifdef VIPD_WITHOUT_MANUAL
struct ForManual {
  constexpr ForManual(const char*) {}  // NOLINT(google-explicit-constructor)
};
#else
using ForManual = std::string_view;
#endif

struct Key {
  std::string_view name;  // with NAME in the place of a VIP's or a check's name
  std::variant<Count, Span, Choice, Text, TextList, VipText, CheckText> type;
  std::string_view fallback;        // as one would write it; empty: none, or worked out by load()
  std::string_view fallback_words;  // for the page, where the default is worked out
  ForManual help;                   // whole sentences, one a line
  bool names_secret = false;        // the file that the value names holds a secret

  [[nodiscard]] Scope scope() const;
};

[[nodiscard]] std::span<const Key> keys();
// Of those, the rows of a check's keys.
[[nodiscard]] std::span<const Key> check_keys();

// The entry for a key as written in a file; name is set when the key has one (whatever bytes it may
// have). nullptr: no such key.
[[nodiscard]] const Key* find_key(std::string_view written, std::string_view* name);
// The pattern with the name of the VIP or check in it.
[[nodiscard]] std::string key_text(const Key& key, std::string_view name);

// The last parts of the keys of which each check has one, in the table's order; and for messages:
// "http, .tcp and .exec".
[[nodiscard]] std::vector<std::string> kinds_of_checks();
[[nodiscard]] std::string kinds_text();

// Stores the value. REQUIRES: what the key is for is in target, or source.
[[nodiscard]] bool parse_value(const Key& key, std::string_view text, const Target& target,
                               std::string* reason);
[[nodiscard]] std::string print_value(const Key& key, const Source& source);
// "Range: ..." for the page; empty when there is nothing to say.
[[nodiscard]] std::string range_words(const Key& key);
[[nodiscard]] std::string_view argument_words(const Key& key);

}  // namespace vipd::conf
