// The marks of owners that may hold on without etcd (ARCHITECTURE.md): who may say that one has let
// go, who has to wait for that, and who deletes the mark then.
#include <algorithm>
#include <cassert>

#include "core/core_impl.hpp"
#include "core/timing.hpp"

namespace vipd {

namespace {

constexpr Duration kDeleteAgain = Duration::seconds(1);

}  // namespace

// --- the word

void Core::Impl::heard_word(LeaseId lease, const PeerTerm& term, uint64_t from) {
  HeardWord& word = hold_.words[lease];
  if (word.term != term.number) word = {.term = term.number};
  word.expired.insert(from);
}

// One is enough: without its grants the owner does not hold on.
bool Core::Impl::has_word(LeaseId lease, const View::Peers& mark) const {
  if (spoken_for(mark.term) != nullptr && promises_.expired(mark.term.number)) return true;
  const auto found = hold_.words.find(lease);
  return found != hold_.words.end() && found->second.term == mark.term.number &&
         !found->second.expired.empty();
}

// [safety] The owner that may still have the VIP, whatever etcd says of it: its mark is there, and
// it has not shown that it let go. While its session is there, no other node's word counts.
const View::Peers* Core::Impl::may_be_held(const Vip& vip) const {
  for (const View::Suspect& suspect : view_.queue(vip.settings.address).suspects) {
    const View::Peers* mark = view_.mark(suspect.lease);
    if (suspect.lease == chain_.lease() || mark == nullptr) continue;
    const View::Session* session = view_.session(suspect.lease);
    if (session != nullptr && session->present) {
      if (session->seen < suspect.since) return mark;
    } else if (!has_word(suspect.lease, *mark)) {
      return mark;
    }
  }
  return nullptr;
}

std::string Core::Impl::may_be_held_reason(const Vip& vip) const {
  const View::Peers* mark = may_be_held(vip);
  if (mark == nullptr) return "";
  return mark->node + " may still have it, and none of " + nodes_of(mark->term) +
         " has said that it let go";
}

// --- processes that are no more

Host Core::Impl::own_host() const {
  for (const Vip& vip : vips_) {
    if (const MacAddress mac = link_of(vip).mac; mac != MacAddress{}) {
      return {.boot = settings_.boot, .mac = mac};
    }
  }
  return {};
}

// [safety] One daemon per state directory, and two live hosts never share a MAC address: of this
// host, but of an earlier boot, or with our state directory before us. A copy of the directory on
// another host speaks for nobody.
bool Core::Impl::is_dead(const Grantor& who) const {
  if (!who.host.known() || settings_.boot == 0) return false;
  const bool here = std::any_of(links_.begin(), links_.end(),
                                [&](const auto& item) { return item.second.mac == who.host.mac; });
  return here && (who.host.boot != settings_.boot || hold_.is_former(who.incarnation));
}

// The grantor that this process may speak for: itself, or a former process.
const Grantor* Core::Impl::spoken_for(const PeerTerm& term) const {
  if (const Grantor* own = own_entry(term)) return own;
  for (const Grantor& grantor : term.grantors) {
    if (is_dead(grantor)) return &grantor;
  }
  return nullptr;
}

// --- marks that are left

void Core::Impl::session_is_lost() {
  if (chain_.lease() == LeaseId::None) return;
  hold_.lost.emplace(chain_.lease(), LostSession{});
  hold_.ended(session_.incarnation());
}

// [safety] Those of former processes let go once nothing that they may have left is on a link, and
// what was granted to them has run out.
void Core::Impl::judge_lost() {
  if (hold_.lost.empty() && view_.marks().empty()) return;
  const bool clear = std::all_of(vips_.begin(), vips_.end(),
                                 [](const Vip& vip) {
                                   return vip.address != Vip::AddressState::Removing &&
                                          vip.address != Vip::AddressState::Inherited;
                                 }) &&
                     std::all_of(links_.begin(), links_.end(), [](const auto& item) {
                       return item.first.empty() || item.second.known;
                     });
  for (auto& [lease, lost] : hold_.lost) {
    lost.let_go = lost.let_go || (due(lost.not_before) && clear);
  }
  for (const auto& [lease, mark] : view_.marks()) {
    if (!is_dead(mark.owner)) continue;
    const Duration timeout = timing::with_drift(mark.term.timeout);
    hold_.lost.try_emplace(lease, LostSession{.not_before = now_ + timeout});
  }
}

void Core::Impl::drive_marks() {
  std::erase_if(hold_.words, [this](const auto& item) { return !view_.mark(item.first); });
  std::erase_if(hold_.deletions, [this](const auto& item) { return !view_.mark(item.first); });
  judge_lost();
  if (!snapshot_.loaded() || !replay_.proven()) return;
  std::erase_if(hold_.lost, [this](const auto& item) { return !view_.mark(item.first); });
  for (const auto& [lease, mark] : view_.marks()) {
    const View::Session* session = view_.session(lease);
    if (lease == chain_.lease() || (session != nullptr && session->present)) continue;
    const auto own = hold_.lost.find(lease);
    const bool let_go = own != hold_.lost.end() && own->second.let_go;
    if (let_go || has_word(lease, mark)) delete_mark(lease, mark, true);
  }
}

// The one that was seen, and no newer one.
void Core::Impl::delete_mark(LeaseId lease, const View::Peers& mark, bool orphan) {
  MarkDeletion& deletion = hold_.deletions[lease];
  if (deletion.request != 0 || !due(deletion.again)) return;
  const Key key{KeyKind::Hold, lease, {}};
  const Key session{KeyKind::Session, lease, {}};
  Txn txn;
  txn.compares = {{.kind = Compare::Kind::ModifiedIs, .key = key, .revision = mark.modified}};
  if (orphan) txn.compares.push_back({.kind = Compare::Kind::Absent, .key = session});
  txn.success = {{.kind = Op::Kind::Delete, .key = key}};
  txn.failure = {{.kind = Op::Kind::Range, .key = key}};
  const bool first = deletion.again == MonoTime::long_ago();
  if (first) report(ReportKind::MarkDeleted, mark.node + " has let go of what it held");
  deletion.again = now_ + kDeleteAgain;
  deletion.request = next_request();
  emit(action::SendTxn{
      .request = deletion.request, .group = static_cast<uint64_t>(lease), .txn = std::move(txn)});
}

bool Core::Impl::mark_deletion_answered(RequestId request) {
  for (auto& [lease, deletion] : hold_.deletions) {
    if (deletion.request != request) continue;
    deletion.request = 0;
    return true;
  }
  return false;
}

// The operator's word that whoever may have it is off, of the marks that are seen now.
void Core::Impl::on(const event::TakeAsked& e) {
  for (const View::Suspect& suspect : view_.queue(e.vip).suspects) {
    const View::Peers* mark = view_.mark(suspect.lease);
    if (mark == nullptr || suspect.lease == chain_.lease()) continue;
    delete_mark(suspect.lease, *mark, false);
  }
}

}  // namespace vipd
