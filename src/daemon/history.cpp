// Whether anybody compacts the etcd that keeps each of our heartbeats. Looked at by one read in an
// hour; nothing but a line in the log follows.
#include "daemon/impl.hpp"
#include "vipd/log.hpp"

namespace vipd {

void Daemon::look_at_history() {
  const auto done = [this](const etcd::RangeAnswer* answer, const etcd::Error* error) {
    if (error != nullptr && error->compacted()) history_.compacted();
    if (answer == nullptr) return;
    const std::string text = history_.answered(loop_.now(), answer->header.revision);
    if (!text.empty()) log::warn("%s", text.c_str());
  };
  etcd_->range_at(store_.begin(), history_.asks(), done);
  history_timer_ =
      loop_.add_timer(loop_.now() + etcd::History::kInterval, [this] { look_at_history(); });
}

}  // namespace vipd
