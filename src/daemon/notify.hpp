// Tells programs of each change of state: in order for each VIP, never two at once for one VIP. A
// slow program gets the latest state next; changes in between are skipped, and that is logged.
// Never waits.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "run/runner.hpp"

namespace vipd {

// What a program said, line by line; whose: what each begins with.
void log_output(const std::string& whose, const run::Ended& ended);

class Notifier {
 public:
  struct Change {
    std::string program;  // full path
    std::string name;     // the four arguments
    std::string address;
    std::string state;
    std::string reason;
    std::vector<std::string> environment;
  };

  // nullptr: nothing is ever to be told.
  explicit Notifier(run::Runner* runner) : runner_(runner) {}
  Notifier(const Notifier&) = delete;
  Notifier& operator=(const Notifier&) = delete;

  void take(Change change);
  [[nodiscard]] bool is_idle() const { return running_ == 0 && waiting_.empty(); }
  // Called whenever nothing is left to be told.
  void on_idle(std::function<void()> handler) { idle_ = std::move(handler); }

 private:
  struct Line {
    bool is_running = false;
    std::optional<Change> next;
  };
  void start_some();
  void start(const std::string& address);
  void ended(const std::string& address, const Change& change, const run::Ended& ended);

  run::Runner* runner_;
  std::map<std::string, Line> lines_;  // by address
  std::deque<std::string> waiting_;    // addresses whose turn has come
  size_t running_ = 0;
  std::function<void()> idle_;
};

}  // namespace vipd
