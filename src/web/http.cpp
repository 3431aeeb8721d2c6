#include "web/http.hpp"

#include "web/http_tls.hpp"

#include <curl/curl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cassert>
#include <cctype>
#include <cstdlib>
#include <cstring>
#include <map>
#include <unordered_map>
#include <utility>

namespace vipd::web {
namespace {

constexpr long kConnections = 16;  // idle ones beyond this are closed, oldest first
constexpr size_t kIdleTransfers = 8;
constexpr size_t kFirstBytes = 16;  // kept of an answer that is not HTTP
constexpr long kPiece = 4096;       // bytes
// A peer that is gone without a word is noticed within 3 to 5 seconds, by the kernel alone.
constexpr int kKeepIdle_s = 2;
constexpr int kKeepInterval_s = 1;
constexpr int kKeepCount = 3;
constexpr unsigned kUserTimeout_ms = 3000;

struct ListDeleter {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using List = std::unique_ptr<curl_slist, ListDeleter>;

void append(List& list, const std::string& text) {
  curl_slist* longer = curl_slist_append(list.get(), text.c_str());
  if (longer == nullptr) abort();
  static_cast<void>(list.release());
  list.reset(longer);
}

std::string errno_text(long number) {
  const char* text = strerrordesc_np(static_cast<int>(number));
  std::string out = text == nullptr ? "error " + std::to_string(number) : text;
  out[0] = static_cast<char>(tolower(static_cast<unsigned char>(out[0])));
  return out;
}

// One request with its easy handle; reused, so that the usual request allocates next to nothing.
struct Transfer {
  CURL* easy = nullptr;
  Http::Id id = Http::Id::None;
  HttpRequest request;
  List headers;
  List connect_to;
  List resolve;
  bool streaming = false;
  bool finished = false;  // libcurl is done with it; `done` is still to be called
  bool touched = false;   // stands in the list of streams with new bytes
  Loop::Timer deadline = Loop::Timer::None;
  curl_socket_t socket = CURL_SOCKET_BAD;  // what it is sent and answered over, once there is one
  char error[CURL_ERROR_SIZE] = "";
  std::string refusal;  // what the sink said
  HttpAnswer answer;
  Http::DataHandler data;
  Http::DoneHandler done;

  Transfer() : easy(curl_easy_init()) {
    if (easy == nullptr) abort();
  }
  ~Transfer() { curl_easy_cleanup(easy); }
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;
};

std::string too_late(const Transfer& t) {
  return "no answer within " + std::to_string(t.request.timeout.ms()) + " ms";
}

// The handle's transfer; none of a handle of libcurl's own.
Transfer* transfer_of(CURL* easy) {
  char* user = nullptr;
  curl_easy_getinfo(easy, CURLINFO_PRIVATE, &user);
  return reinterpret_cast<Transfer*>(user);
}

long status_of(const Transfer& t) {
  long status = 0;
  curl_easy_getinfo(t.easy, CURLINFO_RESPONSE_CODE, &status);
  return status;
}

// The static file's libcurl has no text for a code.
std::string code_text(CURLcode code) {
  return std::string(curl_easy_strerror(code)) + " (libcurl " + std::to_string(code) + ")";
}

std::string problem_text(Transfer& t, CURLcode code) {
  long number = 0;
  curl_easy_getinfo(t.easy, CURLINFO_OS_ERRNO, &number);
  switch (static_cast<int>(code)) {
    case CURLE_OPERATION_TIMEDOUT:
      return too_late(t);
    case CURLE_WRITE_ERROR:
      if (!t.answer.too_large) return kNotHttp;
      if (!t.refusal.empty()) return t.refusal;
      return "answer larger than " + std::to_string(t.request.answer_limit) + " bytes";
    case CURLE_GOT_NOTHING:
      return kHungUp;
    case CURLE_PARTIAL_FILE:
      return "connection closed in the middle of the answer";
    case CURLE_UNSUPPORTED_PROTOCOL:
      return kNotHttp;
    case CURLE_COULDNT_CONNECT:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
      if (t.request.tls && t.error[0] != '\0') return t.error;
      return number != 0 ? errno_text(number) : code_text(code);
    default:
      return t.error[0] != '\0' ? t.error : code_text(code);
  }
}

}  // namespace

struct Http::Impl {
  explicit Impl(Loop& l);
  ~Impl();

