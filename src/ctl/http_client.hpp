// vipctl's side of the control socket: one blocking request at a time, and the stream of events.
// For the command line only; the daemon must not block and never uses this.
#pragma once

#include <curl/curl.h>

#include <memory>
#include <string>

namespace vipd::ctl {

struct Answer {
  int status = 0;  // 0: nobody answered
  std::string body;
  std::string reason;  // why nobody answered
};

struct CurlDelete {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using Easy = std::unique_ptr<CURL, CurlDelete>;

class HttpClient {
 public:
  explicit HttpClient(std::string socket_path);

  [[nodiscard]] Answer get(const std::string& path);
  [[nodiscard]] Answer post(const std::string& path, const std::string& body);

 private:
  Answer perform(const std::string& path);
  std::string socket_path_;
  Easy easy_;
};

// GET /v1/events.
class EventStream {
 public:
  explicit EventStream(const std::string& socket_path);
  ~EventStream();
  EventStream(const EventStream&) = delete;
  EventStream& operator=(const EventStream&) = delete;

  enum class News { None, Changed, Ended };
  // Waits that long at most. Changed: the stream was opened, or lines have come.
  [[nodiscard]] News wait(int timeout_ms);
  [[nodiscard]] int status() const { return status_; }  // 0 until the daemon answered

 private:
  static size_t on_header(const char* bytes, size_t, size_t size, void* self);
  static size_t on_data(const char*, size_t, size_t size, void* self);
  [[nodiscard]] bool is_running();

  Easy easy_;
  CURLM* multi_;
  bool has_changed_ = false;
  int status_ = 0;
};

}  // namespace vipd::ctl
