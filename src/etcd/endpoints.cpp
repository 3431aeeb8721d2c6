#include "etcd/endpoints.hpp"

#include <algorithm>
#include <tuple>

namespace vipd::etcd {
namespace {

constexpr Duration kFirstPenalty = Duration::seconds(1);
constexpr Duration kLongestPenalty = Duration::seconds(8);
constexpr Duration kGroupMark = Duration::seconds(1);
// Only what is unanswered is marked beyond this.
constexpr MonoTime kOwed = MonoTime::never() - Duration::seconds(1);
constexpr Duration kTrial = Duration::seconds(5);
constexpr Duration kBetweenProbes = Duration::seconds(1);
// While no cluster is known nothing else can be done.
constexpr Duration kBetweenFirstQuestions = Duration::milliseconds(250);

}  // namespace

bool Endpoints::may_be_taken(const Member& member) const {
  if (!member.reachable() || cluster_ == 0) return false;
  return member.cluster == 0 ? member.configured : member.cluster == cluster_;
}

bool Endpoints::is_well(const Member& member) const {
  return may_be_taken(member) && member.penalty == Duration();
}

void Endpoints::set(const std::vector<Endpoint>& endpoints, size_t configured) {
  std::vector<Member> old = std::move(members_);
  members_.clear();
  for (size_t i = 0; i < endpoints.size(); i++) {
    const Endpoint& endpoint = endpoints[i];
    const auto same = [&](const Member& m) { return m.endpoint == endpoint; };
    if (std::any_of(members_.begin(), members_.end(), same)) continue;
    const auto kept = std::find_if(old.begin(), old.end(), same);
    Member member;
    if (kept != old.end()) member = *kept;
    if (kept == old.end()) member.id = MemberId{next_id_++};
    member.endpoint = endpoint;
    member.configured = i < configured;
    members_.push_back(std::move(member));
  }
}

const Endpoints::Member* Endpoints::find(MemberId id) const {
  const auto it =
      std::find_if(members_.begin(), members_.end(), [&](const Member& m) { return m.id == id; });
  return it == members_.end() ? nullptr : &*it;
}

Endpoints::Member* Endpoints::member(MemberId id) {
  return const_cast<Member*>(find(id));
}

int64_t Endpoints::marks(MemberId id, Group group, MonoTime now) const {
  return std::count_if(marks_.begin(), marks_.end(), [&](const Mark& m) {
    return m.id == id && m.group == group && m.until > now;
  });
}

MemberId Endpoints::pick(MonoTime now, Group group, MemberId answers) {
  std::erase_if(marks_, [&](const Mark& m) { return m.until <= now; });
  const Member* answering = find(answers);
  if (answering != nullptr && may_be_taken(*answering) && marks(answers, group, now) == 0) {
    return answers;
  }
  const Member* best = nullptr;
  // Lowest wins: the one that owes the fewest answers, so that of many requests no dead member has
  // more than its share; all others before the silent, even those that just failed; those that did
  // not; then the well, those on trial, and those that say that they cannot, by the end of their
  // penalty.
  const auto rank = [&](const Member& m) {
    const int tier = is_well(m) ? 0 : m.answers_since.is_never() ? 2 : 1;
    const MonoTime until = m.avoid_until > now ? m.avoid_until : MonoTime::long_ago();
    const auto owed = group == 0 ? 0 : marks(m.id, group, kOwed);
    const auto recent = group == 0 ? 0 : marks(m.id, group, now) - owed;
    return std::make_tuple(owed, tier == 2 && m.is_silent, recent, tier, until);
  };
  for (const Member& m : members_) {
    if (may_be_taken(m) && (best == nullptr || rank(m) < rank(*best))) best = &m;
  }
  return best == nullptr ? MemberId::None : best->id;
}

void Endpoints::sent(MemberId id, Group group) {
  if (group != 0) marks_.push_back({id, group, MonoTime::never()});
}

void Endpoints::take_unanswered(MemberId id, Group group) {
  const auto it = std::find_if(marks_.begin(), marks_.end(), [&](const Mark& m) {
    return m.id == id && m.group == group && m.until.is_never();
  });
  if (it != marks_.end()) marks_.erase(it);
}

bool Endpoints::answered(MemberId id, Group group, MonoTime now) {
  take_unanswered(id, group);
  std::erase_if(
      marks_, [&](const Mark& m) { return m.id == id && m.group == group && !m.until.is_never(); });
  Member* m = member(id);
  if (m == nullptr) return false;
  m->has_answered = true;
  if (group == 0) m->asking = false;
  if (m->penalty == Duration() || !may_be_taken(*m)) return false;
  m->avoid_until = MonoTime::long_ago();
  m->answers_since = std::min(m->answers_since, now);
  m->probe_at = now + kBetweenProbes;
  if (now < m->answers_since + kTrial) return false;
  m->penalty = Duration();
  m->answers_since = m->probe_at = MonoTime::never();
  return true;
}

bool Endpoints::failed(MemberId id, Group group, MonoTime sent_at, MonoTime now, bool is_silent) {
  take_unanswered(id, group);
  if (group != 0) marks_.push_back({id, group, now + kGroupMark});
  Member* m = member(id);
  if (m != nullptr && group == 0) m->asking = false;
  // Several requests that were under way together fail together: that is one failure.
  if (m == nullptr || sent_at < m->failed_at) return false;
  const bool was_well = is_well(*m);
  m->penalty = std::clamp(m->penalty * 2, kFirstPenalty, kLongestPenalty);
  m->avoid_until = m->probe_at = now + m->penalty;
  m->answers_since = MonoTime::never();
  m->failed_at = now;
  m->is_silent = is_silent;
  return was_well;
}

void Endpoints::avoid(MemberId id, Group group, MonoTime until) {
  marks_.push_back({id, group, until});
}

// One that comes back from another cluster is on trial first.
bool Endpoints::named(MemberId id, uint64_t cluster, uint64_t etcd_id,
                      std::optional<MonoTime> asked) {
  Member* m = member(id);
  if (m == nullptr || (asked && *asked < m->named_at)) return false;
  const bool news = m->cluster != cluster;
  const bool returns = is_stranger(*m) && cluster == cluster_;
  m->cluster = cluster;
  m->etcd_id = etcd_id;
  if (asked) m->named_at = *asked;
  if (!returns) return news;
  m->penalty = kFirstPenalty;
  m->answers_since = asked.value_or(m->named_at);
  m->avoid_until = MonoTime::long_ago();
  m->probe_at = m->answers_since + kBetweenProbes;
  return news;
}

bool Endpoints::any_well() const {
  return std::any_of(members_.begin(), members_.end(),
                     [this](const Member& m) { return is_well(m); });
}

MonoTime Endpoints::probe_due(const Member& m, bool any_well) const {
  if (!m.reachable() || m.asking) return MonoTime::never();
  const bool asks = ask_every_ != Duration();
  const bool was_asked = m.asked_at != MonoTime::long_ago();
  const MonoTime soon = m.asked_at + kBetweenProbes;
  if (cluster_ == 0) {
    if (!asks) return MonoTime::never();
    return m.cluster == 0 ? m.asked_at + kBetweenFirstQuestions : soon;
  }
  const MonoTime in_turn = std::max(m.named_at, m.asked_at) + std::max(ask_every_, kBetweenProbes);
  if (is_stranger(m)) return any_well ? in_turn : soon;
  if (!may_be_taken(m)) return any_well && was_asked ? m.probe_at : soon;
  if (asks && m.cluster == 0 && !was_asked) return m.asked_at;
  // One that failed may be another cluster's when it is back.
  const MonoTime for_cluster = asks ? in_turn : MonoTime::never();
  if (m.penalty == Duration() || !any_well) return for_cluster;
  return std::min(m.probe_at, for_cluster);
}

bool Endpoints::all_failed(const std::string& host) const {
  return std::all_of(members_.begin(), members_.end(), [&](const Member& m) {
    return m.endpoint.host != host ||
           ((!m.reachable() || m.penalty != Duration()) && m.answers_since.is_never());
  });
}

MonoTime Endpoints::next_probe() const {
  MonoTime next = MonoTime::never();
  const bool well = any_well();
  for (const Member& m : members_) next = std::min(next, probe_due(m, well));
  return next;
}

std::vector<MemberId> Endpoints::due_probes(MonoTime now) {
  std::vector<MemberId> due;
  const bool well = any_well();
  for (Member& m : members_) {
    if (probe_due(m, well) > now) continue;
    m.asking = true;
    m.asked_at = now;
    due.push_back(m.id);
  }
  return due;
}

bool Endpoints::preferred(MemberId a, MemberId b, Group group, MonoTime now) const {
  const Member* first = find(a);
  return first != nullptr && is_well(*first) && first < find(b) && marks(a, group, now) == 0;
}

}  // namespace vipd::etcd
