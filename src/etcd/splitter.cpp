#include "etcd/splitter.hpp"

#include "etcd/base64.hpp"

namespace vipd::etcd {
namespace {

constexpr size_t kHashLength = 12;  // of 8 bytes in base64
constexpr uint64_t kFnvBasis = 14695981039346656037U;
constexpr uint64_t kFnvPrime = 1099511628211U;

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

uint64_t hashed(uint64_t hash, std::string_view text) {
  for (const char c : text) hash = (hash ^ static_cast<uint8_t>(c)) * kFnvPrime;
  return hash;
}

}  // namespace

void Splitter::clear() {
  rest_.clear();
  object_.clear();
  state_ = State::Rest;
  text_ = escaped_ = named_ = list_next_ = false;
  depth_ = 0;
}

bool Splitter::feed(std::string_view bytes) {
  while (!bytes.empty()) {
    if (text_) {
      bytes.remove_prefix(in_text(bytes));
    } else {
      const char c = bytes.front();
      bytes.remove_prefix(1);
      const bool goes_on = state_ == State::Rest     ? in_rest(c)
                           : state_ == State::Object ? in_object(c)
                                                     : in_list(c);
      if (!goes_on) return false;
    }
    if (rest_.size() > rest_limit_ || object_.size() > kLongestObject) return false;
  }
  return true;
}

// How many of the bytes it took.
size_t Splitter::in_text(std::string_view bytes) {
  if (escaped_) {
    escaped_ = false;
    keep(bytes.substr(0, 1));
    return 1;
  }
  size_t run = 0;
  while (run < bytes.size() && bytes[run] != '"' && bytes[run] != '\\') ++run;
  keep(bytes.substr(0, run));
  if (run == bytes.size()) return run;
  escaped_ = bytes[run] == '\\';
  if (escaped_) {
    keep("\\");
  } else {
    end_text();
  }
  return run + 1;
}

void Splitter::keep(std::string_view run) {
  if (state_ == State::Rest) {
    // One byte too many shows that it is too long.
    rest_.append(run.substr(0, rest_limit_ + 1 - rest_.size()));
    return;
  }
  if (cut_) {
    hash_ = hashed(hash_, run);
    return;
  }
  const size_t room = text_begin_ + kLongestText - object_.size();
  object_.append(run.substr(0, room));
  if (run.size() <= room) return;
  cut_ = true;
  const size_t end = text_begin_ + kLongestText - kHashLength;
  hash_ = hashed(hashed(kFnvBasis, std::string_view(object_).substr(end)), run.substr(room));
  object_.resize(end);
}

void Splitter::end_text() {
  text_ = false;
  if (state_ == State::Rest) {
    const std::string_view text = std::string_view(rest_).substr(text_begin_);
    named_ = text == "kvs" || text == "events";
    rest_ += '"';
    return;
  }
  if (cut_) object_ += base64_encode({reinterpret_cast<const char*>(&hash_), sizeof hash_});
  object_ += '"';
}

bool Splitter::in_rest(char c) {
  rest_ += c;
  if (is_space(c)) return true;
  if (c == '[' && list_next_) state_ = State::ListBegin;
  list_next_ = named_ && c == ':';
  named_ = false;
  if (c == '"') {
    text_ = true;
    text_begin_ = rest_.size();
  }
  return true;
}

bool Splitter::in_list(char c) {
  if (is_space(c)) return true;
  if (c == '{' && state_ != State::AfterObject) {
    state_ = State::Object;
    object_.assign(1, c);
    depth_ = 1;
    return true;
  }
  if (c == ',' && state_ == State::AfterObject) {
    state_ = State::AfterComma;
    return true;
  }
  if (c != ']' || state_ == State::AfterComma) return false;
  state_ = State::Rest;
  rest_ += c;
  return true;
}

bool Splitter::in_object(char c) {
  object_ += c;
  if (c == '"') {
    text_ = true;
    text_begin_ = object_.size();
    cut_ = false;
  }
  if (c == '{' || c == '[') ++depth_;
  if (c == '}' || c == ']') --depth_;
  if (depth_ != 0) return true;
  state_ = State::AfterObject;
  const bool goes_on = take_(object_.data(), object_.size());
  object_.clear();
  return goes_on;
}

}  // namespace vipd::etcd
