#include "web/tls_trial.hpp"

#include <curl/curl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <memory>

#include "sys/fd.hpp"
#include "web/http_tls.hpp"

namespace vipd::web {
namespace {

constexpr int kMostTurns = 50;
constexpr int kTurn_ms = 10;

struct Global {
  Global() { curl_global_init(CURL_GLOBAL_NOTHING); }
  ~Global() { curl_global_cleanup(); }
  Global(const Global&) = delete;
  Global& operator=(const Global&) = delete;
};

struct EasyDeleter {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};

struct MultiDeleter {
  void operator()(CURLM* multi) const { curl_multi_cleanup(multi); }
};

// A socket to connect to, under a name that the kernel gives (unix(7), "autobind").
sys::Fd listen_somewhere(std::string* name) {
  sys::Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  socklen_t size = sizeof(sa_family_t);
  auto* const at = reinterpret_cast<sockaddr*>(&address);
  if (bind(fd.get(), at, size) < 0 || listen(fd.get(), 1) < 0) return {};
  size = sizeof address;
  if (getsockname(fd.get(), at, &size) < 0) return {};
  *name = std::string(address.sun_path + 1, size - sizeof(sa_family_t) - 1);
  return fd;
}

// The handshake until the server hangs up, which is when all files have been looked at: OpenSSL's
// authorities are not loaded before its first read.
CURLcode shake(CURL* easy, int listener) {
  const std::unique_ptr<CURLM, MultiDeleter> multi(curl_multi_init());
  CURLcode code = CURLE_OK;
  if (multi == nullptr || curl_multi_add_handle(multi.get(), easy) != CURLM_OK) return code;
  int running = 1;
  for (int i = 0; i < kMostTurns && running > 0; ++i) {
    curl_multi_perform(multi.get(), &running);
    const sys::Fd hung_up(accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
    if (running > 0) curl_multi_poll(multi.get(), nullptr, 0, kTurn_ms, nullptr);
  }
  int left = 0;
  const CURLMsg* const message = curl_multi_info_read(multi.get(), &left);
  if (message != nullptr) code = message->data.result;
  curl_multi_remove_handle(multi.get(), easy);
  return code;
}

std::string fault_of(TlsTrouble trouble, const TlsSettings& files, const std::string& error) {
  const std::string why = error.empty() ? "" : ": " + error;
  switch (trouble) {
    case TlsTrouble::Authorities:
      return "cacert " + files.cacert + " cannot be used" + why;
    case TlsTrouble::OurCertificate:
      return "cert " + files.cert + " cannot be used" + why;
    case TlsTrouble::OurKey:
      return "key " + files.key + " cannot be used with cert " + files.cert + why;
    case TlsTrouble::None:
    case TlsTrouble::Handshake:  // which cannot go on
    case TlsTrouble::ServerRefused:
    case TlsTrouble::WeAreRefused:
    case TlsTrouble::Files:
      break;
  }
  return "";
}

}  // namespace

std::string tls_fault(const TlsSettings& settings) {
  TlsFiles files("", settings);
  files.look(MonoTime::from_ns(0));
  const Credentials& tls = *files.current();
  if (!tls.fault.empty()) return tls.fault;
  if (tls.cacert.empty() && tls.cert.empty()) return "";
  const Global global;
  const std::unique_ptr<CURL, EasyDeleter> easy(curl_easy_init());
  if (easy == nullptr) return "";
  std::string name;
  const sys::Fd listener = listen_somewhere(&name);
  char error[CURL_ERROR_SIZE] = "";
  curl_easy_setopt(easy.get(), CURLOPT_URL, "https://localhost/");
  curl_easy_setopt(easy.get(), CURLOPT_ABSTRACT_UNIX_SOCKET, name.c_str());
  curl_easy_setopt(easy.get(), CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy.get(), CURLOPT_PROXY, "");
  curl_easy_setopt(easy.get(), CURLOPT_ERRORBUFFER, error);
  set_tls(easy.get(), tls);
  if (tls.cacert.empty()) curl_easy_setopt(easy.get(), CURLOPT_CAINFO, nullptr);  // not ours to try
  const CURLcode code = shake(easy.get(), listener.get());
  return fault_of(tls_trouble(easy.get(), code, error), settings, reason_in(error));
}

}  // namespace vipd::web
