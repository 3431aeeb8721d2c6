#include "etcd/failure.hpp"

#include <string_view>

#include "etcd/codes.hpp"

namespace vipd::etcd {
namespace {

bool has(const Error& error, std::string_view part) {
  return error.text.find(part) != std::string::npos;
}

constexpr std::string_view kGrpcAlone =
    "this port serves only gRPC; etcd's JSON gateway is on the port of its "
    "--listen-client-http-urls (k3s, RKE2: https://127.0.0.1:2382; Talos: port 2383)";

// A frame of HTTP/2 that a server begins with (RFC 9113, 3.4 and 6.5): its length, SETTINGS, no
// flags, stream 0.
bool is_http2(std::string_view bytes) {
  constexpr std::string_view kSettings("\x04\0\0\0\0\0", 6);
  return bytes.size() >= 9 && bytes.substr(3, kSettings.size()) == kSettings;
}

// A record that holds an alert (RFC 8446, 5.1).
bool is_tls(std::string_view bytes) {
  return bytes.starts_with("\x15\x03");
}

// As Go's own server answers for what it does not have.
bool not_found(const Seen& s) {
  return s.status == 404 && s.body.starts_with("404 page not found");
}

bool is_old(const std::string& version) {
  return version.starts_with("2.") || version.starts_with("3.0.") || version.starts_with("3.1.") ||
         version.starts_with("3.2.") || version.starts_with("3.3.");
}

// Which port it is, by what it has of the gateway, /version and /health: etcd's client port without
// a gateway has both, its peer port the first alone, the metrics port and the proxy the second
// alone (measured on 3.4.23, 3.5.16 and 3.5.30). The first that fits counts.
struct Sign {
  bool (*fits)(const Seen&);
  std::string_view text;
};
constexpr Sign kSigns[] = {
    {[](const Seen& s) { return s.status == 0 && is_http2(s.body); }, kGrpcAlone},
    {[](const Seen& s) { return s.status == 0 && is_tls(s.body); },
     "this port speaks TLS: write https://"},
    {[](const Seen& s) { return s.status == 421; },
     "etcd's --host-whitelist does not have this host: add it there, or use https"},
    {[](const Seen& s) { return not_found(s) && is_old(s.etcd); },
     "this etcd is too old: 3.4 or later is needed"},
    {[](const Seen& s) { return not_found(s) && !s.etcd.empty() && s.health != 404; },
     "etcd's JSON gateway is off: set enable-grpc-gateway: true in the file of its --config-file "
     "(3.4 leaves it off there), or take away --enable-grpc-gateway=false"},
    {[](const Seen& s) { return not_found(s) && !s.etcd.empty(); },
     "this is etcd's peer port: use its client port (--listen-client-urls, mostly 2379)"},
    {[](const Seen& s) { return not_found(s) && s.version == 404 && s.health != 404; },
     "this is etcd's metrics port, or an etcd grpc-proxy; neither has the JSON gateway: use a "
     "member's client port (--listen-client-urls, mostly 2379)"},
    {[](const Seen& s) { return not_found(s) && s.version == 404; },
     "this is not a port of etcd: use a member's client port (--listen-client-urls, mostly 2379)"},
};

// What is most often wrong, in words of our own: each TLS library has others.
struct Words {
  std::string_view theirs;
  std::string_view ours;
};
constexpr Words kWords[] = {
    {"unable to get local issuer certificate", "it was issued by somebody else"},
    {"self-signed certificate", "it was issued by somebody else"},
    {"not correctly signed by the trusted CA", "it was issued by somebody else"},
    {"has expired", "it has expired"},
    {"is not yet valid", "it is not valid yet"},
    {"validity starts in the future", "it is not valid yet"},
    {"no alternative certificate subject name matches", "it is for another name"},
    {"does not match target host name", "it is for another name"},
    {"does not match with the expected CN", "it is for another name"},
    {"Signature algorithm (oid) is unsupported",
     "its signature algorithm is not supported by this build (RSA and ECDSA are)"},
    {"alert protocol version", "server and vipd have no TLS version in common (vipd: 1.2, 1.3)"},
};

// libcurl's and its TLS library's words, without what only says who speaks.
std::string plain(std::string text) {
  for (const Words& words : kWords) {
    if (text.find(words.theirs) != std::string::npos) return std::string(words.ours);
  }
  const size_t alert = text.find("alert ");
  const bool is_named = alert != std::string::npos && text.find("alert message") != alert;
  if (is_named) return text.substr(alert, text.find(',', alert) - alert);
  for (const std::string_view head : {"SSL certificate problem: ", "SSL: "}) {
    if (text.starts_with(head)) text.erase(0, head.size());
  }
  while (text.ends_with(' ')) text.pop_back();
  return text;
}

std::string authorities(const TlsSettings& tls) {
  return tls.cacert.empty() ? "the system's authorities (no etcd.cacert)"
                            : "etcd.cacert " + tls.cacert;
}

std::string expected_name(const TlsSettings& tls) {
  return tls.servername.empty() ? "" : " and etcd.servername " + tls.servername;
}

// The alert gets lost where the server closes the connection before we read it. Newer gRPC servers
// send none: they hang up on whoever does not speak HTTP/2.
std::string refused_text(const std::string& reason, const TlsSettings& tls) {
  const std::string ours = tls.cert.empty()
                               ? "does it want a client certificate (etcd.cert, etcd.key)?"
                               : "does it accept etcd.cert " + tls.cert + "?";
  const std::string text = "the server ended the connection after the TLS handshake";
  if (reason.starts_with("alert ")) return text + " with the " + reason + ": " + ours;
  if (reason.find("fatal alert") != std::string::npos) return text + ": " + ours;  // mbedTLS's
  return text + ": " + ours + " Or: " + std::string(kGrpcAlone);
}

// What may be behind a handshake that failed. OpenSSL's words for a server that answers in plain
// HTTP, or hangs up on us (etcd's cmux); mbedTLS's for an alert, which it does not name.
std::string handshake_hint(const std::string& reason) {
  if (reason.find("wrong version number") != std::string::npos ||
      reason.find("SSL_ERROR_SYSCALL") != std::string::npos) {
    return " (does this port speak TLS? if not, write http://)";
  }
  if (reason.find("fatal alert") == std::string::npos) return "";
  return " (the server refuses us, or its certificate has a key that this build does not support: "
         "it supports RSA and ECDSA)";
}

std::string because(const std::string& reason) {
  return reason.empty() ? "" : ": " + reason;
}

std::string tls_text(TlsTrouble trouble, const std::string& reason, const TlsSettings& tls) {
  switch (trouble) {
    case TlsTrouble::None:
      return reason;
    case TlsTrouble::Handshake:
      return "TLS handshake failed: " + reason + handshake_hint(reason);
    case TlsTrouble::ServerRefused:
      return "the server's certificate is not valid here: " + reason + "; checked with " +
             authorities(tls) + expected_name(tls);
    case TlsTrouble::WeAreRefused:
      return refused_text(reason, tls);
    case TlsTrouble::OurCertificate:
      return "etcd.cert " + tls.cert + " cannot be used" + because(reason);
    case TlsTrouble::OurKey:
      return "etcd.key " + tls.key + " cannot be used with etcd.cert " + tls.cert + because(reason);
    case TlsTrouble::Authorities:
      return "etcd.cacert " + tls.cacert + " cannot be used" + because(reason);
    case TlsTrouble::Files:
      return "nothing is sent: etcd." + reason;
  }
  return reason;
}

// What libcurl and its TLS library said, where we say it otherwise: it may name what we do not
// know.
std::string in_their_words(const std::string& theirs, const std::string& text) {
  if (theirs.empty() || text.find(theirs) != std::string::npos) return "";
  return " (libcurl: " + theirs + ")";
}

}  // namespace

std::string Error::said() const {
  return endpoint.empty() ? text : endpoint + ": " + text;
}

// Code 8 is also "too many requests"; the text tells.
bool Error::no_space() const {
  return code == code::kResourceExhausted && has(*this, "space exceeded");
}

bool Error::no_leader() const {
  return code == code::kUnavailable && has(*this, "no leader");
}

bool Error::compacted() const {
  return code == code::kOutOfRange;
}

bool blames_member(int code) {
  switch (code) {
    case Error::kTransport:
    case Error::kBadAnswer:
    case Error::kSetup:
    case code::kCancelled:
    case code::kUnknown:
    case code::kDeadlineExceeded:
    case code::kUnimplemented:
    case code::kInternal:
    case code::kUnavailable:
    case code::kDataLoss:
      return true;
    default:
      return false;
  }
}

bool needs_mending(const Error& error) {
  return error.code == Error::kSetup || error.code == code::kPermissionDenied ||
         error.code == code::kUnauthenticated;
}

// By their texts as well: a watch is refused with code 3 or none (etcd's api/v3rpc/rpctypes).
bool token_refused(const Error& error) {
  return error.code == code::kUnauthenticated || has(error, "invalid auth token") ||
         has(error, "revision of auth store is old") || has(error, "user name is empty");
}

bool needs_a_look(const Seen& seen) {
  return not_found(seen);
}

std::string_view what_it_is(const Seen& seen) {
  for (const Sign& sign : kSigns) {
    if (sign.fits(seen)) return sign.text;
  }
  return "";
}

void explain_silence(Error& error, const Endpoint& endpoint) {
  if (endpoint.tls || endpoint.is_unix() || error.text != web::kHungUp) return;
  error.text += " (does this port speak TLS? then write https://)";
}

void explain(Error& error, const Options& options) {
  const std::string who = options.user.empty() ? "" : "user '" + options.user + "' ";
  if (has(error, "CommonName of client")) {
    error.code = Error::kSetup;
    error.text =
        "etcd's authentication is on, and then its gateway refuses every client certificate that "
        "has a common name (CN): use an etcd.cert without one, and etcd.user";
  } else if (error.code == code::kPermissionDenied || has(error, "PermissionDenied")) {
    error.code = code::kPermissionDenied;
    error.text = "permission denied: " + who + "needs " + options.needs;
  } else if (who.empty() && has(error, "user name is empty")) {
    error.code = code::kUnauthenticated;
    error.text = "etcd's authentication is on: set etcd.user and etcd.password_file";
  } else if (error.code == code::kDataLoss && has(error, "corrupt")) {
    error.text += " (alarm CORRUPT: its members' data differ; see etcdctl alarm list)";
  } else if (error.code == code::kUnavailable && has(error, "bad certificate")) {
    error.text +=
        " (etcd's gateway shows the server's certificate to its own server: it needs the extended "
        "key usage clientAuth, too)";
  }
}

Error transport_error(const HttpAnswer& answer, const TlsSettings& tls) {
  if (answer.trouble != TlsTrouble::None) {
    const std::string reason = plain(answer.problem);
    const std::string text = tls_text(answer.trouble, reason, tls);
    // Of our own files we know enough.
    const std::string theirs = reason.empty() ? "" : in_their_words(answer.problem, text);
    return {Error::kSetup, text + theirs, ""};
  }
  return {answer.too_large ? Error::kBadAnswer : Error::kTransport, answer.problem, ""};
}

void complete_text(Error& error, const HttpAnswer& answer, const std::string& endpoint) {
  error.endpoint = endpoint;
  if (error.code != Error::kBadAnswer || !answer.complete || answer.status == 200) return;
  error.text = "HTTP " + std::to_string(answer.status) + ", " + error.text;
}

}  // namespace vipd::etcd
