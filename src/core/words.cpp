// Owners whose grantors agree that they have fallen silent (ARCHITECTURE.md, "The peer lease"):
// their session is ended by a comparison that a new term, or none, would have broken.
#include <algorithm>
#include <cassert>

#include "core/core_impl.hpp"
#include "core/timing.hpp"

namespace vipd {

namespace {

// The first grantor of the list acts at once, each one behind it this much later.
constexpr Duration kStagger = Duration::milliseconds(50);

}  // namespace

void Core::Impl::drive_words() {
  std::erase_if(takeovers_.words, [this](const auto& item) {
    const auto found = view_.peers().find(item.first);
    return found == view_.peers().end() || found->second.modified != item.second.modified;
  });
  if (!snapshot_.loaded() || !chain_.live() || orders_.stopping) return;
  for (const auto& [lease, peers] : view_.peers()) {
    if (lease != chain_.lease()) consider_word(lease, peers);
  }
  go_on_ending();
}

// Words about another term do not count for this one.
Word* Core::Impl::word_of(LeaseId lease, const View::Peers& peers) {
  Word& word = takeovers_.words[lease];
  if (word.modified != peers.modified) word = {.modified = peers.modified};
  return &word;
}

void Core::Impl::consider_word(LeaseId lease, const View::Peers& peers) {
  const PeerTerm& term = peers.term;
  const Grantor* own = own_entry(term);
  const bool own_expired = own != nullptr && promises_.expired(term.number);
  if (own_expired) word_of(lease, peers)->expired.insert(own->incarnation);
  const auto found = takeovers_.words.find(lease);
  if (found == takeovers_.words.end()) return;
  Word& word = found->second;
  assert(word.modified == peers.modified && word.expired.size() <= term.grantors.size());
  // [safety] So many that any quorum that could keep the owner has one of them.
  if (word.expired.size() < term.needed_to_end()) return;
  if (word.enough_at.is_never()) word.enough_at = now_;
  const View::Session* session = view_.session(lease);
  // Without its session there is nothing to end: its keys go with its lease.
  if (session == nullptr || !session->present) return;
  const auto rank =
      own == nullptr ? term.grantors.size() : static_cast<size_t>(own - term.grantors.data());
  Takeover& takeover = takeovers_.sessions[lease];
  if (takeover.revoking != 0 || takeover.end != 0) return;
  // A member that does not know yet that its leader is dead loses what it is asked to write.
  if (takeover.ending != 0 && !due(takeover.again_at)) return;
  if (!due(std::max(word.enough_at + kStagger * static_cast<int64_t>(rank), takeover.next_try))) {
    return;
  }
  assert(own == nullptr || rank < term.grantors.size());
  takeover.peers = peers.modified;
  end_session(lease, *session, &takeover);
}

// More of its VIPs than fitted in the first txn, and the next one failed.
void Core::Impl::go_on_ending() {
  for (auto& [lease, takeover] : takeovers_.sessions) {
    const bool begun = takeover.peers != 0 && takeover.end != 0 &&
                       takeover.told < takeover.vips.size() && takeover.ending == 0;
    const View::Session* session = view_.session(lease);
    if (!begun || session == nullptr || !session->present) continue;
    if (due(takeover.next_try)) end_session(lease, *session, &takeover);
  }
}

}  // namespace vipd
