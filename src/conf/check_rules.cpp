#include "conf/check_rules.hpp"

#include <algorithm>
#include <string>

#include "conf/keys.hpp"

namespace vipd::conf {
namespace {

class Judge {
 public:
  Judge(const CheckConfig& check, const GivenAt& given_at, Errors* errors)
      : check_(check), given_at_(given_at), errors_(errors) {}

  void kinds(const Position& first);
  void options();

 private:
  [[nodiscard]] std::string text(const std::string& key) const {
    return "check." + check_.name + "." + key;
  }
  [[nodiscard]] bool is_given(const std::string& key) const {
    return given_at_(text(key)) != nullptr;
  }
  void add(const std::string& key, const std::string& words) {
    errors_->add(*given_at_(text(key)), text(key) + words);
  }
  void pair(const std::string& key, const std::string& other) {
    if (is_given(key) && !is_given(other)) {
      add(key, " has no effect without " + text(other) + "; write both");
    }
  }

  const CheckConfig& check_;
  const GivenAt& given_at_;
  Errors* errors_;
  bool has_one_kind_ = false;
};

void Judge::kinds(const Position& first) {
  const std::vector<std::string> possible = kinds_of_checks();
  const auto count = std::count_if(possible.begin(), possible.end(),
                                   [this](const std::string& kind) { return is_given(kind); });
  has_one_kind_ = count == 1;
  if (count != 1) {
    errors_->add(first, "check '" + check_.name + "' has " +
                            (count == 0 ? "no target" : "more than one kind") + "; write one of " +
                            text(kinds_text()));
  }
  if (check_.name == "none") {
    errors_->add(first, "no check can be called none: that word stands for no checks");
  }
}

// Without one kind it is not clear what they are for.
void Judge::options() {
  const bool is_https = check_.target.starts_with("https://") || !has_one_kind_;
  for (const char* key : {"cacert", "cert", "key", "insecure"}) {
    if (!is_https && is_given(key)) add(key, " has no effect without https");
  }
  const bool is_http = check_.kind == CheckKind::Http || !has_one_kind_;
  for (const char* key : {"status", "header_file"}) {
    if (!is_http && is_given(key)) add(key, " has no effect in other checks than http");
  }
  constexpr Duration kBetweenRanges = Duration::seconds(1);
  if (check_.kind == CheckKind::Etcd && check_.interval < kBetweenRanges && is_given("interval")) {
    add("interval", " is less than 1s, the minimum for a key of etcd");
  }
  if (check_.insecure && is_given("cacert")) {
    add("cacert", " has no effect with " + text("insecure") + " = yes; write only one of the two");
  }
  pair("cert", "key");
  pair("key", "cert");
}

}  // namespace

void judge(const CheckConfig& check, const Position& first, const GivenAt& given_at,
           Errors* errors) {
  Judge judge(check, given_at, errors);
  judge.kinds(first);
  judge.options();
}

}  // namespace vipd::conf
