#include "etcd/endpoints.hpp"

#include <algorithm>
#include <tuple>

namespace vipd::etcd {
namespace {

constexpr Duration kFirstPenalty = Duration::seconds(1);
constexpr Duration kLongestPenalty = Duration::seconds(8);
constexpr Duration kGroupMark = Duration::seconds(1);
constexpr Duration kTrial = Duration::seconds(5);
constexpr Duration kBetweenProbes = Duration::seconds(1);

bool is_well(const Endpoints::Member& member) {
  return member.usable() && member.penalty == Duration();
}

}  // namespace

void Endpoints::set(const std::vector<Endpoint>& endpoints) {
  std::vector<Member> old = std::move(members_);
  members_.clear();
  for (const Endpoint& endpoint : endpoints) {
    const auto same = [&](const Member& m) { return m.endpoint == endpoint; };
    if (std::any_of(members_.begin(), members_.end(), same)) continue;
    const auto kept = std::find_if(old.begin(), old.end(), same);
    Member member;
    if (kept != old.end()) member = *kept;
    if (kept == old.end()) member.id = MemberId{next_id_++};
    member.endpoint = endpoint;
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

bool Endpoints::marked(MemberId id, Group group) const {
  return std::any_of(marks_.begin(), marks_.end(),
                     [&](const Mark& m) { return m.id == id && m.group == group; });
}

MemberId Endpoints::pick(MonoTime now, Group group) {
  std::erase_if(marks_, [&](const Mark& m) { return m.until <= now; });
  const Member* best = nullptr;
  // Lowest wins: not marked before marked; then the well, those on trial, and those that failed, by
  // the end of their penalty.
  const auto rank = [&](const Member& m) {
    const int tier = is_well(m) ? 0 : m.answers_since.is_never() ? 2 : 1;
    const MonoTime until = m.avoid_until > now ? m.avoid_until : MonoTime::long_ago();
    return std::make_tuple(group != 0 && marked(m.id, group), tier, until);
  };
  for (const Member& m : members_) {
    if (m.usable() && (best == nullptr || rank(m) < rank(*best))) best = &m;
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
  if (m != nullptr) m->has_answered = true;
  if (m == nullptr || m->penalty == Duration()) return false;
  m->avoid_until = MonoTime::long_ago();
  m->answers_since = std::min(m->answers_since, now);
  m->probe_at = now + kBetweenProbes;
  if (now < m->answers_since + kTrial) return false;
  m->penalty = Duration();
  m->answers_since = m->probe_at = MonoTime::never();
  return true;
}

bool Endpoints::failed(MemberId id, Group group, MonoTime sent_at, MonoTime now) {
  take_unanswered(id, group);
  if (group != 0) marks_.push_back({id, group, now + kGroupMark});
  Member* m = member(id);
  // Several requests that were under way together fail together: that is one failure.
  if (m == nullptr || sent_at < m->failed_at) return false;
  const bool was_well = is_well(*m);
  m->penalty = std::clamp(m->penalty * 2, kFirstPenalty, kLongestPenalty);
  m->avoid_until = m->probe_at = now + m->penalty;
  m->answers_since = MonoTime::never();
  m->failed_at = now;
  return was_well;
}

void Endpoints::avoid(MemberId id, Group group, MonoTime until) {
  marks_.push_back({id, group, until});
}

bool Endpoints::any_well() const {
  return std::any_of(members_.begin(), members_.end(), is_well);
}

bool Endpoints::all_failed(const std::string& host) const {
  return std::all_of(members_.begin(), members_.end(), [&](const Member& m) {
    return m.endpoint.host != host || (!is_well(m) && m.answers_since.is_never());
  });
}

MonoTime Endpoints::next_probe() const {
  MonoTime next = MonoTime::never();
  for (const Member& m : members_) {
    if (m.usable() && !is_well(m)) next = std::min(next, m.probe_at);
  }
  return any_well() ? next : MonoTime::never();
}

std::vector<MemberId> Endpoints::due_probes(MonoTime now) {
  std::vector<MemberId> due;
  for (Member& m : members_) {
    if (!m.usable() || is_well(m) || m.probe_at > now) continue;
    m.probe_at = MonoTime::never();  // until this one is over
    due.push_back(m.id);
  }
  return due;
}

bool Endpoints::preferred(MemberId a, MemberId b) const {
  const Member* first = find(a);
  return first != nullptr && is_well(*first) && first < find(b);
}

}  // namespace vipd::etcd
