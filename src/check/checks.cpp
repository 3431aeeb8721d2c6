#include "check/checks.hpp"

#include <algorithm>
#include <utility>

#include "sys/random.hpp"
#include "sys/wall_clock.hpp"
#include "vipd/log.hpp"
#include "web/http.hpp"
#include "web/resolver.hpp"

namespace vipd::check {
namespace {

// So that the nodes do not all ask at once: between 0.9 and 1.1 of it.
Duration jittered(Duration interval) {
  constexpr int64_t kParts = 2001;
  const auto part = static_cast<int64_t>(sys::random_u64() % kParts);
  return interval * 9 / 10 + interval / 5 * part / (kParts - 1);
}

bool is_named(const CheckConfig& config) {
  const bool has_place = config.kind == CheckKind::Http || config.kind == CheckKind::Tcp;
  return has_place && place_of(config.target).named;
}

// Of what is looked at, rather than how often, or what follows.
bool looks_elsewhere(const CheckConfig& a, CheckConfig b) {
  b.interval = a.interval;
  b.timeout = a.timeout;
  b.rise = a.rise;
  b.fall = a.fall;
  b.weight = a.weight;
  return a != b;
}

}  // namespace

Checks::Checks(Tools tools, std::function<void()> changed)
    : tools_(std::move(tools)), changed_(std::move(changed)) {}

Checks::~Checks() {
  stop();
}

void Checks::stop() {
  for (const auto& [name, check] : checks_) tools_.loop.cancel_timer(check->timer);
  checks_.clear();
}

void Checks::make_tools(const std::vector<CheckConfig>& configs) {
  std::vector<std::string> names;
  bool asks = false;
  for (const CheckConfig& config : configs) {
    asks = asks || config.kind == CheckKind::Http;
    if (is_named(config)) names.push_back(place_of(config.target).host);
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  if (asks && http_ == nullptr) http_ = std::make_unique<web::Http>(tools_.loop);
  if (!names.empty() && names_ == nullptr) {
    names_ = std::make_unique<web::Resolver>("checks", tools_.loop, [] {});
  }
  if (names_ != nullptr) names_->set_names(names);
  tools_.http = http_.get();
  tools_.names = names_.get();
}

void Checks::configure(const std::vector<CheckConfig>& configs) {
  make_tools(configs);
  std::map<std::string, std::unique_ptr<Check>> before = std::exchange(checks_, {});
  for (const CheckConfig& config : configs) {
    std::unique_ptr<Check>& check = checks_[config.name];
    check = std::move(before[config.name]);
    if (check != nullptr && check->config == config) continue;
    if (check == nullptr) check = std::make_unique<Check>();
    set_up(check.get(), config);
  }
  for (const auto& [name, check] : before) {
    if (check != nullptr) tools_.loop.cancel_timer(check->timer);
  }
}

void Checks::set_up(Check* check, const CheckConfig& config) {
  tools_.loop.cancel_timer(check->timer);
  if (check->since.empty()) check->since = sys::wall_clock_text();
  if (looks_elsewhere(check->config, config)) check->verdict.start_over();
  check->probe.reset();
  check->is_settled = false;
  check->config = config;
  check->probe = make_probe(config);
  check->timer = tools_.loop.add_timer(tools_.loop.now(), [this, check] { run(check); });
}

// What else a new one needs: ARCHITECTURE.md, "Where to add what".
std::unique_ptr<Probe> Checks::make_probe(const CheckConfig& config) {
  switch (config.kind) {
    case CheckKind::Http:
      return make_http(tools_, config);
    case CheckKind::Tcp:
      return make_tcp(tools_, config);
    case CheckKind::Exec:
      return make_exec(tools_, config);
    case CheckKind::File:
      return make_file(tools_, config);
    case CheckKind::Arp:
      return make_arp(tools_, config);
    case CheckKind::Link:
      return make_link(tools_, config);
    case CheckKind::Etcd:
      return make_etcd(tools_, config);
    case CheckKind::None:
      break;
  }
  return nullptr;
}

void Checks::links_changed() {
  for (const auto& [name, check] : checks_) {
    const bool waits = check->is_settled && check->config.kind == CheckKind::Link;
    if (waits) run(check.get());
  }
}

void Checks::run(Check* check) {
  check->timer = Loop::Timer::None;
  check->is_settled = false;
  const MonoTime began = tools_.loop.now();
  check->probe->look(check->config.timeout,
                     [this, check, began](const std::string& fault) { take(check, fault, began); });
}

// The next run is an interval after the last one began, and never before that has ended. Of a link
// whose verdict stands there is none before the kernel tells of a change.
void Checks::take(Check* check, const std::string& fault, MonoTime began) {
  const State before = state_of(*check);
  const std::string reason = reason_of(*check);
  check->fault = fault;
  if (is_named(check->config)) {
    names_->set_failing(place_of(check->config.target).host, !fault.empty());
  }
  const bool turned = check->verdict.take(fault.empty(), check->config.rise, check->config.fall);
  check->is_settled = check->config.kind == CheckKind::Link && check->verdict.is_settled();
  if (!check->is_settled) {
    const MonoTime next = std::max(began + jittered(check->config.interval), tools_.loop.now());
    check->timer = tools_.loop.add_timer(next, [this, check] { run(check); });
  }
  if (turned) report(check, before);
  if (turned || reason != reason_of(*check)) changed_();
}

void Checks::report(Check* check, State before) {
  const State after = state_of(*check);
  if (after == before) return;
  check->since = sys::wall_clock_text();
  const std::string reason = reason_of(*check);
  const std::string text = "check " + check->config.name + ": " + std::string(name_of(before)) +
                           " -> " + std::string(name_of(after)) +
                           (reason.empty() ? "" : ": " + reason);
  after == State::Down ? log::warn("%s", text.c_str()) : log::info("%s", text.c_str());
}

bool Checks::override_with(const std::string& name, std::optional<State> state) {
  const auto found = checks_.find(name);
  if (found == checks_.end()) return false;
  Check& check = *found->second;
  const State before = state_of(check);
  check.override_state = state;
  report(&check, before);
  changed_();
  return true;
}

State Checks::state_of(const Check& check) {
  return check.override_state.value_or(check.verdict.state());
}

std::string Checks::reason_of(const Check& check) {
  if (state_of(check) == State::Up) return "";
  if (check.override_state) return "set by vipctl";
  if (check.verdict.state() == State::Unknown && check.fault.empty()) return "no result yet";
  return check.fault.empty() ? "not good often enough yet" : check.fault;
}

State Checks::state(const std::string& name) const {
  const auto found = checks_.find(name);
  return found == checks_.end() ? State::Unknown : state_of(*found->second);
}

std::string Checks::reason(const std::string& name) const {
  const auto found = checks_.find(name);
  return found == checks_.end() ? "" : reason_of(*found->second);
}

int Checks::weight(const std::string& name) const {
  const auto found = checks_.find(name);
  return found == checks_.end() ? 0 : found->second->config.weight;
}

CheckStatus Checks::status(const std::string& name) const {
  const auto found = checks_.find(name);
  if (found == checks_.end()) return {.name = name, .state = "unknown", .since = "", .reason = ""};
  const Check& check = *found->second;
  return {.name = name,
          .state = std::string(name_of(state_of(check))),
          .since = check.since,
          .reason = reason_of(check),
          .overridden = check.override_state.has_value()};
}

}  // namespace vipd::check
