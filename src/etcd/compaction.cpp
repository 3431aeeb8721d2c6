#include "etcd/compaction.hpp"

namespace vipd::etcd {

std::string Compaction::answered(MonoTime now, Revision current) {
  current_ = current;
  if (kept_ == 0 || current < kept_) {
    kept_ = current;
    since_ = now;
    warn_at_ = now + kTooLong;
    return "";
  }
  const Revision revisions = current - kept_;
  if (now < warn_at_ || revisions < kFew) return "";
  warn_at_ = now + kTooLong;
  return "etcd has kept all of its last " + std::to_string(revisions) + " revisions for " +
         std::to_string((now - since_) / Duration::seconds(3600)) +
         " h: nothing compacts it, so its database grows; start it with "
         "--auto-compaction-retention=1h";
}

}  // namespace vipd::etcd
