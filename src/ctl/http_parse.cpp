#include "ctl/http_parse.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "sys/text.hpp"

namespace vipd::ctl {
namespace {

using sys::is_token;
using sys::lower;

constexpr size_t kMaxMethod = 16;

bool is_field_text(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) < ' ' && c != '\t') || c == '\x7f';
  });
}

}  // namespace

size_t HttpParser::feed(std::string_view bytes) {
  size_t taken = 0;
  if (state_ == State::Head) taken = feed_head(bytes);
  if (state_ == State::Body) taken += feed_body(bytes.substr(taken));
  return taken;
}

size_t HttpParser::feed_head(std::string_view bytes) {
  size_t taken = 0;
  while (state_ == State::Head && taken < bytes.size()) {
    const char c = bytes[taken++];
    if (++head_size_ > kMaxHead) {
      fail(431, "the request's head is larger than 8 KiB");
    } else if (c != '\n') {
      line_ += c;
    } else if (!line_.ends_with('\r')) {
      fail(400, "a line does not end in CR LF");
    } else {
      const std::string line = line_.substr(0, line_.size() - 1);
      line_.clear();
      take_line(line);
    }
  }
  return taken;
}

size_t HttpParser::feed_body(std::string_view bytes) {
  const size_t taken = std::min(bytes.size(), length_ - body_.size());
  body_.append(bytes.substr(0, taken));
  if (body_.size() == length_) state_ = State::Done;
  return taken;
}

void HttpParser::take_line(std::string_view line) {
  if (method_.empty()) {
    // RFC 9112, section 2.2: an empty line before the request is to be ignored.
    if (!line.empty()) take_request_line(line);
  } else if (line.empty()) {
    end_head();
  } else {
    take_field(line);
  }
}

void HttpParser::take_request_line(std::string_view line) {
  const size_t first = line.find(' ');
  const size_t last = line.rfind(' ');
  if (first == last) return fail(400, "the request line is not METHOD PATH VERSION");
  method_ = line.substr(0, first);
  if (!is_token(method_) || first > kMaxMethod) return fail(400, "the method is not a token");
  take_target(line.substr(first + 1, last - first - 1));
  if (state_ != State::Bad) take_version(line.substr(last + 1));
}

void HttpParser::take_target(std::string_view target) {
  // RFC 9112, section 3.2.2: a server must understand the absolute form as well.
  constexpr std::string_view kScheme = "http://";
  if (target.starts_with(kScheme)) {
    const size_t slash = target.find('/', kScheme.size());
    target = slash == std::string_view::npos ? "/" : target.substr(slash);
  }
  const bool is_visible = std::all_of(target.begin(), target.end(),
                                      [](char c) { return c > ' ' && c <= '~' && c != '#'; });
  if (!target.starts_with('/') || !is_visible) return fail(400, "the path is not valid");
  path_ = target.substr(0, target.find('?'));
}

void HttpParser::take_version(std::string_view version) {
  if (!version.starts_with("HTTP/")) return fail(400, "the request line has no HTTP version");
  is_http10_ = version == "HTTP/1.0";
  keeps_alive_ = !is_http10_;
  if (version != "HTTP/1.1" && !is_http10_) fail(505, "only HTTP/1.1 and HTTP/1.0 are spoken here");
}

void HttpParser::take_field(std::string_view line) {
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) return fail(400, "a header field has no ':'");
  // No blank before the ':' and no folded lines (RFC 9112, sections 5.1 and 5.2).
  if (!is_token(line.substr(0, colon))) return fail(400, "a header field's name is not a token");
  const std::string_view value = sys::trimmed(line.substr(colon + 1));
  if (!is_field_text(value)) return fail(400, "a header field has control characters");
  const std::string name = lower(line.substr(0, colon));
  if (name == "content-length") return take_length(value);
  if (name == "connection") return take_connection(value);
  if (name == "host" && std::exchange(has_host_, true)) return fail(400, "there are two hosts");
  if (name == "expect") {
    expects_continue_ = lower(value) == "100-continue";
    if (!expects_continue_) fail(417, "this expectation is not known");
  }
  if (name == "transfer-encoding") {
    if (lower(value) == "chunked") return fail(411, "send the body with a Content-Length");
    fail(501, "this transfer encoding is not known");
  }
}

void HttpParser::take_length(std::string_view value) {
  // Two lengths, even the same one twice, would let two readers see two different requests.
  if (std::exchange(has_length_, true)) return fail(400, "there are two content lengths");
  const char* const end = value.data() + value.size();
  const auto parsed = std::from_chars(value.data(), end, length_);
  const bool is_number = !value.empty() && parsed.ptr == end && value.front() != '-';
  if (parsed.ec == std::errc::result_out_of_range) return fail(413, "the body is too large");
  if (!is_number) return fail(400, "the content length is not a number");
  if (length_ > kMaxBody) fail(413, "the body is larger than 64 KiB");
}

void HttpParser::take_connection(std::string_view value) {
  std::string options = lower(value);
  std::erase_if(options, [](char c) { return c == ' ' || c == '\t'; });
  options = "," + options + ",";
  if (options.find(",close,") != std::string::npos) {
    keeps_alive_ = false;
  } else if (is_http10_ && options.find(",keep-alive,") != std::string::npos) {
    keeps_alive_ = true;
  }
}

void HttpParser::end_head() {
  // RFC 9112, section 3.2.
  if (!has_host_ && !is_http10_) return fail(400, "the Host field is missing");
  state_ = length_ == 0 ? State::Done : State::Body;
  if (is_http10_) expects_continue_ = false;  // RFC 9110, section 10.1.1
}

void HttpParser::fail(int status, const char* reason) {
  state_ = State::Bad;
  status_ = status;
  reason_ = reason;
}

const char* status_words(int status) {
  constexpr std::pair<int, const char*> kWords[] = {
      {100, "Continue"},
      {200, "OK"},
      {400, "Bad Request"},
      {404, "Not Found"},
      {405, "Method Not Allowed"},
      {408, "Request Timeout"},
      {409, "Conflict"},
      {411, "Length Required"},
      {413, "Content Too Large"},
      {417, "Expectation Failed"},
      {422, "Unprocessable Content"},
      {431, "Request Header Fields Too Large"},
      {500, "Internal Server Error"},
      {501, "Not Implemented"},
      {503, "Service Unavailable"},
      {505, "HTTP Version Not Supported"},
  };
  for (const auto& [number, words] : kWords) {
    if (number == status) return words;
  }
  return "Unknown";
}

}  // namespace vipd::ctl
