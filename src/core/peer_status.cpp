// What people are told of our own peer lease: its state, its grantors, and why there is none.
#include <algorithm>

#include "core/core_impl.hpp"

namespace vipd {

namespace {

// Nodes whose grants are counted. A cluster has fewer; names come from etcd.
constexpr size_t kMostCounted = 64;

}  // namespace

TermState Core::Impl::term_state() const {
  if (!peer_lease_.obeys()) {
    return peer_lease_.trying() ? TermState::Trying : TermState::None;
  }
  if (!leaving_.empty()) return TermState::Leaving;
  return peer_lease_.in_force() ? TermState::InForce : TermState::Entering;
}

std::string Core::Impl::no_term_reason() const {
  if (settings_.peer_timeout == Duration()) return "it is switched off";
  if (!fence_in_force_) return fence_reason_;
  if (!snapshot_.loaded() || !chain_.live()) return "there is no session in etcd";
  if (orders_.stopping) return "the daemon is stopping";
  const bool owns = std::any_of(vips_.begin(), vips_.end(), [](const Vip& vip) {
    return vip.address == Vip::AddressState::Present;
  });
  if (!owns) return "nothing is owned";
  if (read_beats_.wanted()) return "etcd takes no writes";
  if (!may_try()) return "etcd has not confirmed a heartbeat lately";
  return no_term_.empty() ? left_because_ : no_term_;
}

PeersView Core::Impl::peers_view(MonoTime now) const {
  PeersView view;
  view.state = term_state();
  view.timeout = settings_.peer_timeout;
  view.left_because = left_because_;
  view.terms = terms_;
  view.grants = grants_;
  if (view.state == TermState::None) view.reason = no_term_reason();
  if (view.state == TermState::Leaving) view.reason = leaving_;
  const std::vector<const Term*> obeyed = peer_lease_.obeyed();
  const Term* term = obeyed.empty() ? nullptr : obeyed.front();
  if (term == nullptr && peer_lease_.trying()) term = &*peer_lease_.trying();
  if (term == nullptr) return view;
  const PeerTerm& key = term->key();
  view.timeout = key.timeout;
  // Where no link carries a VIP there is nothing to give up.
  if (!obeyed.empty()) view.left = std::clamp(peer_deadline_ - now, Duration(), key.timeout);
  for (const Grantor& grantor : key.grantors) {
    const auto peer = peers_.find(grantor.incarnation);
    const MonoTime newest = term->newest(grantor.incarnation, carrying_);
    view.grantors.push_back({.node = node_of(grantor.incarnation),
                             .grants = now - newest < key.timeout,
                             .delay = peer == peers_.end() ? Duration() : peer->second.delay()});
  }
  return view;
}

std::string Core::Impl::node_of(uint64_t incarnation) const {
  for (const auto& [lease, session] : view_.sessions()) {
    if (session.incarnation == incarnation) return session.node;
  }
  return "";
}

std::string Core::Impl::nodes_of(const PeerTerm& term) const {
  std::string names;
  for (const Grantor& grantor : term.grantors) {
    const std::string node = node_of(grantor.incarnation);
    if (!names.empty()) names += ", ";
    names += node.empty() ? "a node without a session" : node;
  }
  return names;
}

void Core::Impl::count_grant(uint64_t incarnation) {
  const std::string node = node_of(incarnation);
  if (node.empty() || (grants_.size() >= kMostCounted && !grants_.contains(node))) return;
  grants_[node]++;
}

}  // namespace vipd
