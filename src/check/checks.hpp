// The health checks: when each is run, whether it is up, and what people have set in its place.
// Knows nothing of VIPs.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "check/probe.hpp"
#include "check/verdict.hpp"
#include "vipd/status.hpp"

namespace vipd::check {

class Checks {
 public:
  // `changed` is called when the state of some check, or the reason for it, has changed.
  // `tools` without http and names; those are made here, when they are needed.
  Checks(Tools tools, std::function<void()> changed);
  ~Checks();
  Checks(const Checks&) = delete;
  Checks& operator=(const Checks&) = delete;

  // What did not change is not touched; what did keeps its state until new results change it.
  void configure(const std::vector<CheckConfig>& configs);
  // The kernel's list of links, or one of them, is another one.
  void links_changed();
  // Nothing is run any more.
  void stop();

  // No state: by its results again. False: there is no such check.
  bool override_with(const std::string& name, std::optional<State> state);

  // As it counts, overrides included. Unknown for what there is not.
  [[nodiscard]] State state(const std::string& name) const;
  // Why it is not up, in words.
  [[nodiscard]] std::string reason(const std::string& name) const;
  // By how much the priority of a VIP is lowered while it is down; 0: it keeps the VIP away.
  [[nodiscard]] int weight(const std::string& name) const;
  [[nodiscard]] CheckStatus status(const std::string& name) const;

 private:
  struct Check {
    CheckConfig config;
    std::unique_ptr<Probe> probe;
    Verdict verdict;
    std::optional<State> override_state;
    std::string fault;  // of the last result; empty: it was good
    std::string since;
    bool is_settled = false;  // no run is under way or due: links_changed() begins the next
    Loop::Timer timer = Loop::Timer::None;
  };

  void make_tools(const std::vector<CheckConfig>& configs);
  [[nodiscard]] std::unique_ptr<Probe> make_probe(const CheckConfig& config);
  void set_up(Check* check, const CheckConfig& config);
  void run(Check* check);
  void take(Check* check, const std::string& fault, MonoTime began);
  void report(Check* check, State before);
  [[nodiscard]] static State state_of(const Check& check);
  [[nodiscard]] static std::string reason_of(const Check& check);

  Tools tools_;
  std::function<void()> changed_;
  std::unique_ptr<web::Http> http_;
  std::unique_ptr<web::Resolver> names_;
  std::map<std::string, std::unique_ptr<Check>> checks_;
};

}  // namespace vipd::check
