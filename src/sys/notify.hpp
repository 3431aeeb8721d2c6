// Tells a supervisor the state of the daemon: systemd's datagrams (sd_notify(3)) and s6's
// descriptor. Never waits; a supervisor that does not listen is none of our business.
#pragma once

#include <string>
#include <string_view>

#include "sys/fd.hpp"
#include "vipd/types.hpp"

namespace vipd::sys {

class Notify {
 public:
  // Takes NOTIFY_SOCKET and WATCHDOG_* out of the environment: programs that we start must not
  // speak for us.
  static Notify from_environment();
  // As it was found: for a program that takes our place; and the other way round.
  void restore_environment() const;
  void clear_environment() const;

  // For --ready-fd: gets a newline and is closed at the first ready().
  void set_ready_fd(int fd) { ready_fd_.reset(fd); }

  void ready();      // also at the end of a reload
  void reloading();  // with the time that systemd wants to see
  void stopping();
  // How often the supervisor wants to hear that we live: twice as often as it needs it; 0: never.
  [[nodiscard]] Duration watchdog_interval() const;
  void watchdog();
  void status(std::string_view one_line);  // `systemctl status` shows it

 private:
  void send(std::string_view text) const;
  std::string socket_path_;  // empty: nobody asked
  std::string watchdog_us_;  // empty: nobody asked
  std::string watchdog_pid_;
  Fd ready_fd_;
};

}  // namespace vipd::sys
