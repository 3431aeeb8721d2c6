#include "core/binding.hpp"

#include <algorithm>
#include <cassert>

#include "core/timing.hpp"

namespace vipd {

namespace {

// Within so much of the timeout an endpoint is asked more than once while no cluster is known, or
// ours is silent.
constexpr int64_t kLately = 2;

std::string belong(size_t count) {
  return count == 1 ? " belongs to cluster " : " belong to cluster ";
}

}  // namespace

Binding::Binding(const ClusterSettings& settings, const Memory& former, Duration timeout,
                 MonoTime now)
    : fixed_(settings.fixed),
      timeout_(timeout),
      cluster_(settings.fixed != 0 ? settings.fixed : former.cluster_id),
      named_at_(now),
      statements_(settings.endpoints.size()) {
  assert(fixed_ != 0 || !statements_.empty());
  doubt(now);
  if (former.others) wait_for_others(now);
}

void Binding::configure(const ClusterSettings& settings, MonoTime now) {
  fixed_ = settings.fixed;
  named_at_ = now;
  statements_.assign(settings.endpoints.size(), {});
  assert(fixed_ != 0 || !statements_.empty());
  majority_ = 0;
  doubt(now);
}

void Binding::interrupted(MonoTime now) {
  doubt(now);
}

void Binding::named(MonoTime now, const event::EndpointNamed& statement) {
  if (statement.endpoint >= statements_.size()) return;
  if (statement.cluster == cluster_) named_at_ = now;
  statements_[statement.endpoint] = {
      .cluster = statement.agreed ? statement.cluster : 0,
      .member = statement.agreed ? statement.member : 0,
      .split = !statement.agreed,
      .at = std::min(now, statement.asked),
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

bool Binding::another_named(MonoTime since) const {
  return std::any_of(statements_.begin(), statements_.end(), [&](const Statement& s) {
    return s.at >= since && (s.split || (s.cluster != 0 && s.cluster != cluster_));
  });
}

// Whether all have named ours since: then no node reaches another cluster by them.
bool Binding::unanimous(MonoTime since) const {
  const std::map<uint64_t, size_t> named = votes(since);
  const auto ours = named.find(cluster_);
  return ours != named.end() && ours->second == voters();
}

// --- who may own by another cluster

void Binding::doubt(MonoTime now) {
  doubted_ = true;
  doubted_at_ = now;
}

// [safety] Owners by another cluster let go once they are told, or when the authority of their last
// heartbeat ends.
void Binding::wait_for_others(MonoTime now) {
  others_since_ = now;
  others_until_ = now + timing::others_gone_within(timeout_);
}

void Binding::settle(MonoTime now) {
  doubted_ = divided_ = unheard_ = false;
  if (was_ahead_) wait_for_others(now);
  was_ahead_ = false;
}

// [safety] Another cluster that was ahead has owners until more than half name ours again: half of
// two or four bind nobody, and tell no owner to let go. A process that was not running meanwhile
// cannot know whether that was so: silent endpoints may be of a cluster that is just electing a
// leader.
void Binding::weigh(MonoTime now) {
  if (other_is_ahead()) {
    was_ahead_ = true;
    return doubt(now);
  }
  const bool asked = now >= doubted_at_ + timing::request_timeout(timeout_);
  if (doubted_ && (asked || unanimous(doubted_at_))) {
    was_ahead_ = was_ahead_ || another_named(std::max(doubted_at_, now - timeout_));
    unheard_ = majority(doubted_at_) != cluster_;
    divided_ = was_ahead_ && unheard_;
    if (!unheard_) settle(now);
  }
  // No heartbeat goes to another one any more.
  if (now < others_until_ && unanimous(now - timeout_ / kLately)) {
    others_until_ = std::min(others_until_, now + timing::with_drift(timeout_));
  }
}

MonoTime Binding::may_take_at(bool waited_out) const {
  if (fixed_ != 0) return MonoTime::long_ago();
  if (outvoted()) return MonoTime::never();
  const MonoTime asked =
      doubted_ ? doubted_at_ + timing::request_timeout(timeout_) : MonoTime::long_ago();
  if (waited_out) return asked;
  return unheard_ ? MonoTime::never() : std::max(asked, others_until_);
}

MonoTime Binding::changes_at() const {
  if (other_is_ahead()) return named_at_ + timeout_;
  const bool waits = fixed_ == 0 && cluster_ != 0 && doubted_ && !divided_;
  return waits ? doubted_at_ + timing::request_timeout(timeout_) : MonoTime::never();
}

// --- which cluster it is

bool Binding::judge(MonoTime now) {
  if (fixed_ == 0 && cluster_ != 0) weigh(now);
  const uint64_t next = fixed_ != 0 ? fixed_ : majority_;
  if (next == 0 || next == cluster_) return false;
  // A short-lived majority changes nothing: everything known would be void, and every VIP would
  // wait for a timeout.
  if (fixed_ == 0 && cluster_ != 0 && now < named_at_ + timeout_) return false;
  // [safety] Each of the majority may have been mended since it spoke.
  if (fixed_ == 0 && majority(now - timeout_ / kLately) != next) return false;
  cluster_ = next;
  named_at_ = now;
  if (fixed_ != 0) return true;
  was_ahead_ = true;
  settle(now);
  weigh(now);
  return true;
}

std::string Binding::objection() const {
  if (cluster_ != 0 && !outvoted()) return "";
  const bool anew = divided_ && !other_is_ahead();
  const std::map<uint64_t, size_t> votes = this->votes(anew ? doubted_at_ : MonoTime::long_ago());
  const std::string of = " of " + std::to_string(voters()) + " endpoints";
  if (other_is_ahead()) {
    const size_t most = votes.at(majority_);
    return std::to_string(most) + of + belong(most) + cluster_hex(majority_) + ", not to " +
           cluster_hex(cluster_) + ", which this node has used so far";
  }
  if (votes.empty() && anew)
    return "none" + of + " has named cluster " + cluster_hex(cluster_) + " again";
  if (votes.empty()) return disputed() ? "the addresses of one name lead to two clusters" : "";
  const auto most = std::max_element(
      votes.begin(), votes.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  std::string text =
      std::to_string(most->second) + of + belong(most->second) + cluster_hex(most->first);
  size_t named = 0;
  for (const auto& [cluster, count] : votes) {
    named += count;
    if (cluster == most->first) continue;
    text += ", " + std::to_string(count) + " to cluster " + cluster_hex(cluster);
  }
  if (named == voters()) return text + ": no majority; correct the endpoints, or set etcd.cluster";
  const size_t missing = voters() / 2 + 1 - most->second;
  return text + ": waiting for " + (missing == 1 ? "one" : std::to_string(missing)) + " more";
}

}  // namespace vipd