  Id start(HttpRequest request, bool streaming, DataHandler data, DoneHandler done);
  std::unique_ptr<Transfer> take_transfer();
  void recycle(std::unique_ptr<Transfer> transfer);
  void set_options(Transfer& t);
  void refuse(Transfer& t);
  void watch_socket(curl_socket_t fd, int what);
  void set_timer(long timeout_ms);
  void act(curl_socket_t fd, int mask);
  void expire(Id id);
  void collect_finished();
  void finish(Transfer& t);
  void deliver();
  void deliver_data(Id id);
  void deliver_done(Id id);

  static size_t on_write(char* bytes, size_t size, size_t count, void* user);
  static curl_socket_t on_open(void* user, curlsocktype purpose, curl_sockaddr* address);
  static int on_socket(CURL* easy, curl_socket_t fd, int what, void* user, void* socket_user);
  static int on_timer(CURLM* multi, long timeout_ms, void* user);

  Loop& loop;
  CURLM* multi;
  uint64_t next_id = 1;
  std::unordered_map<uint64_t, std::unique_ptr<Transfer>> transfers;
  std::vector<std::unique_ptr<Transfer>> idle;
  std::map<curl_socket_t, Loop::FdWatch> sockets;
  Loop::Timer timer = Loop::Timer::None;
  Loop::Timer refusal = Loop::Timer::None;
  std::vector<Id> with_data;
  std::vector<Id> finished;
};

Http::Impl::Impl(Loop& l) : loop(l), multi(curl_multi_init()) {
  if (multi == nullptr) abort();
  curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket);
  curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, this);
  curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer);
  curl_multi_setopt(multi, CURLMOPT_TIMERDATA, this);
  curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, kConnections);
  curl_multi_setopt(multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
}

Http::Impl::~Impl() {
  for (auto& [id, transfer] : transfers) {
    if (!transfer->finished) finish(*transfer);
  }
  transfers.clear();
  idle.clear();
  curl_multi_cleanup(multi);
  loop.cancel_timer(timer);
  loop.cancel_timer(refusal);
  for (const auto& [fd, watch] : sockets) loop.remove_fd(watch);
}

std::unique_ptr<Transfer> Http::Impl::take_transfer() {
  if (idle.empty()) return std::make_unique<Transfer>();
  auto transfer = std::move(idle.back());
  idle.pop_back();
  return transfer;
}

void Http::Impl::recycle(std::unique_ptr<Transfer> transfer) {
  if (transfer->streaming || idle.size() >= kIdleTransfers) return;
  curl_easy_reset(transfer->easy);
  transfer->request = HttpRequest();
  transfer->error[0] = '\0';
  transfer->refusal.clear();
  transfer->finished = transfer->touched = false;
  transfer->socket = CURL_SOCKET_BAD;
  transfer->answer = HttpAnswer();
  transfer->data = nullptr;
  transfer->done = nullptr;
  idle.push_back(std::move(transfer));
}

void Http::Impl::set_options(Transfer& t) {
  CURL* easy = t.easy;
  const auto timeout_ms = static_cast<long>(t.request.timeout.ms());
  for (const std::string& header : t.request.headers) append(t.headers, header);
  if (!t.request.connect_to.empty()) append(t.connect_to, t.request.connect_to);
  if (!t.request.resolve.empty()) append(t.resolve, t.request.resolve);

  curl_easy_setopt(easy, CURLOPT_PRIVATE, &t);
  curl_easy_setopt(easy, CURLOPT_URL, t.request.url.c_str());
  curl_easy_setopt(easy, CURLOPT_CONNECT_TO, t.connect_to.get());
  curl_easy_setopt(easy, CURLOPT_RESOLVE, t.resolve.get());
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, t.headers.get());
  if (!t.request.body.empty()) {
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, static_cast<long>(t.request.body.size()));
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, t.request.body.c_str());
  }
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_write);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, &t);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, &t);
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_PROXY, "");  // whatever http_proxy says
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, t.request.tls ? "https" : "http");
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, t.error);
  if (t.request.tls) set_tls(easy, *t.request.tls);
  if (t.request.insecure) {
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
  }
  // libcurl reads up to a hundred of these in a turn, and a stream collects them.
  if (t.streaming || t.request.sink) curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, kPiece);
  if (!t.request.unix_socket.empty()) {
    curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, t.request.unix_socket.c_str());
  }
  // So that on_write() sees what is not HTTP.
  curl_easy_setopt(easy, CURLOPT_HTTP09_ALLOWED, 1L);
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  // How long libcurl tries one of several addresses depends on it. Else it has no timeout: it looks
  // at those before it reads, and an answer that waits after a stall would come too late.
  if (t.resolve) curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, timeout_ms);
  // A pooled connection lacks the socket options of a stream, and would come back to the pool.
  const bool alone = t.streaming || t.request.once;
  curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, alone || t.request.fresh ? 1L : 0L);
  curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, alone ? 1L : 0L);
}

