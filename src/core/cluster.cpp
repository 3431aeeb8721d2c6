// To which etcd cluster all that is known belongs: what follows from the binding, and from a
// history that is another one.
#include <cassert>

#include "core/core_impl.hpp"

namespace vipd {

namespace {

// The endpoints do not answer all at once.
constexpr Duration kPatience = Duration::seconds(1);

// The header of what etcd answered or showed, or none.
struct HeaderOf {
  template <typename T>
  const Header* operator()(const T& event) const {
    if constexpr (requires { event.header; }) {
      return &event.header;
    } else {
      return nullptr;
    }
  }
};

// The request that is answered by it, or 0.
struct RequestOf {
  template <typename T>
  RequestId operator()(const T& event) const {
    if constexpr (requires { event.request; }) {
      return event.request;
    } else {
      return 0;
    }
  }
};

}  // namespace

void Core::Impl::on(const event::EndpointNamed& e) {
  binding_.named(now_, e);
}

// Until it is bound, a read serves only to tell why no endpoint answers.
void Core::Impl::begin(const Input& input, Actions* actions) {
  if (binding_.cluster() != 0) {
    actions->push_back(action::UseCluster{.cluster = binding_.cluster()});
  } else {
    snapshot_.read_at(input.now + kPatience);
  }
  step_.slept_before(input.suspended);
  step(input, event::Ticked{}, actions);
}

void Core::Impl::drive_cluster() {
  if (binding_.judge(now_)) bind_to_cluster();
  due(binding_.changes_at());
  say_objection();
}

void Core::Impl::bind_to_cluster() {
  const uint64_t cluster = binding_.cluster();
  if (snapshot_.answered() || memory_.cluster_id != 0) {
    forget_cluster("the right etcd cluster is " + cluster_hex(cluster) + " now");
  }
  emit(action::UseCluster{.cluster = cluster});
  snapshot_.start_over(now_);
}

// Reported once, when it has lasted for kPatience.
void Core::Impl::say_objection() {
  const std::string objection = binding_.objection();
  if (objection.empty()) {
    said_.objection.since = MonoTime::never();
    said_.objection.said.clear();
    return;
  }
  if (said_.objection.since.is_never()) said_.objection.since = now_;
  if (!due(said_.objection.since + kPatience) || objection == said_.objection.said) return;
  said_.objection.said = objection;
  report(ReportKind::ClusterUnclear, "etcd: " + objection);
}

// [safety] The client passes on nothing of another cluster. If it does all the same, a request
// counts as failed, and what a watch shows is ignored.
bool Core::Impl::is_of_other_cluster(const Event& event) {
  const Header* header = std::visit(HeaderOf(), event);
  if (header == nullptr || header->cluster_id == binding_.cluster()) return false;
  const RequestId request = std::visit(RequestOf(), event);
  if (request != 0) {
    on(event::RequestFailed{.request = request, .reason = "answered by another cluster"});
  } else {
    on(event::WatchEnded{.compacted = false, .reason = "of another cluster"});
  }
  return true;
}

// A cluster restored from a backup has forgotten what it committed: everything known is void then.
bool Core::Impl::same_history(const Header& header, RequestId request) {
  const Revision floor = requests_.floor(request);
  requests_.done(request);
  assert(header.cluster_id == binding_.cluster());
  if (header.revision < floor) {
    forget_cluster("etcd's revision went back from " + std::to_string(floor) + " to " +
                   std::to_string(header.revision) + ": restored from a backup?");
    return false;
  }
  requests_.shown(header.revision);
  return true;
}

void Core::Impl::forget_cluster(const std::string& why) {
  take_everything_down();
  report(ReportKind::ClusterChanged, why + "; starting over");
  session_is_lost();
  hold_.acted = 0;
  said_.differs.clear();
  chain_.close();
  end_terms();
  session_.lost(now_);
  view_ = View();
  takeovers_.sessions.clear();
  read_beats_.end();
  requests_.forget();
  snapshot_.forget(now_);
  watch_.forget();
  forget_keys();
  forget_memory();
}

// What a next process could take up; the cluster stays known.
void Core::Impl::forget_memory() {
  if (memory_.lease == LeaseId::None && memory_.cluster_id == binding_.cluster()) return;
  Memory memory;
  memory.cluster_id = binding_.cluster();
  memory.others = now_ < binding_.others_until();
  memory.incarnations = hold_.incarnations(0);
  remember(std::move(memory));
  emit(action::Remember{.memory = memory_});
}

// Keys go with their session, and revisions mean nothing in another history.
void Core::Impl::forget_keys() {
  for (Vip& vip : vips_) vip.key.forget();
}

}  // namespace vipd
