// Further members, from etcd's own list: asked for once a minute at most, beside what is asked
// anyway.
#include <algorithm>
#include <cinttypes>
#include <utility>

#include "etcd/client_impl.hpp"
#include "vipd/log.hpp"

namespace vipd::etcd {
namespace {

constexpr Duration kBetweenLists = Duration::seconds(60);
constexpr size_t kMostDiscovered = 32;

}  // namespace

void Client::Impl::discover(MemberId member) {
  if (!options.discover || loop.now() < discovery.next) return;
  discovery.next = loop.now() + kBetweenLists;
  auto call = std::make_shared<Call>();
  call->purpose = Purpose::Members;
  call->body = "{}";
  call->member = member;
  call->finish = [this](HttpAnswer& answer, const CallPtr& done) {
    MemberList list;
    Error error;
    const bool good = take<MemberList>(*done, answer, read_members, list, error) &&
                      note_header(done->member, list.header, done->sent_at, error);
    if (!good && repeat(done, answer, error)) return;
    if (good) return take_members(list.members, done->member);
    log::warn("etcd: %s: no list of members: %s", error.endpoint.c_str(), error.text.c_str());
  };
  submit(std::move(call));
}

bool Client::Impl::heard_from(uint64_t etcd_id) const {
  const auto& members = endpoints.members();
  return std::any_of(members.begin(), members.end(), [&](const Endpoints::Member& member) {
    return member.configured && member.cluster == cluster && member.etcd_id == etcd_id;
  });
}

// Only what is as safe as those that are configured: a password must not go to a plain http that
// nobody has asked for.
bool Client::Impl::as_safe(const Endpoint& endpoint) const {
  return std::any_of(configured.begin(), configured.end(),
                     [&](const Endpoint& e) { return e.tls == endpoint.tls && !e.is_unix(); });
}

// A configured member that has been heard is not taken again under the name by which etcd knows it.
void Client::Impl::take_members(const std::vector<MemberInfo>& members, MemberId lister) {
  const Endpoints::Member* found = endpoints.find(lister);
  const Endpoint* from = found == nullptr || found->endpoint.is_unix() ? nullptr : &found->endpoint;
  const std::vector<Listed> before = std::exchange(discovery.listed, {});
  for (const MemberInfo& member : members) {
    if (heard_from(member.id)) continue;
    for (const std::string& url : member.client_urls) list(member, url, from);
  }
  for (Listed& now : discovery.listed) {
    const auto same = [&](const Listed& l) { return l.own == now.own && l.instead == now.instead; };
    const auto known = std::find_if(before.begin(), before.end(), same);
    if (known != before.end()) now = *known;
  }
  use_listed();
}

// What every host calls itself leads to another member than the one that said it: whoever is that
// member has been heard, by its id.
void Client::Impl::list(const MemberInfo& member, const std::string& url, const Endpoint* lister) {
  Listed entry;
  std::string reason;
  const std::string_view bare(url.data(), url.size() - (url.ends_with('/') ? 1 : 0));
  if (discovery.listed.size() == kMostDiscovered || !parse_endpoint(bare, &entry.own, &reason))
    return;
  if (entry.own.is_unix()) return;
  if (is_everyones_own(entry.own)) {
    const auto known = std::find(discovery.passed_over.begin(), discovery.passed_over.end(), url);
    if (known != discovery.passed_over.end() || discovery.passed_over.size() == kMostDiscovered)
      return;
    discovery.passed_over.push_back(url);
    log::warn("etcd: member %" PRIx64 " says it is at %s, which is this host: not used", member.id,
              entry.own.url.c_str());
    return;
  }
  entry.instead = lister == nullptr ? entry.own : on_port_of(entry.own, *lister);
  entry.is_own = as_safe(entry.own);
  entry.either = entry.is_own && entry.instead != entry.own && as_safe(entry.instead);
  if (entry.is_own || as_safe(entry.instead)) discovery.listed.push_back(std::move(entry));
}

// After those that are configured, and not before they have been asked.
void Client::Impl::use_listed() {
  std::vector<Endpoint> found;
  for (const Listed& l : discovery.listed) {
    const Endpoint& endpoint = l.is_own ? l.own : l.instead;
    if (std::find(found.begin(), found.end(), endpoint) == found.end()) found.push_back(endpoint);
  }
  if (found == discovery.used) return;
  const std::vector<Endpoint> before = std::exchange(discovery.used, std::move(found));
  for (const Endpoint& endpoint : discovery.used) {
    if (std::find(before.begin(), before.end(), endpoint) != before.end()) continue;
    log::info("etcd: %s is also a member", endpoint.url.c_str());
  }
  set_up_connections();
}

bool Client::Impl::asked_elsewhere(MemberId member, const Error& error) {
  const Endpoints::Member* found = endpoints.find(member);
  if (found == nullptr || found->has_answered) return false;
  const std::string url = found->endpoint.url;
  const auto unused = [&](const Listed& l) { return l.either && l.is_own && l.own.url == url; };
  const auto entry = std::find_if(discovery.listed.begin(), discovery.listed.end(), unused);
  if (entry == discovery.listed.end()) return false;
  entry->is_own = entry->either = false;
  log::info("etcd: %s: %s; asking %s", url.c_str(), error.text.c_str(), entry->instead.url.c_str());
  use_listed();
  return true;
}

}  // namespace vipd::etcd
