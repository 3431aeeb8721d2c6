#include "web/tls_files.hpp"

#include <sys/stat.h>

#include <cerrno>
#include <utility>

#include "sys/file.hpp"
#include "vipd/log.hpp"

namespace vipd::web {
namespace {

constexpr Duration kBetweenLooks = Duration::seconds(1);
constexpr size_t kFileLimit = 1U << 20;

}  // namespace

TlsFiles::TlsFiles(std::string whose, TlsSettings settings, uint64_t before)
    : whose_(std::move(whose)),
      settings_(std::move(settings)),
      last_generation_(before),
      current_(std::make_shared<Credentials>()) {}

TlsFiles::Signature TlsFiles::signature() const {
  Signature out{};
  const std::array paths = {&settings_.cacert, &settings_.cert, &settings_.key};
  for (size_t i = 0; i < paths.size(); ++i) {
    struct stat info {};
    if (paths[i]->empty()) continue;
    if (stat(paths[i]->c_str(), &info) < 0) {
      out[i] = {-errno};
    } else {
      out[i] = {static_cast<int64_t>(info.st_ino), info.st_size, info.st_mtim.tv_sec,
                info.st_mtim.tv_nsec};
    }
  }
  return out;
}

bool TlsFiles::look(MonoTime now) {
  if (now < looked_at_ + kBetweenLooks) return false;
  looked_at_ = now;
  const Signature before = std::exchange(seen_, signature());
  const bool first = current_->generation == 0;
  // Somebody who is at it replaces one file after the other.
  if (seen_ == taken_ || (!first && seen_ != before)) return false;
  taken_ = seen_;
  return read();
}

bool TlsFiles::read_one(const std::string& path, std::string* out) const {
  if (path.empty()) return true;
  std::string reason;
  if (sys::read_bounded(path, kFileLimit, out, &reason)) {
    if (out->find("-----BEGIN ") != std::string::npos) return true;
    reason = path + ": nothing in it begins with -----BEGIN";
  }
  log::warn("%s: %s; what was read before stays in use", whose_.c_str(), reason.c_str());
  return false;
}

bool TlsFiles::read() {
  auto fresh = std::make_shared<Credentials>();
  const bool good = read_one(settings_.cacert, &fresh->cacert) &&
                    read_one(settings_.cert, &fresh->cert) && read_one(settings_.key, &fresh->key);
  if (!good) return false;
  fresh->generation = ++last_generation_;
  if (current_->generation > 0) {
    worked_ = current_;
    log::info("%s: the certificates were read again", whose_.c_str());
  }
  current_ = std::move(fresh);
  return true;
}

bool TlsFiles::fall_back(uint64_t generation) {
  if (generation != current_->generation || worked_ == nullptr) return false;
  auto old = std::make_shared<Credentials>(*std::exchange(worked_, nullptr));
  old->generation = ++last_generation_;
  current_ = std::move(old);
  return true;
}

}  // namespace vipd::web
