#include "ctl/http_client.hpp"

#include <cerrno>
#include <cstring>
#include <utility>

namespace vipd::ctl {
namespace {

constexpr long kTimeoutMs = 10'000;
constexpr size_t kMaxBody = 16 << 20;

Easy new_easy(const std::string& socket_path) {
  Easy easy(curl_easy_init());
  if (easy == nullptr) abort();
  curl_easy_setopt(easy.get(), CURLOPT_UNIX_SOCKET_PATH, socket_path.c_str());
  curl_easy_setopt(easy.get(), CURLOPT_PROXY, "");  // http_proxy is not meant for this socket
  return easy;
}

std::string url_of(const std::string& path) {
  return "http://vipd" + path;
}

size_t append(const char* bytes, size_t, size_t size, void* user) {
  auto* const body = static_cast<std::string*>(user);
  if (body->size() + size > kMaxBody) return 0;
  body->append(bytes, size);
  return size;
}

std::string words_for(CURL* easy, CURLcode code, const std::string& socket_path) {
  long error = 0;
  curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &error);
  if (code == CURLE_COULDNT_CONNECT) {
    if (error == EACCES) return "no access to " + socket_path + "; run vipctl as root";
    return "no daemon at " + socket_path +
           (error == 0 ? "" : std::string(": ") + strerror(static_cast<int>(error))) +
           "; start vipd, or name its control.socket with -s";
  }
  const std::string what = "the daemon at " + socket_path + " does not answer";
  if (code == CURLE_OPERATION_TIMEDOUT) {
    return what + " within " + std::to_string(kTimeoutMs / 1000) + " s";
  }
  // The static file's libcurl has no text for a code.
  return what + ": " + curl_easy_strerror(code) + " (libcurl " + std::to_string(code) + ")";
}

}  // namespace

HttpClient::HttpClient(std::string socket_path)
    : socket_path_(std::move(socket_path)), easy_(new_easy(socket_path_)) {
  curl_easy_setopt(easy_.get(), CURLOPT_TIMEOUT_MS, kTimeoutMs);
  curl_easy_setopt(easy_.get(), CURLOPT_WRITEFUNCTION, append);
}

Answer HttpClient::perform(const std::string& path) {
  Answer answer;
  curl_easy_setopt(easy_.get(), CURLOPT_URL, url_of(path).c_str());
  curl_easy_setopt(easy_.get(), CURLOPT_WRITEDATA, &answer.body);
  const CURLcode code = curl_easy_perform(easy_.get());
  if (code != CURLE_OK) {
    answer.reason = words_for(easy_.get(), code, socket_path_);
    return answer;
  }
  long status = 0;
  curl_easy_getinfo(easy_.get(), CURLINFO_RESPONSE_CODE, &status);
  answer.status = static_cast<int>(status);
  return answer;
}

Answer HttpClient::get(const std::string& path) {
  curl_easy_setopt(easy_.get(), CURLOPT_HTTPGET, 1L);
  return perform(path);
}

Answer HttpClient::post(const std::string& path, const std::string& body) {
  const std::unique_ptr<curl_slist, CurlDelete> headers(
      curl_slist_append(nullptr, "Content-Type: application/json"));
  curl_easy_setopt(easy_.get(), CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(easy_.get(), CURLOPT_POSTFIELDSIZE, static_cast<long>(body.size()));
  curl_easy_setopt(easy_.get(), CURLOPT_COPYPOSTFIELDS, body.c_str());
  Answer answer = perform(path);
  curl_easy_setopt(easy_.get(), CURLOPT_HTTPHEADER, nullptr);
  return answer;
}

EventStream::EventStream(const std::string& socket_path)
    : easy_(new_easy(socket_path)), multi_(curl_multi_init()) {
  if (multi_ == nullptr) abort();
  curl_easy_setopt(easy_.get(), CURLOPT_URL, url_of("/v1/events").c_str());
  curl_easy_setopt(easy_.get(), CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt(easy_.get(), CURLOPT_HEADERDATA, this);
  curl_easy_setopt(easy_.get(), CURLOPT_WRITEFUNCTION, on_data);
  curl_easy_setopt(easy_.get(), CURLOPT_WRITEDATA, this);
  curl_multi_add_handle(multi_, easy_.get());
}

EventStream::~EventStream() {
  curl_multi_remove_handle(multi_, easy_.get());
  curl_multi_cleanup(multi_);
}

// The stream counts as open with the empty line that ends the head: what changes from then on
// comes as a line.
size_t EventStream::on_header(const char* bytes, size_t, size_t size, void* self) {
  auto* const stream = static_cast<EventStream*>(self);
  if (std::string_view(bytes, size) == "\r\n") {
    long status = 0;
    curl_easy_getinfo(stream->easy_.get(), CURLINFO_RESPONSE_CODE, &status);
    stream->status_ = static_cast<int>(status);
    stream->has_changed_ = true;
  }
  return size;
}

size_t EventStream::on_data(const char*, size_t, size_t size, void* self) {
  static_cast<EventStream*>(self)->has_changed_ = true;
  return size;
}

bool EventStream::is_running() {
  int running = 0;
  curl_multi_perform(multi_, &running);
  return running > 0;
}

EventStream::News EventStream::wait(int timeout_ms) {
  if (!is_running()) return News::Ended;
  if (!has_changed_) {
    curl_multi_poll(multi_, nullptr, 0, timeout_ms, nullptr);
    if (!is_running()) return News::Ended;
  }
  return std::exchange(has_changed_, false) ? News::Changed : News::None;
}

}  // namespace vipd::ctl
