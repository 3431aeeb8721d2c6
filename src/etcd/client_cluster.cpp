// To which cluster each member belongs: heard in every answer, told to whoever decides, and said
// to people once where it is another one than ours. Decides nothing.
#include <algorithm>
#include <utility>

#include "etcd/client_impl.hpp"
#include "etcd/failure.hpp"
#include "vipd/log.hpp"

namespace vipd::etcd {

// Nothing that a member of another cluster says is used, whatever its place among the endpoints.
bool Client::Impl::note_header(MemberId id, const Header& header, std::optional<MonoTime> asked,
                               Error& error) {
  const bool news = endpoints.named(id, header.cluster_id, header.member_id, asked);
  const Endpoints::Member* member = endpoints.find(id);
  const auto place = place_of(id);
  if (place &&
      (news || member->asking || member->named_at >= notes[id].told + options.ask_every / 2)) {
    notes[id].told = member->named_at;
    tell_named(*place);
  }
  if (header.cluster_id == cluster) {
    strangers.erase(id);
    return true;
  }
  error = {Error::kStranger, "it belongs to cluster " + cluster_hex(header.cluster_id), ""};
  if (cluster != 0) {
    error.text += ", not to " + cluster_hex(cluster);
    meet_stranger(id);
  }
  return false;
}

// Never from inside the call that asked, so that whoever is told may ask in turn.
void Client::Impl::tell_named(size_t place) {
  defer([this, place] {
    if (place >= configured.size() || !named) return;
    const Named now = statement(place);
    if (now.cluster != 0) named(now);
  });
}

void Client::Impl::tell_all_named() {
  for (size_t place = 0; place < configured.size(); place++) tell_named(place);
}

// What its addresses said last; where they disagree, what one of them did, ours if possible.
Named Client::Impl::statement(size_t place) const {
  Named said = {.endpoint = place, .asked = MonoTime::long_ago()};
  for (const Endpoints::Member& member : endpoints.members()) {
    if (member.cluster == 0 || member.endpoint.url != configured[place].url) continue;
    const bool first = said.cluster == 0;
    said.agreed = said.agreed && (first || said.cluster == member.cluster);
    said.member = first ? member.etcd_id : 0;
    if (first || member.cluster == cluster) said.cluster = member.cluster;
    said.asked = std::max(said.asked, member.named_at);
  }
  return said;
}

std::optional<size_t> Client::Impl::place_of(MemberId id) const {
  const Endpoints::Member* member = endpoints.find(id);
  if (member == nullptr) return std::nullopt;
  const auto found = std::find_if(configured.begin(), configured.end(),
                                  [&](const Endpoint& e) { return e.url == member->endpoint.url; });
  if (found == configured.end()) return std::nullopt;
  return static_cast<size_t>(found - configured.begin());
}

bool Client::Impl::is_stranger(MemberId id) const {
  const Endpoints::Member* member = endpoints.find(id);
  return member != nullptr && endpoints.is_stranger(*member);
}

// Said once for each cluster that it belongs to, with the names of that one's members.
void Client::Impl::meet_stranger(MemberId id) {
  const Endpoints::Member* member = endpoints.find(id);
  if (member == nullptr) return;
  Stranger& stranger = strangers[id];
  if (stranger.cluster == member->cluster) return;
  stranger = {.cluster = member->cluster, .members = ""};
  auto call = std::make_shared<Call>();
  call->purpose = Purpose::Members;
  call->body = "{}";
  call->member = id;
  call->finish = [this, id](HttpAnswer& answer, const CallPtr& done) {
    MemberList list;
    Error error;
    const bool good = take<MemberList>(*done, answer, read_members, list, error);
    std::string names;
    for (const MemberInfo& info : list.members) {
      names += (names.empty() ? "" : ", ") + (info.name.empty() ? cluster_hex(info.id) : info.name);
    }
    name_stranger(id, good ? names : "");
  };
  submit(std::move(call));
}

void Client::Impl::name_stranger(MemberId id, const std::string& members) {
  const Endpoints::Member* member = endpoints.find(id);
  const auto found = strangers.find(id);
  if (member == nullptr || found == strangers.end()) return;
  found->second.members = members;
  log::warn("etcd: %s belongs to cluster %s%s, not to %s: was this member re-created?",
            label(member->endpoint).c_str(), cluster_hex(found->second.cluster).c_str(),
            members.empty() ? "" : (" (members: " + members + ")").c_str(),
            cluster_hex(cluster).c_str());
}

// Why no member may be taken, where that is so for their clusters.
Error Client::Impl::cluster_trouble() const {
  if (cluster == 0) {
    // As it is, without another endpoint before it: this error becomes the last one itself.
    if (!troubles.last().text.empty()) return troubles.last();
    return {Error::kTransport, "no endpoint has said to which cluster it belongs", ""};
  }
  const auto& members = endpoints.members();
  const auto found = std::find_if(members.begin(), members.end(), [this](const auto& member) {
    return endpoints.is_stranger(member);
  });
  if (found == members.end()) return {};
  return {
      Error::kTransport,
      "it belongs to cluster " + cluster_hex(found->cluster) + ", not to " + cluster_hex(cluster),
      label(found->endpoint)};
}

void Client::on_named(std::function<void(const Named&)> call) {
  impl_->named = std::move(call);
}

void Client::use_cluster(uint64_t cluster) {
  Impl& impl = *impl_;
  if (impl.cluster == cluster) return;
  impl.cluster = cluster;
  impl.strangers.clear();
  impl.endpoints.use_cluster(cluster);
  for (const Endpoints::Member& member : impl.endpoints.members()) {
    if (impl.endpoints.is_stranger(member)) impl.meet_stranger(member.id);
  }
  if (impl.watch.stream && impl.is_stranger(impl.watch.member)) {
    impl.move_watch("its member belongs to another cluster");
  }
  impl.arm_probe();
}

std::vector<MemberView> Client::members() const {
  std::vector<MemberView> views;
  for (const Endpoints::Member& member : impl_->endpoints.members()) {
    MemberView view = {.endpoint = label(member.endpoint),
                       .cluster = member.cluster,
                       .stranger = impl_->cluster != 0 && impl_->endpoints.is_stranger(member),
                       .configured = member.configured,
                       .members = ""};
    const auto stranger = impl_->strangers.find(member.id);
    if (stranger != impl_->strangers.end()) view.members = stranger->second.members;
    views.push_back(std::move(view));
  }
  return views;
}

}  // namespace vipd::etcd
