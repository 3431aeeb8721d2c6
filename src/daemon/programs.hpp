// The programs that the configuration names: the helper that runs them, and the notifications of
// changes of state. Never waits, never decides.
#pragma once

#include <deque>
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

  // The first key that names a program to be run, so that a helper is needed; "": none does.
  [[nodiscard]] static std::string first_of(const Config& config);
  // Forks the helper, if one is needed, before anything else is opened or locked: it must have
  // nothing of that. inherited_fd: the socket to the helper of the program in whose place we run,
  // -1: none. False and a reason when the helper cannot be started. REQUIRES: once, before all that
  // follows.
  [[nodiscard]] bool start(const Config& config, int inherited_fd, std::string* reason);
  // Which programs are run for which VIP from now on; a VIP that is not in `config` any more keeps
  // its own.
  void configure(const Config& config);

  void told(const action::ReportState& change);
  // Programs that must succeed before an address is set. What they come to is fed by `ended`, never
  // from inside these.
  void on_acquired(std::function<void(const event::AcquireEnded&)> ended);
  void perform(const action::Acquire& a);
  void perform(const action::EndAcquire& a);
  // One of them is running: a next process would know nothing of it.
  [[nodiscard]] bool is_acquiring() const { return !acquiring_.empty(); }
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
    std::string acquire;  // likewise
  };
  struct Acquiring {
    Address address;
    MonoTime until{};
    uint64_t id = 0;  // run::Runner::Id; 0: it waits for its turn
  };
  void move_end(const action::Acquire& a);
  void acquire_some();
  void not_run(uint64_t run, const std::string& why);
  void acquired(uint64_t run, const std::string& fault);

  Loop& loop_;
  std::unique_ptr<run::Runner> runner_;
  std::unique_ptr<Notifier> notifier_;
  std::vector<std::string> environment_;
  std::map<Address, Told> told_;
  std::function<void(const event::AcquireEnded&)> acquire_ended_;
  std::map<uint64_t, Acquiring> acquiring_;  // by the core's number
  std::deque<uint64_t> waiting_;             // of those, in their order
  size_t acquires_running_ = 0;
  uint64_t trial_ = 0;  // run::Runner::Id; 0: none
};

}  // namespace vipd
