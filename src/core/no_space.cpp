// An etcd that takes no writes (ARCHITECTURE.md, "When etcd takes no writes"): heartbeats are
// reads, and keys are deleted without a word.
#include <algorithm>
#include <cassert>

#include "core/core_impl.hpp"
#include "core/timing.hpp"

namespace vipd {

namespace {

const Entry* find_entry(const std::vector<Entry>& entries, const Key& key) {
  for (const Entry& entry : entries) {
    if (entry.key == key) return &entry;
  }
  return nullptr;
}

}  // namespace

void Core::Impl::space_ran_out() {
  if (read_beats_.wanted()) return;
  read_beats_.begin();
  report(ReportKind::NoSpace,
         "etcd takes no writes (NOSPACE); sending heartbeats as reads. Compact, defragment and "
         "disarm the alarm");
}

void Core::Impl::space_is_back() {
  if (!read_beats_.wanted()) return;
  read_beats_.end();
  report(ReportKind::SpaceAgain, "etcd takes writes again");
}

bool Core::Impl::writes_deleted() const {
  const View::Session* own = view_.session(chain_.lease());
  return own != nullptr && own->present && !own->writes && view_.applied() >= chain_.end();
}

void Core::Impl::drive_no_space() {
  if (!read_beats_.wanted() || !snapshot_.loaded() || session_.state() != SessionState::Live ||
      session_.is_revoking())
    return;
  delete_keys();
  // [safety] As long as it is there, the others end a session that is silent.
  if (!writes_deleted()) return;
  if (read_beats_.reader()) return beat_by_reading();
  if (read_beats_.is_deleting()) return;
  fence("etcd takes no writes, and its writes key was deleted by another process", true);
  step_.again(now_);
}

// On the chain like any link, but without a put: it can neither move the chain's end nor say that
// the VIP was released, so the others wait.
void Core::Impl::delete_keys() {
  Txn txn;
  if (!writes_deleted()) {
    const Key writes{KeyKind::Writes, chain_.lease(), {}};
    txn.success.push_back({.kind = Op::Kind::Range, .key = writes});
    txn.success.push_back({.kind = Op::Kind::Delete, .key = writes});
  }
  for (Vip& vip : vips_) {
    if (txn.success.size() > kMaxLinkSize || kernel_.removing() || !to_leave(vip)) continue;
    const Key key{KeyKind::Candidate, chain_.lease(), vip.settings.address};
    txn.success.push_back({.kind = Op::Kind::Delete, .key = key});
  }
  // [safety] Whenever that deletion is executed: this node never holds on under the term that was
  // in force.
  if (view_.mark(chain_.lease()) != nullptr) {
    hold_.never = peer_lease_.revision();
    txn.success.push_back({.kind = Op::Kind::Delete, .key = {KeyKind::Hold, chain_.lease(), {}}});
  }
  if (txn.success.empty() || read_beats_.is_deleting() || !due(read_beats_.delete_at())) return;
  assert(chain_.end() > 0);
  const Key session{KeyKind::Session, chain_.lease(), {}};
  txn.compares = {{.kind = Compare::Kind::ModifiedIs, .key = session, .revision = chain_.end()}};
  txn.failure = {{.kind = Op::Kind::Range, .key = session}};
  // [safety] Nothing tells whether such a deletion that got no answer is still under way.
  for (const Op& op : txn.success) {
    Vip* vip = op.key.kind == KeyKind::Candidate ? find(op.key.vip) : nullptr;
    if (vip != nullptr) vip->key.retire(key_created(*vip));
  }
  const RequestId request = next_request();
  read_beats_.deleting(request, now_ + timing::hedge_after(settings_.timeout));
  emit(action::SendTxn{
      .request = request, .group = static_cast<uint64_t>(chain_.lease()), .txn = std::move(txn)});
}

void Core::Impl::beat_by_reading() {
  const Duration interval = beat_interval();
  if (interval > settings_.timeout) return;  // nobody needs its authority
  const Duration hedge = timing::hedge_after(settings_.timeout);
  if (!due(read_beats_.next_at(interval, hedge))) return;
  const RequestId request = next_request();
  read_beats_.sent(request, now_);
  due(now_ + hedge);
  emit(action::ReadPrefix{.request = request});
}

// [safety] It counts from before it was sent, and only while nobody may take us for dead: our
// session key is the end of our chain and has no `writes` key. Of each VIP the key must be there.
bool Core::Impl::beat_read(RequestId request, const Header& header,
                           const std::vector<Entry>& entries) {
  const std::optional<MonoTime> sent = read_beats_.answered(request);
  if (!sent) return false;
  if (!same_history(header, request)) return true;
  connected();
  const LeaseId lease = chain_.lease();
  const Entry* session = find_entry(entries, {KeyKind::Session, lease, {}});
  const bool writes = find_entry(entries, {KeyKind::Writes, lease, {}}) != nullptr;
  for (Vip& vip : vips_) vip.key.read(0);
  for (const Entry& entry : entries) {
    const bool is_ours = entry.key.kind == KeyKind::Candidate && entry.key.lease == lease;
    Vip* vip = is_ours ? find(entry.key.vip) : nullptr;
    if (vip != nullptr) vip->key.read(entry.created);
  }
  const MonoTime before = chain_.deadline();
  settle(chain_.read(now_, *sent, session, header.revision, writes));
  if (chain_.deadline() > before) authority_renewed();
  if (chain_.live() && chain_.by_read()) kernel_.renew_at(now_);
  return true;
}

// [safety] Reads leave no trace that another process of the same session (a clone of this machine)
// could stumble upon, so only one may live on them: the one that saw its own txn delete the key.
bool Core::Impl::deletion_answered(const event::TxnAnswered& e) {
  if (!read_beats_.take_deletion(e.request)) return false;
  const Key writes{KeyKind::Writes, chain_.lease(), {}};
  if (e.succeeded && find_entry(e.entries, writes) != nullptr) read_beats_.deleted_writes();
  return true;
}

}  // namespace vipd
