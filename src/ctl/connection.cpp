#include "ctl/connection.hpp"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "ctl/json_text.hpp"

namespace vipd::ctl {
namespace {

constexpr Duration kIdleTime = Duration::seconds(10);
constexpr Duration kRequestTime = Duration::seconds(5);
constexpr Duration kSharedTime = Duration::seconds(30);
constexpr size_t kMaxPending = 1 << 20;
constexpr size_t kReadSize = 16 * 1024;
constexpr size_t kMostSent = 256 * 1024;  // at once

}  // namespace

Connection::Connection(Loop& loop, sys::Fd fd, const Server::Handler& handler, const Feed& feed,
                       Loop::FdHandler watch)
    : loop_(loop), fd_(std::move(fd)), handler_(handler), feed_(feed), on_event_(std::move(watch)) {
  interest_ = EPOLLIN;
  watch_ = loop_.add_fd(fd_.get(), interest_, on_event_);
  set_wait(Wait::Request);
}

// At the end of the daemon no other turn follows the one that told of it.
Connection::~Connection() {
  if (is_stream_ && !is_dead_) flush();
  loop_.cancel_timer(timer_);
  loop_.remove_fd(watch_);
}

bool Connection::handle(uint32_t epoll_events) {
  has_progress_ = false;
  if (epoll_events == 0) expire();
  if ((epoll_events & (EPOLLERR | EPOLLHUP)) != 0) is_dead_ = true;
  // Half closed is enough for a request, but a stream that nobody can ask to end has no reader.
  if (is_stream_ && (epoll_events & EPOLLRDHUP) != 0) is_dead_ = true;
  if (!is_dead_ && (epoll_events & EPOLLOUT) != 0) flush();
  if (!is_dead_ && (epoll_events & EPOLLIN) != 0) receive();
  process();
  return settle();
}

bool Connection::told(std::string_view line) {
  if (!is_stream_) return true;
  has_progress_ = false;
  if (!is_chunked_) output_.append(line).append("\n");
  // More may be told in one turn than is kept for it: a reader who keeps up is sent some of it.
  if (pending() > kMaxPending) flush();
  if (pending() > kMaxPending) is_dead_ = true;
  return settle();
}

void Connection::receive() {
  // Nothing is read while an answer waits to be written, or a request for its turn: a client that
  // only sends is stopped there.
  if (!is_written() || !input_.empty() || asked_ || is_stream_ || closes_) return;
  char buffer[kReadSize];
  const ssize_t size = recv(fd_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
  if (size > 0) {
    input_.append(buffer, static_cast<size_t>(size));
    has_progress_ = true;
  } else if (size == 0) {
    is_eof_ = true;
  } else if (errno != EAGAIN && errno != EINTR) {
    is_dead_ = true;
  }
}

// One answer a turn: hundreds of requests may have come in one packet.
void Connection::process() {
  bool is_answered = false;
  if (asked_ && !is_dead_) is_answered = answer();
  while (!is_answered && !asked_ && !is_dead_ && is_written() && !is_stream_ && !closes_ &&
         !input_.empty()) {
    input_.erase(0, parser_.feed(input_));
    if (parser_.state() == HttpParser::State::Bad) {
      refuse(parser_.status(), parser_.reason());
    } else if (parser_.state() == HttpParser::State::Done) {
      asked_ = loop_.now();
      is_answered = answer();
    } else if (parser_.wants_continue() && !std::exchange(has_continued_, true)) {
      output_ = "HTTP/1.1 100 Continue\r\n\r\n";
    }
    flush();
  }
  if (is_answered) flush();
}

// False: there is no answer yet.
bool Connection::answer() {
  const bool is_head = parser_.method() == "HEAD";
  wait_ = Wait::Nothing;  // the next request has a deadline of its own, and so has the next try
  const Request request{is_head ? "GET" : parser_.method(), parser_.path(), parser_.body(),
                        *asked_};
  const Response response = handler_(request);
  if (response.not_before) {
    ask_again_at_ = *response.not_before;
    return false;
  }
  asked_.reset();
  closes_ = !parser_.keeps_alive();
  is_chunked_ = !parser_.is_http10();
  if (response.stream && !is_head) {
    begin_stream(response);
  } else {
    write_response(response, is_head);
  }
  parser_ = HttpParser();
  has_continued_ = false;
  return true;
}

void Connection::refuse(int status, const char* reason) {
  Response response;
  response.status = status;
  response.body = error_json(reason);
  closes_ = true;
  write_response(response, false);
}

void Connection::write_head(const Response& response, const std::string& framing) {
  output_ += "HTTP/1.1 " + std::to_string(response.status) + " " + status_words(response.status);
  output_ += "\r\nContent-Type: " + response.content_type + "\r\nCache-Control: no-store\r\n";
  output_ += response.fields;
  output_ += framing;
  if (closes_) output_ += "Connection: close\r\n";
  output_ += "\r\n";
}

void Connection::write_response(const Response& response, bool without_body) {
  const std::string& body = response.shared == nullptr ? response.body : *response.shared;
  write_head(response, "Content-Length: " + std::to_string(body.size()) + "\r\n");
  if (without_body) return;
  if (response.shared == nullptr) {
    output_ += body;
  } else if (!body.empty()) {
    shared_ = response.shared;
    shared_sent_ = 0;
  }
}

// HTTP/1.0 knows no chunks: there the end of the connection is the end of the stream.
void Connection::begin_stream(const Response& response) {
  if (!is_chunked_) closes_ = true;
  write_head(response, is_chunked_ ? "Transfer-Encoding: chunked\r\n" : "");
  closes_ = false;
  is_stream_ = true;
  heard_ = feed_.end();
}

// What is left goes in another turn: the others' answers and the rest of the loop come in between.
void Connection::flush() {
  output_.erase(0, send_some(output_));
  if (output_.empty() && !is_dead_ && reads_feed()) return flush_feed();
  if (!output_.empty() || shared_ == nullptr || is_dead_ || loop_.budget_is_spent()) return;
  shared_sent_ += send_some(std::string_view(*shared_).substr(shared_sent_));
  if (shared_sent_ == shared_->size()) shared_.reset();
}

// However little of the turn is left: who is sent less than a turn publishes falls behind although
// he reads.
void Connection::flush_feed() {
  for (size_t sent = 0; sent < kMostSent && !is_dead_;) {
    const std::string_view text = feed_.from(heard_);
    const size_t size = send_some(text);
    heard_ += size;
    sent += size;
    if (text.empty() || size < text.size()) return;
  }
}

size_t Connection::send_some(std::string_view text) {
  text = text.substr(0, kMostSent);
  size_t sent = 0;
  while (sent < text.size()) {
    const ssize_t size =
        send(fd_.get(), text.data() + sent, text.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) {
      if (errno != EAGAIN) is_dead_ = true;
      break;
    }
    sent += static_cast<size_t>(size);
    has_progress_ = true;
  }
  return sent;
}

void Connection::expire() {
  timer_ = Loop::Timer::None;
  if (wait_ == Wait::RestOfRequest) {
    refuse(408, "the request was not complete within 5 seconds");
    flush();
  }
  is_dead_ = true;
}

// Brings what epoll and the timer look for in line with the state. False: the connection is over.
bool Connection::settle() {
  const bool is_last = closes_ || (is_eof_ && input_.empty() && !asked_);
  if (is_written() && !is_stream_ && is_last) is_dead_ = true;
  if (is_dead_) return false;
  const Wait wait = wanted();
  // Who reads what others wait to see replaced is given a time for all of it.
  const bool counts = wait != Wait::RestOfRequest && shared_ == nullptr;
  if (wait != wait_ || (has_progress_ && counts)) set_wait(wait);
  uint32_t interest = is_stream_ ? uint32_t{EPOLLRDHUP} : 0;
  if (!is_written()) interest |= EPOLLOUT;
  if (is_written() && input_.empty() && !asked_ && !is_stream_) interest |= EPOLLIN;
  if (interest != interest_) loop_.modify_fd(watch_, interest);
  interest_ = interest;
  return true;
}

Connection::Wait Connection::wanted() const {
  if (is_stream_) return Wait::Lines;
  if (!is_written()) return Wait::Reader;
  if (asked_) return Wait::Answer;
  if (!input_.empty()) return Wait::Turn;
  return parser_.has_begun() ? Wait::RestOfRequest : Wait::Request;
}

void Connection::set_wait(Wait wait) {
  wait_ = wait;
  loop_.cancel_timer(timer_);
  timer_ = Loop::Timer::None;
  if (wait == Wait::Lines) return;
  if (wait == Wait::Turn || wait == Wait::Answer) {
    const MonoTime at = wait == Wait::Turn ? loop_.now() : ask_again_at_;
    timer_ = loop_.add_timer(at, [this] { on_event_(EPOLLIN); });
    return;
  }
  Duration time = wait == Wait::RestOfRequest ? kRequestTime : kIdleTime;
  if (shared_ != nullptr) time = kSharedTime;
  timer_ = loop_.add_timer(loop_.now() + time, [this] { on_event_(0); });
}

}  // namespace vipd::ctl
