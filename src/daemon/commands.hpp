// What people ask for by vipctl: the body of a request in, an event for the core or a refusal out.
// Each command has its row in commands.cpp: POST /v1/NAME on the control socket.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "vipd/core.hpp"

namespace vipd::ctl {
struct Response;
}

namespace vipd {

class Kept;
class Vips;
struct Reread;
struct VipConfig;

class Commands {
 public:
  struct Needs {
    const Vips& vips;
    Kept& kept;
    std::string node;
    std::function<const Core&()> core;
    std::function<std::optional<VipView>(const Address&)> view;
    std::function<void(const Event&)> feed;
    std::function<void(const std::string& what)> note;  // in the history
    std::function<void(const Address& vip)> transfer_asked;
    // False: there is no such check. word: up, down or auto.
    std::function<bool(const std::string& name, const std::string& word)> override_check;
    std::function<Reread()> reload;
  };

  struct Row {
    std::string_view name;
    ctl::Response (Commands::*answer)(const std::string& body);
  };

  explicit Commands(Needs needs);

  [[nodiscard]] static std::span<const Row> all();
  // Notes that the command was asked for, and does it; refused while the daemon stops.
  [[nodiscard]] ctl::Response run(const Row& row, const std::string& body);

  // {"vips": [NAME, ...]}; without names: all of them.
  [[nodiscard]] ctl::Response resign(const std::string& body);
  // {"vip": NAME, "node": NODE or SESSION}
  [[nodiscard]] ctl::Response transfer(const std::string& body);
  // {"vip": NAME}
  [[nodiscard]] ctl::Response take(const std::string& body);
  // {"persist": true or false}
  [[nodiscard]] ctl::Response pause(const std::string& body);
  [[nodiscard]] ctl::Response resume(const std::string& body);
  [[nodiscard]] ctl::Response reload(const std::string& body);
  // {"name": NAME, "state": "up", "down" or "auto"}
  [[nodiscard]] ctl::Response set_check(const std::string& body);
  // {"level": LEVEL}
  [[nodiscard]] ctl::Response set_log_level(const std::string& body);

 private:
  [[nodiscard]] ctl::Response unknown_vip(const std::string& name) const;
  [[nodiscard]] ctl::Response transfer(const VipConfig& vip, const VipView& view,
                                       const std::string& node);

  Needs needs_;
};

}  // namespace vipd
