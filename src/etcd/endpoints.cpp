#include "etcd/endpoints.hpp"

#include <algorithm>
#include <tuple>

namespace vipd::etcd {
namespace {

constexpr Duration kFirstPenalty = Duration::seconds(1);
constexpr Duration kLongestPenalty = Duration::seconds(8);
constexpr Duration kGroupMark = Duration::seconds(1);
constexpr std::string_view kScheme = "http://";
constexpr std::string_view kDefaultPort = "2379";

bool is_port(std::string_view text) {
  if (text.empty() || text.size() > 5) return false;
  unsigned port = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return false;
    port = port * 10 + static_cast<unsigned>(c - '0');
  }
  return port >= 1 && port <= 65535;
}

bool is_host_name(std::string_view text) {
  constexpr std::string_view kAllowed =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
  return !text.empty() && text.size() <= 253 &&
         text.find_first_not_of(kAllowed) == std::string_view::npos;
}

}  // namespace

bool parse_endpoint(std::string_view text, Endpoint& out) {
  if (!text.starts_with(kScheme)) return false;
  text.remove_prefix(kScheme.size());
  if (text.ends_with('/')) text.remove_suffix(1);

  const bool bracketed = text.starts_with('[');
  const size_t host_end = bracketed ? text.find(']') : text.find(':');
  if (bracketed && host_end == std::string_view::npos) return false;
  const std::string_view host = bracketed ? text.substr(1, host_end - 1) : text.substr(0, host_end);
  std::string_view rest = host_end == std::string_view::npos ? "" : text.substr(host_end);
  if (bracketed) rest.remove_prefix(1);
  if (!rest.empty() && !rest.starts_with(':')) return false;
  const std::string_view port = rest.empty() ? kDefaultPort : rest.substr(1);

  const auto address = Address::parse(host);
  if (bracketed && !(address && address->is_v6())) return false;
  if (!is_port(port) || (!address && !is_host_name(host))) return false;
  out.host = host;
  out.port = port;
  out.literal = address.has_value();
  out.url = std::string(kScheme) + (bracketed ? "[" + out.host + "]" : out.host) + ":" + out.port;
  return true;
}

void Endpoints::set(const std::vector<Endpoint>& endpoints) {
  std::vector<Member> old = std::move(members_);
  members_.clear();
  for (const Endpoint& endpoint : endpoints) {
    const auto same = [&](const Member& m) { return m.endpoint.url == endpoint.url; };
    if (std::any_of(members_.begin(), members_.end(), same)) continue;
    const auto kept = std::find_if(old.begin(), old.end(), same);
    Member member;
    if (kept != old.end()) member = *kept;
    if (kept == old.end()) member.id = MemberId{next_id_++};
    member.endpoint = endpoint;
    members_.push_back(std::move(member));
  }
}

void Endpoints::set_usable(MemberId id, bool usable) {
  if (Member* m = member(id)) m->usable = usable;
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
  // Lowest wins: not marked before marked, then healthy or the penalty that ends first.
  const auto rank = [&](const Member& m) {
    const MonoTime until = m.avoid_until > now ? m.avoid_until : MonoTime::long_ago();
    return std::make_tuple(group != 0 && marked(m.id, group), until);
  };
  for (const Member& m : members_) {
    if (m.usable && (best == nullptr || rank(m) < rank(*best))) best = &m;
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

void Endpoints::answered(MemberId id, Group group) {
  take_unanswered(id, group);
  if (Member* m = member(id)) {
    m->penalty = Duration();
    m->avoid_until = MonoTime::long_ago();
  }
  std::erase_if(
      marks_, [&](const Mark& m) { return m.id == id && m.group == group && !m.until.is_never(); });
}

void Endpoints::failed(MemberId id, Group group, MonoTime sent_at, MonoTime now) {
  take_unanswered(id, group);
  if (group != 0) marks_.push_back({id, group, now + kGroupMark});
  Member* m = member(id);
  // Several requests that were under way together fail together: that is one failure.
  if (m == nullptr || sent_at < m->failed_at) return;
  m->penalty = std::clamp(m->penalty * 2, kFirstPenalty, kLongestPenalty);
  m->avoid_until = now + m->penalty;
  m->failed_at = now;
}

void Endpoints::avoid(MemberId id, Group group, MonoTime until) {
  marks_.push_back({id, group, until});
}

}  // namespace vipd::etcd
