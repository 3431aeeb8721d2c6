#include "core/binding.hpp"

#include <algorithm>
#include <cassert>

namespace vipd {

namespace {

// Within so much of the timeout an endpoint is asked more than once while no cluster is known, or
// ours is silent.
constexpr int64_t kLately = 2;

std::string belong(size_t count) {
  return count == 1 ? " belongs to cluster " : " belong to cluster ";
}

}  // namespace

Binding::Binding(const ClusterSettings& settings, uint64_t remembered, Duration timeout,
                 MonoTime now)
    : fixed_(settings.fixed),
      timeout_(timeout),
      cluster_(settings.fixed != 0 ? settings.fixed : remembered),
      named_at_(now),
      statements_(settings.endpoints.size()) {
  assert(fixed_ != 0 || !statements_.empty());
}

void Binding::configure(const ClusterSettings& settings, MonoTime now) {
  fixed_ = settings.fixed;
  named_at_ = now;
  statements_.assign(settings.endpoints.size(), {});
  assert(fixed_ != 0 || !statements_.empty());
  majority_ = 0;
}

void Binding::named(MonoTime now, const event::EndpointNamed& statement) {
  if (statement.endpoint >= statements_.size()) return;
  if (statement.cluster == cluster_) named_at_ = now;
  statements_[statement.endpoint] = {
      .cluster = statement.agreed ? statement.cluster : 0,
      .member = statement.agreed ? statement.member : 0,
      .split = !statement.agreed,
      .at = now,
  };
  majority_ = majority(MonoTime::long_ago());
}

// Whether an endpoint before it leads to the same member.
bool Binding::repeats(size_t endpoint) const {
  const Statement& own = statements_[endpoint];
  if (own.cluster == 0 || own.member == 0) return false;
  return std::any_of(statements_.begin(), statements_.begin() + static_cast<ptrdiff_t>(endpoint),
                     [&](const Statement& other) {
                       return other.cluster == own.cluster && other.member == own.member;
                     });
}

size_t Binding::voters() const {
  size_t count = 0;
  for (size_t i = 0; i < statements_.size(); i++) count += repeats(i) ? 0 : 1;
  return count;
}

std::map<uint64_t, size_t> Binding::votes(MonoTime since) const {
  std::map<uint64_t, size_t> votes;
  for (size_t i = 0; i < statements_.size(); i++) {
    const Statement& said = statements_[i];
    if (said.cluster != 0 && said.at >= since && !repeats(i)) votes[statements_[i].cluster]++;
  }
  return votes;
}

// [safety] More than half: two nodes with the same endpoints cannot both have one, and for
// different clusters.
uint64_t Binding::majority(MonoTime since) const {
  const size_t all = voters();
  for (const auto& [cluster, count] : votes(since)) {
    if (count * 2 > all) return cluster;
  }
  return 0;
}

bool Binding::disputed() const {
  return std::any_of(statements_.begin(), statements_.end(), [this](const Statement& s) {
    return s.split || (s.cluster != 0 && s.cluster != cluster_);
  });
}

MonoTime Binding::changes_at() const {
  return outvoted() ? named_at_ + timeout_ : MonoTime::never();
}

bool Binding::judge(MonoTime now) {
  const uint64_t next = fixed_ != 0 ? fixed_ : majority_;
  if (next == 0 || next == cluster_) return false;
  // A majority of a moment changes nothing: all would be void, and wait for a timeout.
  if (fixed_ == 0 && cluster_ != 0 && now < named_at_ + timeout_) return false;
  // [safety] Each of the majority may have been mended since it spoke.
  if (fixed_ == 0 && majority(now - timeout_ / kLately) != next) return false;
  cluster_ = next;
  named_at_ = now;
  return true;
}

std::string Binding::objection() const {
  if (cluster_ != 0 && !outvoted()) return "";
  const std::map<uint64_t, size_t> votes = this->votes(MonoTime::long_ago());
  const std::string of = " of " + std::to_string(voters()) + " endpoints";
  if (outvoted()) {
    const size_t most = votes.at(majority_);
    return std::to_string(most) + of + belong(most) + cluster_hex(majority_) + ", not to " +
           cluster_hex(cluster_) + ", which this node has used so far";
  }
  if (votes.empty()) return disputed() ? "the addresses of one name lead to two clusters" : "";
  const auto most = std::max_element(
      votes.begin(), votes.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  std::string text =
      std::to_string(most->second) + of + belong(most->second) + cluster_hex(most->first);
  for (const auto& [cluster, count] : votes) {
    if (cluster == most->first) continue;
    text += ", " + std::to_string(count) + " to cluster " + cluster_hex(cluster);
  }
  const size_t missing = voters() / 2 + 1 - most->second;
  return text + ": waiting for " + (missing == 1 ? "one" : std::to_string(missing)) + " more";
}

}  // namespace vipd
