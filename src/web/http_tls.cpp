#include "web/http_tls.hpp"

#include <cstring>

namespace vipd::web {
namespace {

constexpr long kBundleKept_s = 3600;  // an authority that is distrusted goes within an hour

// With TLS 1.3 a server looks at our certificate after the handshake is over for us: its alert, or
// just the end of the connection, comes in the place of the first answer.
TlsTrouble broken_after_handshake(CURL* easy) {
  curl_off_t handshake_us = 0;
  long connections = 0;
  long status = 0;
  curl_easy_getinfo(easy, CURLINFO_APPCONNECT_TIME_T, &handshake_us);
  curl_easy_getinfo(easy, CURLINFO_NUM_CONNECTS, &connections);
  curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
  const bool first = handshake_us > 0 && connections > 0 && status == 0;
  return first ? TlsTrouble::WeAreRefused : TlsTrouble::None;
}

void set_blob(CURL* easy, CURLoption option, const std::string& text) {
  if (text.empty()) return;
  // With its final zero: mbedTLS takes what ends without one for DER; others stop before it.
  curl_blob blob{const_cast<char*>(text.c_str()), text.size() + 1, CURL_BLOB_NOCOPY};
  curl_easy_setopt(easy, option, &blob);
}

}  // namespace

// Only options that libcurl has for OpenSSL and mbedTLS alike. That the server's certificate and
// its name are verified is libcurl's default.
void set_tls(CURL* easy, const Credentials& tls) {
  curl_easy_setopt(easy, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  // No folder of authorities: it would count beside ours, and with one libcurl reads the system's
  // bundle for each connection (25 ms) instead of keeping it.
  curl_easy_setopt(easy, CURLOPT_CAPATH, nullptr);
  if (!tls.bundle.empty()) curl_easy_setopt(easy, CURLOPT_CAINFO, tls.bundle.c_str());
#if LIBCURL_VERSION_NUM >= 0x075700
  curl_easy_setopt(easy, CURLOPT_CA_CACHE_TIMEOUT, kBundleKept_s);
#endif
  set_blob(easy, CURLOPT_CAINFO_BLOB, tls.cacert);
  set_blob(easy, CURLOPT_SSLCERT_BLOB, tls.cert);
  set_blob(easy, CURLOPT_SSLKEY_BLOB, tls.key);
  curl_easy_setopt(easy, CURLOPT_KEYPASSWD, "");  // never asks a terminal
  // A session that is resumed verifies nothing anew.
  curl_easy_setopt(easy, CURLOPT_SSL_SESSIONID_CACHE, 0L);
}

bool is_of_our_files(TlsTrouble trouble) {
  return trouble == TlsTrouble::OurCertificate || trouble == TlsTrouble::OurKey ||
         trouble == TlsTrouble::Authorities;
}

// "Error importing ca cert blob - mbedTLS: (-0x262E) X509 - Signature algorithm ..."; "could not
// load ..., OpenSSL error error:068000A8:asn1 encoding routines::wrong tag, (no key found, ...".
std::string reason_in(std::string_view error) {
  const size_t ours = error.find("mbedTLS: (");
  if (ours != std::string_view::npos) {
    const size_t end = error.find(") ", ours);
    return end == std::string_view::npos ? "" : std::string(error.substr(end + 2));
  }
  const size_t theirs = error.find("routines::");
  if (theirs == std::string_view::npos) return "";
  const std::string_view words = error.substr(theirs + 10);
  return std::string(words.substr(0, words.find(',')));
}

TlsTrouble tls_trouble(CURL* easy, CURLcode code, const char* error) {
  switch (static_cast<int>(code)) {
    case CURLE_PEER_FAILED_VERIFICATION:
      return TlsTrouble::ServerRefused;
    case CURLE_SSL_CACERT_BADFILE:
      return TlsTrouble::Authorities;
    case CURLE_SSL_CERTPROBLEM:
      if (strstr(error, "ca cert") != nullptr) return TlsTrouble::Authorities;
      // "no key found" is what libcurl guesses of a certificate that it cannot load.
      return strstr(error, "rivate key") != nullptr ? TlsTrouble::OurKey
                                                    : TlsTrouble::OurCertificate;
    case CURLE_SSL_CONNECT_ERROR:
      // What we send last is our certificate: the server spoke TLS until it saw that.
      if (strstr(error, "Broken pipe") != nullptr) return TlsTrouble::WeAreRefused;
      return strstr(error, "alert") != nullptr && strstr(error, "cert") != nullptr
                 ? TlsTrouble::WeAreRefused
                 : TlsTrouble::Handshake;
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
      return broken_after_handshake(easy);
    default:
      return TlsTrouble::None;
  }
}

}  // namespace vipd::web