Http::Id Http::Impl::start(HttpRequest request, bool streaming, DataHandler data,
                           DoneHandler done) {
  assert(done != nullptr && streaming == (data != nullptr));
  assert(request.tls != nullptr || !request.url.starts_with("https:"));
  auto transfer = take_transfer();
  const Id id{next_id++};
  transfer->id = id;
  transfer->request = std::move(request);
  transfer->headers.reset();
  transfer->connect_to.reset();
  transfer->resolve.reset();
  transfer->streaming = streaming;
  transfer->data = std::move(data);
  transfer->done = std::move(done);
  set_options(*transfer);
  if (transfer->request.tls && !transfer->request.tls->fault.empty()) {
    refuse(*transfer);
  } else {
    if (!streaming) {
      const MonoTime deadline =
          std::min(transfer->request.until, loop.now() + transfer->request.timeout);
      transfer->deadline = loop.add_timer(deadline, [this, id] { expire(id); });
    }
    // Only asks for a timer: libcurl does the rest in a later turn, from act().
    if (curl_multi_add_handle(multi, transfer->easy) != CURLM_OK) abort();
  }
  transfers.emplace(static_cast<uint64_t>(id), std::move(transfer));
  return id;
}

// Answered in a later turn, as all are.
void Http::Impl::refuse(Transfer& t) {
  t.answer.problem = t.request.tls->fault;
  t.answer.trouble = TlsTrouble::Files;
  t.finished = true;
  finished.push_back(t.id);
  if (refusal == Loop::Timer::None) {
    refusal = loop.add_timer(loop.now(), [this] {
      refusal = Loop::Timer::None;
      deliver();
    });
  }
}

size_t Http::Impl::on_write(char* bytes, size_t size, size_t count, void* user) {
  auto* t = static_cast<Transfer*>(user);
  const size_t length = size * count;
  if (status_of(*t) == 0) {
    t->answer.body.assign(bytes, std::min(length, kFirstBytes));
    return 0;  // ends the request
  }
  if (t->request.sink) {
    t->refusal = t->request.sink({bytes, length});
    t->answer.too_large = !t->refusal.empty();
    return t->answer.too_large ? 0 : length;
  }
  if (!t->streaming && t->answer.body.size() + length > t->request.answer_limit) {
    t->answer.too_large = true;
    return 0;  // ends the request
  }
  t->answer.body.append(bytes, length);
  t->touched = true;
  return length;
}

// No child process may inherit the socket; libcurl's own does not promise that.
curl_socket_t Http::Impl::on_open(void* user, curlsocktype, curl_sockaddr* address) {
  const int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
  if (fd < 0 || !static_cast<Transfer*>(user)->streaming) return fd;
  // A dead peer is found by keepalives, unsent bytes by the user timeout (tcp(7)): a stream needs
  // both. Should an option be refused, the answer's silence is judged by those who wait for it.
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &kKeepIdle_s, sizeof kKeepIdle_s);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &kKeepInterval_s, sizeof kKeepInterval_s);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &kKeepCount, sizeof kKeepCount);
  setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &kUserTimeout_ms, sizeof kUserTimeout_ms);
  return fd;
}

int Http::Impl::on_socket(CURL* easy, curl_socket_t fd, int what, void* user, void*) {
  // A socket of somebody else's may be closed in its name.
  Transfer* t = transfer_of(easy);
  if (t != nullptr && what != CURL_POLL_REMOVE) t->socket = fd;
  if (t != nullptr && what == CURL_POLL_REMOVE && t->socket == fd) t->socket = CURL_SOCKET_BAD;
  static_cast<Impl*>(user)->watch_socket(fd, what);
  return 0;
}

void Http::Impl::watch_socket(curl_socket_t fd, int what) {
  const auto found = sockets.find(fd);
  if (what == CURL_POLL_REMOVE) {
    if (found == sockets.end()) return;
    loop.remove_fd(found->second);
    sockets.erase(found);
    return;
  }
  const uint32_t events =
      ((what & CURL_POLL_IN) != 0 ? EPOLLIN : 0U) | ((what & CURL_POLL_OUT) != 0 ? EPOLLOUT : 0U);
  if (found != sockets.end()) return loop.modify_fd(found->second, events);
  sockets[fd] = loop.add_fd(fd, events, [this, fd](uint32_t ready) {
    // An error is handed on as readiness: libcurl then meets it in recv or connect, errno and all.
    const bool broken = (ready & (EPOLLERR | EPOLLHUP)) != 0;
    act(fd, ((ready & EPOLLIN) != 0 || broken ? CURL_CSELECT_IN : 0) |
                ((ready & EPOLLOUT) != 0 || broken ? CURL_CSELECT_OUT : 0));
  });
}

