#include "daemon/notify.hpp"

#include <algorithm>
#include <cassert>

#include "vipd/log.hpp"
#include "vipd/types.hpp"

namespace vipd {

namespace {

constexpr size_t kAtOnce = 8;  // the helper has room for these besides all checks
constexpr Duration kTimeout = Duration::seconds(10);
constexpr int kMostLines = 20;

}  // namespace

void log_output(const std::string& whose, const run::Ended& ended) {
  int lines = 0;
  for (size_t begin = 0; begin < ended.output.size();) {
    const size_t end = std::min(ended.output.find('\n', begin), ended.output.size());
    if (lines++ == kMostLines) break;
    log::info("%s: %s", whose.c_str(), ended.output.substr(begin, end - begin).c_str());
    begin = end + 1;
  }
  if (ended.is_cut || lines > kMostLines) {
    log::info("%s: the rest of its output is left out", whose.c_str());
  }
}

void Notifier::take(Change change) {
  assert(runner_ != nullptr);
  const std::string address = change.address;
  Line& line = lines_[address];
  if (line.next) {
    log::warn("vip %s: notify %s is slow: it was not told of %s", change.name.c_str(),
              line.next->program.c_str(), line.next->state.c_str());
  } else if (!line.is_running) {
    waiting_.push_back(address);
  }
  line.next = std::move(change);
  start_some();
}

void Notifier::start_some() {
  while (running_ < kAtOnce && !waiting_.empty()) {
    const std::string address = std::move(waiting_.front());
    waiting_.pop_front();
    start(address);
  }
}

void Notifier::start(const std::string& address) {
  Line& line = lines_[address];
  assert(line.next && !line.is_running);
  const Change change = std::move(*line.next);
  line.next.reset();
  line.is_running = true;
  ++running_;
  (void)runner_->run(
      {{change.program, change.name, change.address, change.state, change.reason},
       change.environment,
       kTimeout},
      [this, address, change](const run::Ended& ended) { this->ended(address, change, ended); });
}

void Notifier::ended(const std::string& address, const Change& change, const run::Ended& ended) {
  log_output("vip " + change.name + ": notify", ended);
  if (!ended.is_good()) {
    log::warn("vip %s: notify %s %s: %s", change.name.c_str(), change.program.c_str(),
              change.state.c_str(), ended.text().c_str());
  }
  --running_;
  const auto line = lines_.find(address);
  line->second.is_running = false;
  if (line->second.next) {
    waiting_.push_back(address);
  } else {
    lines_.erase(line);
  }
  start_some();
  if (is_idle() && idle_) idle_();
}

}  // namespace vipd
