#include "etcd/troubles.hpp"

#include "vipd/log.hpp"

namespace vipd::etcd {
namespace {

constexpr size_t kMostComplaints = 64;
constexpr Duration kForgotten = Duration::seconds(60);

}  // namespace

void Troubles::remember(const Error& error, MonoTime now) {
  last_ = error;
  last_at_ = now;
}

void Troubles::complain(const Error& error, MonoTime now) {
  remember(error, now);
  const std::string text = error.said();
  std::erase_if(complaints_, [&](const Complaint& c) { return c.heard_at + kForgotten < now; });
  for (Complaint& c : complaints_) {
    if (c.text != text) continue;
    c.heard_at = now;
    return;
  }
  if (complaints_.size() == kMostComplaints) return;
  complaints_.push_back({text, now});
  log::warn("etcd: %s", text.c_str());
}

}  // namespace vipd::etcd
