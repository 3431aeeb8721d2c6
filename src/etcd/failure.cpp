#include "etcd/failure.hpp"

#include <string_view>

#include "etcd/codes.hpp"

namespace vipd::etcd {
namespace {

bool has(const Error& error, std::string_view part) {
  return error.text.find(part) != std::string::npos;
}

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
    // Of our own files, where what we say ourselves is enough.
    {"(memory blob)", ""},
    {"Error importing ca cert blob", ""},
    {"Error reading client cert data", ""},
    {"Error parsing private key", ""},
};

// libcurl's and its TLS library's words, without what only says who speaks.
std::string plain(std::string text) {
  for (const Words& words : kWords) {
    if (text.find(words.theirs) != std::string::npos) return std::string(words.ours);
  }
  const size_t alert = text.find("alert ");
  if (alert != std::string::npos) return text.substr(alert, text.find(',', alert) - alert);
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

// The alert gets lost where the server closes the connection before we read it.
std::string refused_text(const std::string& reason, const TlsSettings& tls) {
  const std::string ours = tls.cert.empty()
                               ? "does it want a client certificate (etcd.cert, etcd.key)?"
                               : "does it accept etcd.cert " + tls.cert + "?";
  const std::string how = reason.starts_with("alert ") ? " with the " + reason : "";
  return "the server ended the connection after the TLS handshake" + how + ": " + ours;
}

// OpenSSL's words for a server that answers in plain HTTP, or hangs up on us (etcd's cmux).
bool may_speak_no_tls(const std::string& reason) {
  return reason.find("wrong version number") != std::string::npos ||
         reason.find("SSL_ERROR_SYSCALL") != std::string::npos;
}

std::string because(const std::string& reason) {
  return reason.empty() ? "" : ": " + reason;
}

std::string tls_text(TlsTrouble trouble, const std::string& reason, const TlsSettings& tls) {
  switch (trouble) {
    case TlsTrouble::None:
      return reason;
    case TlsTrouble::Handshake:
      return "TLS handshake failed: " + reason +
             (may_speak_no_tls(reason) ? " (does this port speak TLS? if not, write http://)" : "");
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
      return "nothing is asked: etcd." + reason;
  }
  return reason;
}

}  // namespace

// Code 8 is also "too many requests"; the text tells.
bool Error::no_space() const {
  return code == code::kResourceExhausted && has(*this, "space exceeded");
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
    return {Error::kSetup, tls_text(answer.trouble, plain(answer.problem), tls), ""};
  }
  return {answer.too_large ? Error::kBadAnswer : Error::kTransport, answer.problem, ""};
}

void complete_text(Error& error, const HttpAnswer& answer, const std::string& endpoint) {
  error.endpoint = endpoint;
  if (error.code != Error::kBadAnswer || !answer.complete || answer.status == 200) return;
  error.text = "HTTP " + std::to_string(answer.status) + ", " + error.text;
}

}  // namespace vipd::etcd