int Http::Impl::on_timer(CURLM*, long timeout_ms, void* user) {
  static_cast<Impl*>(user)->set_timer(timeout_ms);
  return 0;
}

// 0: at once; -1: none.
void Http::Impl::set_timer(long timeout_ms) {
  loop.cancel_timer(timer);
  timer = Loop::Timer::None;
  if (timeout_ms < 0) return;
  timer = loop.add_timer(loop.now() + Duration::milliseconds(timeout_ms), [this] {
    timer = Loop::Timer::None;
    act(CURL_SOCKET_TIMEOUT, 0);
  });
}

void Http::Impl::act(curl_socket_t fd, int mask) {
  int running = 0;
  curl_multi_socket_action(multi, fd, mask, &running);
  collect_finished();
  deliver();
}

// What waits in its socket counts: a turn looks at timers after descriptors, but not at all of them
// when many are ready.
void Http::Impl::expire(Id id) {
  Transfer& t = *transfers.at(static_cast<uint64_t>(id));
  if (t.socket != CURL_SOCKET_BAD) act(t.socket, CURL_CSELECT_IN);
  const auto found = transfers.find(static_cast<uint64_t>(id));
  if (found == transfers.end()) return;  // by what was read
  found->second->answer.problem = too_late(*found->second);
  finish(*found->second);
  deliver_done(id);
}

// No callback of libcurl comes for it any more.
void Http::Impl::finish(Transfer& t) {
  loop.cancel_timer(std::exchange(t.deadline, Loop::Timer::None));
  curl_multi_remove_handle(multi, t.easy);
  t.finished = true;
}

void Http::Impl::collect_finished() {
  for (auto& [id, t] : transfers) {
    if (t->streaming && t->touched) with_data.push_back(t->id);
    t->touched = false;
  }
  int left = 0;
  while (CURLMsg* message = curl_multi_info_read(multi, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    const CURLcode code = message->data.result;  // the message is void after the removal
    CURL* easy = message->easy_handle;
    Transfer* t = transfer_of(easy);
    t->answer.complete = code == CURLE_OK;
    t->answer.status = status_of(*t);
    if (code != CURLE_OK) {
      t->answer.problem = problem_text(*t, code);
      if (t->request.tls) t->answer.trouble = tls_trouble(easy, code, t->error);
      if (is_of_our_files(t->answer.trouble)) t->answer.problem = reason_in(t->error);
    }
    finish(*t);
    finished.push_back(t->id);
  }
}

// Handlers may start and cancel requests; so each is looked up again by its id.
void Http::Impl::deliver() {
  for (const Id id : std::exchange(with_data, {})) deliver_data(id);
  for (const Id id : std::exchange(finished, {})) deliver_done(id);
}

void Http::Impl::deliver_data(Id id) {
  const auto found = transfers.find(static_cast<uint64_t>(id));
  if (found == transfers.end()) return;
  // Moved out: the handler may cancel its own stream.
  const DataHandler handler = found->second->data;
  const std::string bytes = std::exchange(found->second->answer.body, {});
  handler(bytes);
}

void Http::Impl::deliver_done(Id id) {
  auto node = transfers.extract(static_cast<uint64_t>(id));
  if (node.empty()) return;
  const DoneHandler done = std::move(node.mapped()->done);
  HttpAnswer answer = std::move(node.mapped()->answer);
  recycle(std::move(node.mapped()));
  done(answer);
}

Http::Http(Loop& loop) {
  if (curl_global_init(CURL_GLOBAL_NOTHING) != CURLE_OK) abort();
  impl_ = std::make_unique<Impl>(loop);
}

Http::~Http() {
  impl_.reset();
  curl_global_cleanup();
}

Http::Id Http::request(HttpRequest request, DoneHandler done) {
  return impl_->start(std::move(request), false, nullptr, std::move(done));
}

Http::Id Http::stream(HttpRequest request, DataHandler data, DoneHandler done) {
  return impl_->start(std::move(request), true, std::move(data), std::move(done));
}

void Http::cancel(Id id) {
  auto node = impl_->transfers.extract(static_cast<uint64_t>(id));
  if (node.empty()) return;
  if (!node.mapped()->finished) impl_->finish(*node.mapped());
  impl_->recycle(std::move(node.mapped()));
}

}  // namespace vipd::web
