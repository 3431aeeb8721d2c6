// The programs that the configuration names: the helper that runs them, and the notifications of
// changes of state. Never waits, never decides.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "vipd/action.hpp"
#include "vipd/config.hpp"
#include "vipd/loop.hpp"

namespace vipd::run {
class Runner;
}

namespace vipd {

class Notifier;

class Programs {
 public:
  explicit Programs(Loop& loop);
  ~Programs();
  Programs(const Programs&) = delete;
  Programs& operator=(const Programs&) = delete;

  // Whether a helper is needed that can fork.
  [[nodiscard]] static bool needed_by(const Config& config);
  // Before anything else is opened or locked: the helper is to have nothing of it. inherited_fd:
  // the helper of the program in whose place we run, -1: none. False and a reason when there is to
  // be one and cannot be. REQUIRES: once, before all that follows.
  [[nodiscard]] bool start(const Config& config, int inherited_fd, std::string* reason);
  // What is told of a VIP from now on; one that is not in `config` any more keeps its program. Says
  // so where a helper would be needed and there is none.
  void configure(const Config& config);

  void told(const action::ReportState& change);
  // Calls at once, or as soon as no notification is under way or waiting.
  void when_idle(std::function<void()> handler);

  // What each program finds in its environment.
  [[nodiscard]] const std::vector<std::string>& environment() const { return environment_; }
  // nullptr: there was nothing to run at the start.
  [[nodiscard]] run::Runner* runner() const { return runner_.get(); }
  [[nodiscard]] bool can_run() const;
  // For a program that takes our place; -1: there is no helper.
  [[nodiscard]] int socket() const;
  // Runs this very program once, in place of a trial that is under way. `done` is given why it
  // failed, in words, after its output was logged; empty: it did not. REQUIRES: can_run().
  void try_out(const std::vector<std::string>& arguments,
               std::function<void(const std::string& fault)> done);

 private:
  struct Told {
    std::string name;
    std::string program;  // full path; empty: none
  };

  Loop& loop_;
  std::unique_ptr<run::Runner> runner_;
  std::unique_ptr<Notifier> notifier_;
  std::vector<std::string> environment_;
  std::map<Address, Told> told_;
  uint64_t trial_ = 0;  // run::Runner::Id; 0: none
};

}  // namespace vipd
