// HTTP/1.1 requests out of a stream of bytes that may be cut anywhere (RFC 9112). Pure, bounded,
// one request at a time. Never trusts the client: what is not plainly right becomes a status code.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace vipd::ctl {

constexpr size_t kMaxHead = 8 * 1024;  // request line and header fields
constexpr size_t kMaxBody = 64 * 1024;

class HttpParser {
 public:
  enum class State { Head, Body, Done, Bad };

  // Takes bytes until the request is complete or bad; returns how many were taken. What is left
  // belongs to the next request.
  size_t feed(std::string_view bytes);

  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] bool has_begun() const { return head_size_ > 0; }
  // The client waits for "100 Continue" before it sends the body (RFC 9110, section 10.1.1).
  [[nodiscard]] bool wants_continue() const { return state_ == State::Body && expects_continue_; }

  // REQUIRES: state() == Done.
  [[nodiscard]] const std::string& method() const { return method_; }
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] const std::string& body() const { return body_; }
  [[nodiscard]] bool is_http10() const { return is_http10_; }
  [[nodiscard]] bool keeps_alive() const { return keeps_alive_; }

  // REQUIRES: state() == Bad. The answer that the client gets; the connection ends with it.
  [[nodiscard]] int status() const { return status_; }
  [[nodiscard]] const char* reason() const { return reason_; }

 private:
  size_t feed_head(std::string_view bytes);
  size_t feed_body(std::string_view bytes);
  void take_line(std::string_view line);
  void take_request_line(std::string_view line);
  void take_target(std::string_view target);
  void take_version(std::string_view version);
  void take_field(std::string_view line);
  void take_length(std::string_view value);
  void take_connection(std::string_view value);
  void end_head();
  void fail(int status, const char* reason);

  State state_ = State::Head;
  std::string line_;  // the part of it that has come
  size_t head_size_ = 0;
  size_t length_ = 0;
  bool has_length_ = false;
  bool has_host_ = false;
  bool expects_continue_ = false;
  bool is_http10_ = false;
  bool keeps_alive_ = true;
  std::string method_;
  std::string path_;
  std::string body_;
  int status_ = 0;
  const char* reason_ = "";
};

// "Not Found" for 404.
[[nodiscard]] const char* status_words(int status);

}  // namespace vipd::ctl
