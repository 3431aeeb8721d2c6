// The stream of one watch: bytes in, calls out. Pure. One JSON object a line, however the bytes are
// cut; the first message says that the watch was created, and the last that it is over - which etcd
// may say with HTTP 200 on a stream that then stays open. Events are read one by one as they
// arrive, and those of keys that nobody wants are forgotten at once: a line may be of any length.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "etcd/client.hpp"
#include "etcd/json.hpp"
#include "etcd/splitter.hpp"

namespace vipd::etcd {

class WatchStream {
 public:
  explicit WatchStream(WatchHandlers handlers, Wanted wanted = {}, size_t room = kRoomBase);
  WatchStream(const WatchStream&) = delete;
  WatchStream& operator=(const WatchStream&) = delete;

  // The caller keeps the stream alive until these return, whatever the handlers do.
  void feed(std::string_view bytes);
  // The connection is gone. What is left without a line break may be an error's whole text.
  void finish(const Error& error);
  // From here on nothing is called.
  void close() { open_ = false; }

  [[nodiscard]] bool created() const { return created_; }
  [[nodiscard]] uint64_t cluster() const { return cluster_; }  // that the last message names

 private:
  bool take_event(char* text, size_t length);
  void take_line();
  void take(const WatchMessage& message);
  void show(Header header, int64_t whole);
  void end(const Error& error, int64_t compact_revision = 0);

  WatchHandlers handlers_;
  Wanted wanted_;
  size_t room_;
  Splitter line_;
  Error wrong_;                   // with an event of the line
  size_t events_ = 0;             // of the line
  std::vector<WatchEvent> kept_;  // those wanted of revisions that have not been shown
  size_t held_ = 0;               // bytes that they take
  int64_t shown_ = 0;             // the last revision that was shown whole
  int64_t last_ = 0;              // that of the last event, wanted or not
  bool fragment_ = false;         // the last message may have ended within a revision
  bool open_ = true;
  bool created_ = false;
  uint64_t cluster_ = 0;
};

}  // namespace vipd::etcd
