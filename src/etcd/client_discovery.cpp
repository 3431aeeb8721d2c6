// Further members, from etcd's own list: asked for once a minute at most, beside what is asked
// anyway.
#include <algorithm>
#include <utility>

#include "etcd/client_impl.hpp"
#include "vipd/log.hpp"

namespace vipd::etcd {
namespace {

constexpr Duration kBetweenLists = Duration::seconds(60);
constexpr size_t kMostDiscovered = 32;

}  // namespace

void Client::Impl::discover(MemberId member) {
  if (!options.discover || loop.now() < discover_at) return;
  discover_at = loop.now() + kBetweenLists;
  auto call = std::make_shared<Call>();
  call->purpose = Purpose::Members;
  call->body = "{}";
  call->member = member;
  call->finish = [this](HttpAnswer& answer, const CallPtr& done) {
    std::vector<MemberInfo> members;
    Error error;
    const bool good = take<std::vector<MemberInfo>>(*done, answer, read_members, members, error);
    if (!good && repeat(done, answer, error)) return;
    if (good) return take_members(members);
    log::warn("etcd: %s: no list of members: %s", error.endpoint.c_str(), error.text.c_str());
  };
  submit(std::move(call));
}

bool Client::Impl::heard_from(uint64_t etcd_id) const {
  return std::any_of(notes.begin(), notes.end(), [&](const auto& note) {
    const Endpoints::Member* member = endpoints.find(note.first);
    if (member == nullptr || note.second.etcd_id != etcd_id) return false;
    const auto same = [&](const Endpoint& e) { return e.url == member->endpoint.url; };
    return std::any_of(configured.begin(), configured.end(), same);
  });
}

// After those that are configured, and only what is as safe as they are: a password must not go to
// a plain http that nobody has asked for. A configured member that has been heard is not taken
// again under the name by which etcd knows it.
void Client::Impl::take_members(const std::vector<MemberInfo>& members) {
  std::vector<Endpoint> found;
  for (const MemberInfo& member : members) {
    if (heard_from(member.id)) continue;
    for (const std::string& url : member.client_urls) {
      Endpoint endpoint;
      const auto alike = [&](const Endpoint& e) { return e.tls == endpoint.tls && !e.is_unix(); };
      if (!parse_endpoint(url, endpoint) || endpoint.is_unix()) continue;
      if (std::none_of(configured.begin(), configured.end(), alike)) continue;
      if (found.size() < kMostDiscovered) found.push_back(std::move(endpoint));
    }
  }
  if (found == discovered) return;
  discovered = std::move(found);
  for (const Endpoint& endpoint : discovered) {
    log::info("etcd: %s is a member, too", endpoint.url.c_str());
  }
  set_up_connections();
}

}  // namespace vipd::etcd
