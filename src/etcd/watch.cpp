#include "etcd/watch.hpp"

#include "etcd/codes.hpp"

namespace vipd::etcd {
namespace {

Error bad_stream(const std::string& text) {
  return {Error::kBadAnswer, text, ""};
}

Error cancelled(const WatchMessage& message) {
  if (message.compact_revision > 0) {
    return {code::kOutOfRange,
            "history before revision " + std::to_string(message.compact_revision) +
                " has been compacted",
            ""};
  }
  const std::string& reason = message.cancel_reason;
  return {code::kCancelled, "watch cancelled by etcd" + (reason.empty() ? "" : ": " + reason), ""};
}

}  // namespace

void WatchStream::feed(std::string_view bytes) {
  if (!open_) return;
  pending_.append(bytes);
  size_t begin = 0;
  for (;;) {
    const size_t line_end = pending_.find('\n', searched_);
    if (line_end == std::string::npos) break;
    searched_ = line_end + 1;
    pending_[line_end] = '\0';
    take_line(&pending_[begin], line_end - begin);
    if (!open_) return;
    begin = searched_;
  }
  pending_.erase(0, begin);
  searched_ = pending_.size();
  if (pending_.size() > kLineLimit) {
    end(bad_stream("a line of the watch is longer than " + std::to_string(kLineLimit) + " bytes"));
  }
}

void WatchStream::take_line(char* line, size_t length) {
  if (length == 0) return;
  WatchMessage message;
  Error error;
  if (!read_watch_line(line, length, message, error)) return end(error);
  take(message);
}

void WatchStream::take(const WatchMessage& message) {
  header_ = message.header;
  // First: a refused watch says "created" and "canceled" in one message.
  if (message.canceled || message.compact_revision > 0) {
    return end(cancelled(message), message.compact_revision);
  }
  if (message.created && !created_) {
    created_ = true;
    handlers_.created(message.header);
    if (!open_ || message.events.empty()) return;
  }
  if (!created_) return end(bad_stream("events of a watch that was not created"));
  if (!goes_on(message.events)) return;
  Header header = message.header;
  // The header of a watcher that catches up runs ahead of the events that come with it.
  if (!message.events.empty()) header.revision = message.events.back().kv.mod_revision;
  handlers_.events(header, message.events);
}

// Each message goes on where the one before ended, by whole revisions.
bool WatchStream::goes_on(const std::vector<WatchEvent>& events) {
  int64_t last = shown_;
  for (const WatchEvent& event : events) {
    const int64_t revision = event.kv.mod_revision;
    if (revision < last || revision == shown_) {
      end(bad_stream("the watch shows revision " + std::to_string(revision) + " after " +
                     std::to_string(last)));
      return false;
    }
    last = revision;
  }
  shown_ = last;
  return true;
}

void WatchStream::finish(const Error& error) {
  if (!open_) return;
  WatchMessage message;
  Error last;
  const bool unread =
      !pending_.empty() && !read_watch_line(pending_.data(), pending_.size(), message, last);
  // Half a message tells nothing; but plain text instead of a first one (a gateway that is off)
  // explains more than the end of the connection does.
  const bool telling = unread && (last.code != Error::kBadAnswer || !created_);
  end(telling ? last : error);
}

void WatchStream::end(const Error& error, int64_t compact_revision) {
  if (!open_) return;
  open_ = false;
  handlers_.ended(error, compact_revision);
}

}  // namespace vipd::etcd
