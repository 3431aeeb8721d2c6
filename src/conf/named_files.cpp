#include "conf/named_files.hpp"

#include "sys/file.hpp"
#include "sys/secret.hpp"
#include "web/headers.hpp"

namespace vipd::conf {
namespace {

constexpr size_t kFileLimit = 1U << 20;

std::string read(const std::string& path, std::string* text) {
  std::string reason;
  return sys::read_bounded(path, kFileLimit, text, &reason) ? "" : "cannot be read: " + reason;
}

bool has(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

std::string certificate_fault(const std::string& path) {
  std::string text;
  std::string fault = read(path, &text);
  if (fault.empty() && !has(text, "-----BEGIN CERTIFICATE-----")) {
    fault = path + " has no certificate in it; write a file in PEM form";
  }
  return fault;
}

std::string private_key_fault(const std::string& path) {
  std::string text;
  std::string fault = read(path, &text);
  if (!fault.empty()) return fault;
  if (!has(text, "PRIVATE KEY-----")) {
    return path + " has no private key in it; write a file in PEM form";
  }
  // "BEGIN ENCRYPTED PRIVATE KEY" (RFC 7468), or the older "Proc-Type: 4,ENCRYPTED" (RFC 1421).
  if (has(text, "ENCRYPTED")) return path + " has a passphrase; write the key without one";
  return "";
}

std::string password_fault(const std::string& path) {
  constexpr size_t kPasswordLimit = 4096;
  std::string password;
  std::string reason;
  const bool is_good = sys::read_secret(path, kPasswordLimit, &password, &reason);
  return is_good ? "" : "cannot be used: " + reason;
}

std::string headers_fault(const std::string& path) {
  std::vector<std::string> lines;
  std::string reason;
  return web::read_headers(path, &lines, &reason) ? "" : "cannot be used: " + reason;
}

}  // namespace vipd::conf
