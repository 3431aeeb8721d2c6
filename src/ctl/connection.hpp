// One client of the control socket: bytes in, requests to the handler, answers out. Bounded in size
// and time. Never destroys itself: handle() and told() return whether it must be destroyed.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "ctl/feed.hpp"
#include "ctl/http_parse.hpp"
#include "ctl/server.hpp"
#include "sys/fd.hpp"
#include "vipd/loop.hpp"

namespace vipd::ctl {

class Connection {
 public:
  // `watch` calls handle() with epoll's events, and with 0 when the deadline has come.
  // A stream is sent `feed` from where it ends when the stream begins.
  Connection(Loop& loop, sys::Fd fd, const Server::Handler& handler, const Feed& feed,
             Loop::FdHandler watch);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Both return false when the connection is over and must be destroyed.
  [[nodiscard]] bool handle(uint32_t epoll_events);
  // This line was added to the feed. It is sent in a later turn, with all that has come by then.
  [[nodiscard]] bool told(std::string_view line);
  [[nodiscard]] bool is_stream() const { return is_stream_; }
  // The position in the feed up to which it needs nothing any more.
  [[nodiscard]] uint64_t heard() const { return reads_feed() ? heard_ : feed_.end(); }

 private:
  // What the connection waits for; each but the first and the last has a deadline, or is one.
  enum class Wait { Nothing, Request, RestOfRequest, Answer, Reader, Turn, Lines };

  void receive();
  void process();
  [[nodiscard]] bool answer();
  void refuse(int status, const char* reason);
  void write_head(const Response& response, const std::string& framing);
  void write_response(const Response& response, bool without_body);
  void begin_stream(const Response& response);
  void flush();
  void flush_feed();
  [[nodiscard]] size_t send_some(std::string_view text);
  // HTTP/1.0 knows no chunks, so such a client has lines of its own.
  [[nodiscard]] size_t pending() const { return output_.size() + (feed_.end() - heard()); }
  [[nodiscard]] bool reads_feed() const { return is_stream_ && is_chunked_; }
  [[nodiscard]] bool is_written() const {
    return output_.empty() && shared_ == nullptr && heard() == feed_.end();
  }
  void expire();
  bool settle();
  [[nodiscard]] Wait wanted() const;
  void set_wait(Wait wait);

  Loop& loop_;
  sys::Fd fd_;
  const Server::Handler& handler_;
  const Feed& feed_;
  uint64_t heard_ = 0;
  Loop::FdHandler on_event_;
  Loop::FdWatch watch_ = Loop::FdWatch::None;
  Loop::Timer timer_ = Loop::Timer::None;
  Wait wait_ = Wait::Nothing;
  uint32_t interest_ = 0;

  HttpParser parser_;
  std::string input_;  // came after the request that is being answered
  std::string output_;
  std::shared_ptr<const std::string> shared_;  // after the output
  size_t shared_sent_ = 0;
  std::optional<MonoTime> asked_;  // a request that waits for its answer since
  MonoTime ask_again_at_;
  bool has_progress_ = false;
  bool has_continued_ = false;
  bool is_eof_ = false;
  bool is_stream_ = false;
  bool is_chunked_ = false;
  bool closes_ = false;  // once the output is written
  bool is_dead_ = false;
};

}  // namespace vipd::ctl
