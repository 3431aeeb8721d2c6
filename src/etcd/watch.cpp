#include "etcd/watch.hpp"

#include <algorithm>
#include <iterator>

#include "etcd/codes.hpp"
#include "etcd/snapshot.hpp"

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

WatchStream::WatchStream(WatchHandlers handlers, Wanted wanted, size_t room)
    : handlers_(std::move(handlers)),
      wanted_(std::move(wanted)),
      room_(room),
      line_(row_of(Purpose::Watch).limit,
            [this](char* text, size_t length) { return take_event(text, length); }) {}

void WatchStream::feed(std::string_view bytes) {
  while (open_ && !bytes.empty()) {
    const size_t length = std::min(bytes.find('\n'), bytes.size());
    if (!line_.feed(bytes.substr(0, length))) {
      const std::string& rest = line_.rest();
      const Error unexpected =
          bad_stream("unexpected message: " + printable(rest.data(), rest.size(), 100));
      return end(wrong_.text.empty() ? unexpected : wrong_);
    }
    if (length == bytes.size()) return;
    take_line();
    line_.clear();
    bytes.remove_prefix(length + 1);
  }
}

// Each message goes on where the one before ended, by whole revisions or by fragments of one.
bool WatchStream::take_event(char* text, size_t length) {
  WatchEvent event;
  if (!read_watch_event(text, length, event, wrong_)) return false;
  const int64_t revision = event.kv.mod_revision;
  if (revision < last_ || revision <= shown_) {
    wrong_ = bad_stream("the watch shows revision " + std::to_string(revision) + " after " +
                        std::to_string(last_));
    return false;
  }
  last_ = revision;
  ++events_;
  if (wanted_ && !wanted_(event.kv.key)) return true;
  held_ += cost_of(event.kv);
  if (held_ > room_) {
    wrong_ = bad_stream(no_room_text(room_));
    return false;
  }
  kept_.push_back(std::move(event));
  return true;
}

void WatchStream::take_line() {
  std::string& line = line_.rest();
  if (line.empty()) return;
  WatchMessage message;
  Error error;
  if (!read_watch_line(line.data(), line.size(), message, error)) return end(error);
  take(message);
  events_ = 0;
}

void WatchStream::take(const WatchMessage& message) {
  cluster_ = message.header.cluster_id;
  // First: a refused watch says "created" and "canceled" in one message.
  if (message.canceled || message.compact_revision > 0) {
    return end(cancelled(message), message.compact_revision);
  }
  const bool has_events = events_ > 0;
  if (message.created && !created_) {
    created_ = true;
    handlers_.created(message.header);
    if (!open_ || !has_events) return;
  }
  if (!created_) return end(bad_stream("events of a watch that was not created"));
  if (fragment_ && !has_events) return end(bad_stream("a fragment of a revision is missing"));
  if (!has_events) return handlers_.events(message.header, {});
  fragment_ = message.fragment;
  show(message.header, message.fragment ? last_ - 1 : last_);
}

// A watcher that catches up gets a header whose revision is ahead of the events: it is replaced.
void WatchStream::show(Header header, int64_t whole) {
  if (whole <= shown_) return;
  shown_ = header.revision = whole;
  const auto later = std::find_if(kept_.begin(), kept_.end(), [whole](const WatchEvent& event) {
    return event.kv.mod_revision > whole;
  });
  std::vector<WatchEvent> rest(std::make_move_iterator(later),
                               std::make_move_iterator(kept_.end()));
  kept_.erase(later, kept_.end());
  held_ = 0;
  for (const WatchEvent& event : rest) held_ += cost_of(event.kv);
  const std::vector<WatchEvent> events = std::exchange(kept_, std::move(rest));
  handlers_.events(header, events);
}

void WatchStream::finish(const Error& error) {
  if (!open_) return;
  WatchMessage message;
  Error last;
  std::string& line = line_.rest();
  const bool unread = !line.empty() && !read_watch_line(line.data(), line.size(), message, last);
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
