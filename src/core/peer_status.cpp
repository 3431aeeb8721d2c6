// What people are told of our own peer lease: its state, its grantors, and why there is none.
#include <algorithm>

#include "core/core_impl.hpp"
#include "vipd/peer_view.hpp"

namespace vipd {

TermState Core::Impl::term_state() const {
  if (!peer_lease_.obeys()) {
    return peer_lease_.trying() ? TermState::Trying : TermState::None;
  }
  if (terms_.is_leaving()) return TermState::Leaving;
  return peer_lease_.in_force() ? TermState::InForce : TermState::Entering;
}

std::string Core::Impl::no_term_reason() const {
  if (settings_.peer_timeout == Duration()) return "it is switched off";
  if (!fence_.in_force()) return fence_.reason();
  if (!snapshot_.loaded() || !chain_.live()) return "there is no session in etcd";
  if (orders_.stopping) return "the daemon is stopping";
  if (!has_any()) return "this node owns no VIP";
  if (read_beats_.wanted()) return "etcd takes no writes";
  if (!may_try()) return "etcd has not confirmed a heartbeat lately";
  return terms_.refusal().empty() ? terms_.left_because() : terms_.refusal();
}

PeersView Core::Impl::peers_view(MonoTime now) const {
  PeersView view;
  view.state = term_state();
  view.timeout = settings_.peer_timeout;
  view.left_because = terms_.left_because();
  view.terms = terms_.counts;
  view.grants = grantors_.counted();
  if (view.state == TermState::None) view.reason = no_term_reason();
  if (view.state == TermState::Leaving) view.reason = terms_.leaving();
  view.holds = now >= chain_.deadline() && now < hold_.until && has_any();
  if (view.holds) view.reason = hold_words(now);
  view.no_hold_because = no_hold_reason(now);
  view.others_may_hold = view_.marks().size() > (view_.mark(chain_.lease()) == nullptr ? 0U : 1U);
  const std::vector<const Term*> obeyed = peer_lease_.obeyed();
  const Term* term = obeyed.empty() ? nullptr : obeyed.front();
  if (term == nullptr && peer_lease_.trying()) term = &*peer_lease_.trying();
  if (term == nullptr) return view;
  const PeerTerm& key = term->key();
  view.timeout = key.timeout;
  // Where nothing is owned, or no link carries a VIP, there is nothing to give up.
  if (!obeyed.empty() && has_any())
    view.left = std::clamp(terms_.deadline() - now, Duration(), key.timeout);
  for (const Grantor& grantor : key.grantors) {
    const MonoTime newest = term->newest(grantor.incarnation, terms_.carrying());
    view.grantors.push_back({.node = node_of(grantor.incarnation),
                             .grants = now - newest < key.timeout,
                             .delay = grantors_.delay(grantor.incarnation)});
  }
  return view;
}

const View::Session* Core::Impl::session_of(uint64_t incarnation) const {
  for (const auto& [lease, session] : view_.sessions()) {
    if (session.incarnation == incarnation) return &session;
  }
  return nullptr;
}

std::string Core::Impl::node_of(uint64_t incarnation) const {
  const View::Session* session = session_of(incarnation);
  return session == nullptr ? "" : session->node;
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

}  // namespace vipd
