// The stream of one watch: bytes in, calls out. Pure. One JSON object a line, however the bytes are
// cut; the first message says that the watch was created, and the last that it is over - which etcd
// may say with HTTP 200 on a stream that then stays open.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "etcd/client.hpp"
#include "etcd/json.hpp"

namespace vipd::etcd {

class WatchStream {
 public:
  static constexpr size_t kLineLimit = 8U << 20;

  explicit WatchStream(WatchHandlers handlers) : handlers_(std::move(handlers)) {}
  WatchStream(const WatchStream&) = delete;
  WatchStream& operator=(const WatchStream&) = delete;

  // The caller keeps the stream alive until these return, whatever the handlers do.
  void feed(std::string_view bytes);
  // The connection is gone. What is left without a line break may be an error's whole text.
  void finish(const Error& error);
  // From here on nothing is called.
  void close() { open_ = false; }

  [[nodiscard]] bool open() const { return open_; }
  [[nodiscard]] bool created() const { return created_; }
  [[nodiscard]] const Header& header() const { return header_; }  // of the last message

 private:
  void take_line(char* line, size_t length);
  void take(const WatchMessage& message);
  bool goes_on(const std::vector<WatchEvent>& events);
  void end(const Error& error, int64_t compact_revision = 0);

  WatchHandlers handlers_;
  std::string pending_;  // from the last line break on
  size_t searched_ = 0;  // of pending_: no line break in there
  Header header_;
  int64_t shown_ = 0;  // the last revision that was shown
  bool open_ = true;
  bool created_ = false;
};

}  // namespace vipd::etcd
