// HTTP/1.1 requests on the loop, over TCP, TLS or a Unix socket: libcurl's multi socket interface,
// wrapped. Knows nothing of etcd. With TLS the server is verified unless a request says otherwise,
// and nothing is sent whose credentials have a fault. Never blocks, never resolves a name
// (addresses are given), never calls a handler from inside the call that made the request, nor from
// inside a callback of libcurl. Timeouts are the loop's: what waits in a socket when one is over is
// read first, so that no stall of ours makes an answer late.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "vipd/loop.hpp"
#include "vipd/types.hpp"
#include "web/tls_files.hpp"

namespace vipd::web {

struct HttpRequest {
  std::string url;
  std::string connect_to;   // CURLOPT_CONNECT_TO, when the URL has a name; else empty
  std::string unix_socket;  // its path; else empty
  std::string resolve;      // CURLOPT_RESOLVE, which may have several addresses; else empty
  std::shared_ptr<const Credentials> tls;  // REQUIRES: set when the URL begins with https
  bool fresh = false;                      // not over a connection that is there already
  bool once = false;                       // nor left for another request
  bool insecure = false;                   // whoever the server is
  std::string body;                        // empty: GET
  std::vector<std::string> headers;
  Duration timeout;  // of the whole request; not for a stream, which is cancelled by its user
  MonoTime until = MonoTime::never();  // where that time began earlier
  size_t answer_limit = 0;             // in bytes; not for a stream, and not with a sink
  // Takes the answer's bytes as they arrive, from within libcurl: it may not call anything here.
  // Says what is wrong with them, which ends the request as an answer that is too large; "": go on.
  std::function<std::string(std::string_view)> sink;
};

// Where TLS failed.
enum class TlsTrouble {
  None,
  Handshake,
  ServerRefused,  // the server's certificate, by us
  WeAreRefused,   // our certificate or the lack of one, by the server; as far as it shows
  OurCertificate,
  OurKey,
  Authorities,
  Files,  // Credentials::fault: nothing was sent
};

inline constexpr char kHungUp[] = "connection closed without an answer";
inline constexpr char kNotHttp[] = "the answer is not HTTP";

struct HttpAnswer {
  bool complete = false;  // a whole answer, whatever its status
  bool too_large = false;
  long status = 0;      // 0: none came
  std::string body;     // of one that is not HTTP: the first bytes
  std::string problem;  // why it is not complete
  TlsTrouble trouble = TlsTrouble::None;
};

class Http {
 public:
  enum class Id : uint64_t { None = 0 };
  using DoneHandler = std::function<void(HttpAnswer&)>;
  using DataHandler = std::function<void(std::string_view)>;

  // Aborts when libcurl cannot be set up (no memory).
  explicit Http(Loop& loop);
  ~Http();  // drops all requests without a call
  Http(const Http&) = delete;
  Http& operator=(const Http&) = delete;

  Id request(HttpRequest request, DoneHandler done);
  // An answer without an end, handed on as it arrives, on a connection of its own that is watched
  // by the kernel (TCP keepalive). `done` comes once, when it is over.
  Id stream(HttpRequest request, DataHandler data, DoneHandler done);
  // No further call for it; its connection is closed. Harmless for one that is over.
  void cancel(Id id);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vipd::web
