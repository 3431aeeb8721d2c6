#include "web/tls_files.hpp"

#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <utility>

#include "sys/file.hpp"
#include "vipd/log.hpp"

namespace vipd::web {
namespace {

constexpr Duration kBetweenLooks = Duration::seconds(1);
constexpr size_t kFileLimit = 1U << 20;

}  // namespace

TlsFiles::TlsFiles(std::string whose, TlsSettings settings, uint64_t before,
                   std::span<const char* const> bundles)
    : whose_(std::move(whose)),
      settings_(std::move(settings)),
      bundles_(bundles),
      last_generation_(before) {
  refuse("not read yet");
}

TlsFiles::Signature TlsFiles::signature() const {
  Signature out{};
  const std::array paths = {&settings_.cacert, &settings_.cert, &settings_.key};
  for (size_t i = 0; i < paths.size(); ++i) {
    struct stat info {};
    if (paths[i]->empty()) continue;
    if (stat(paths[i]->c_str(), &info) < 0) {
      out[i] = {-errno};
    } else {
      out[i] = {static_cast<int64_t>(info.st_ino),
                info.st_size,
                info.st_mtim.tv_sec,
                info.st_mtim.tv_nsec,
                info.st_ctim.tv_sec,
                info.st_ctim.tv_nsec};
    }
  }
  return out;
}

bool TlsFiles::look(MonoTime now) {
  if (now < looked_at_ + kBetweenLooks) return false;
  looked_at_ = now;
  const Signature before = std::exchange(seen_, signature());
  // Somebody who is at it replaces one file after the other.
  if (current_->fault.empty() && seen_ != before) return false;
  // What cannot be read is tried again: why (a mount, a policy) need not show in a signature.
  if (seen_ == taken_ && fault_.empty()) return false;
  taken_ = seen_;
  return read();
}

bool TlsFiles::read_all(Credentials* out, std::string* reason) const {
  const auto read_one = [reason](const char* what, const std::string& path, std::string* text) {
    if (path.empty()) return true;
    const bool is_read = sys::read_bounded(path, kFileLimit, text, reason);
    if (is_read && text->find("-----BEGIN ") != std::string::npos) return true;
    if (is_read) *reason = path + ": nothing in it begins with -----BEGIN";
    *reason = what + (" " + *reason);
    return false;
  };
  if (!read_one("cacert", settings_.cacert, &out->cacert) ||
      !read_one("cert", settings_.cert, &out->cert) || !read_one("key", settings_.key, &out->key)) {
    return false;
  }
  if (!settings_.cacert.empty() || !settings_.verifies) return true;
  out->bundle = system_authorities(bundles_, reason);
  if (!out->bundle.empty()) return true;
  *reason = "cacert is not configured, and " + *reason;
  return false;
}

bool TlsFiles::read() {
  auto fresh = std::make_shared<Credentials>();
  std::string reason;
  if (!read_all(fresh.get(), &reason)) return refuse(reason), false;
  fault_.clear();
  fresh->generation = ++last_generation_;
  if (current_->fault.empty()) {
    worked_ = current_;
    log::info("%s: the certificates were read again", whose_.c_str());
  }
  current_ = std::move(fresh);
  return true;
}

// Those who ask hear of the fault; that something else is in use meanwhile is said here.
void TlsFiles::refuse(const std::string& reason) {
  const bool is_new = std::exchange(fault_, reason) != reason;
  if (current_ != nullptr && current_->fault.empty()) {
    if (!is_new) return;
    return log::warn("%s: %s; the files read before stay in use", whose_.c_str(), reason.c_str());
  }
  auto none = std::make_shared<Credentials>();
  none->fault = reason;
  current_ = std::move(none);
}

bool TlsFiles::fall_back(uint64_t generation) {
  if (generation != current_->generation || worked_ == nullptr) return false;
  auto old = std::make_shared<Credentials>(*std::exchange(worked_, nullptr));
  old->generation = ++last_generation_;
  current_ = std::move(old);
  return true;
}

}  // namespace vipd::web
