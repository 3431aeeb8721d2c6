// Cuts the keys out of a JSON text while it arrives: each object in a list that is named "kvs" or
// "events" is handed on by itself, and what is left is a short text with empty lists. So memory
// does not grow with an answer. Pure. Judges nothing but the lists' commas: both kinds of pieces
// are for a real parser, which is strict.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace vipd::etcd {

class Splitter {
 public:
  // Longer texts in an object are cut, and end in a hash of what was cut: a key or a value that
  // long is nobody's of ours, and different ones must stay different. A multiple of four, as
  // base64 is.
  static constexpr size_t kLongestText = 4096;
  static constexpr size_t kLongestObject = 32U << 10;

  // The object, with a NUL behind it; its bytes may be changed. False: this is the end.
  using Take = std::function<bool(char* text, size_t length)>;

  // rest_limit: bytes of what is left.
  Splitter(size_t rest_limit, Take take) : rest_limit_(rest_limit), take_(std::move(take)) {}

  // False: too long, no list of objects, or `take` said so. Nothing more may be fed until clear().
  [[nodiscard]] bool feed(std::string_view bytes);
  [[nodiscard]] std::string& rest() { return rest_; }
  void clear();

 private:
  enum class State { Rest, ListBegin, AfterObject, AfterComma, Object };

  size_t in_text(std::string_view bytes);
  void keep(std::string_view run);
  void end_text();
  [[nodiscard]] bool in_rest(char c);
  [[nodiscard]] bool in_list(char c);
  [[nodiscard]] bool in_object(char c);

  size_t rest_limit_;
  Take take_;
  std::string rest_;
  std::string object_;
  State state_ = State::Rest;
  bool text_ = false;       // within quotes
  bool escaped_ = false;    // behind a backslash
  size_t text_begin_ = 0;   // of the text, in rest_ or object_
  bool cut_ = false;        // the text is too long
  uint64_t hash_ = 0;       // of what was cut
  bool named_ = false;      // the last text is the name of such a list
  bool list_next_ = false;  // ... and a colon follows it
  unsigned depth_ = 0;      // of brackets in the object
};

}  // namespace vipd::etcd
