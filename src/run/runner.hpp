// Runs programs without ever forking or executing in this process: a helper, forked once at the
// start, does it (src/run/helper.hpp). Never waits: everything goes through a socket on the loop.
// When the helper dies nothing runs any more and everybody is told; it is not started again, since
// by then this process may no longer be allowed to fork. One that does not answer holds nobody up.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "run/message.hpp"
#include "sys/fd.hpp"
#include "sys/user.hpp"
#include "vipd/loop.hpp"

namespace vipd::run {

class Runner {
 public:
  enum class Id : uint64_t { None = 0 };
  using DoneHandler = std::function<void(const Ended& ended)>;

  // Forks the helper. It keeps nothing that is open or locked at this moment, only the user and the
  // privileges. nullptr and a reason when the kernel refuses.
  // user: whose programs they are; nullptr: of whoever we are.
  static std::unique_ptr<Runner> start(Loop& loop, const sys::User* user, std::string* reason);
  // The helper of the program in whose place we run: its socket came through execve(2). Programs
  // that it was told to run are nobody's any more. nullptr when there is no such socket.
  static std::unique_ptr<Runner> adopt(Loop& loop, int socket);
  // For that: what is to stay open. -1 when the helper is gone.
  [[nodiscard]] int socket() const { return socket_.get(); }
  // Ends the helper, and with it whatever still runs; nobody is told.
  ~Runner();
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;

  // `done` is called once, never from inside this call.
  Id run(const Job& job, DoneHandler done);
  // Moves Job::until of a program that has one; at an instant that is past it is ended at once. Its
  // `done` is called as ever. Harmless for one that is over.
  void end_at(Id id, MonoTime until);
  // Ends the program; its `done` is not called. Harmless for one that is over.
  void cancel(Id id);
  [[nodiscard]] bool is_alive() const { return watch_ != Loop::FdWatch::None; }

 private:
  Runner(Loop& loop, sys::Fd socket);
  struct Running {
    DoneHandler done;
    Loop::Timer timer = Loop::Timer::None;  // when it is given up, or why it was not run is told
  };
  void on_readable();
  void helper_is_gone();
  void send_cancel(uint64_t id);
  void finish_later(uint64_t id, Duration wait, const Ended& ended);
  void refuse(uint64_t id, int error);
  void finish(const Ended& ended);

  Loop& loop_;
  sys::Fd socket_;
  Loop::FdWatch watch_ = Loop::FdWatch::None;
  uint64_t next_id_ = 1;
  std::map<uint64_t, Running> running_;
};

}  // namespace vipd::run
