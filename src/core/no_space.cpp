// An etcd that takes no writes (ARCHITECTURE.md, "When etcd takes no writes"): heartbeats are
// reads, and keys are deleted without a word.
#include <algorithm>

#include "core/core_impl.hpp"
#include "core/timing.hpp"

namespace vipd {

namespace {

constexpr size_t kMaxReads = 16;

const Entry* find_entry(const std::vector<Entry>& entries, const Key& key) {
  for (const Entry& entry : entries) {
    if (entry.key == key) return &entry;
  }
  return nullptr;
}

}  // namespace

void Core::Impl::space_ran_out() {
  if (no_space_) return;
  no_space_ = true;
  report(ReportKind::NoSpace,
         "etcd takes no writes (NOSPACE): heartbeats are reads until it does; compact, defragment "
         "and disarm the alarm");
}

void Core::Impl::space_is_back() {
  if (!no_space_) return;
  forget_no_space();
  report(ReportKind::SpaceAgain, "etcd takes writes again");
}

void Core::Impl::forget_no_space() {
  no_space_ = reader_ = false;
  deleting_ = 0;
  beat_reads_.clear();
}

bool Core::Impl::writes_deleted() const {
  const View::Session* own = view_.session(chain_.lease());
  return own != nullptr && own->present && !own->writes && view_.applied() >= chain_.end();
}

void Core::Impl::drive_no_space() {
  if (!no_space_ || !loaded_ || session_state_ != SessionState::Live || revoking_ != 0) return;
  delete_keys();
  // [safety] As long as it is there, the others take silence for death.
  if (!writes_deleted()) return;
  if (reader_) return beat_by_reading();
  if (deleting_ != 0) return;
  fence("etcd takes no writes, and its writes key was deleted by somebody else", true);
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
    if (txn.success.size() > kMaxLinkSize || !to_leave(vip)) continue;
    const Key key{KeyKind::Candidate, chain_.lease(), vip.settings.address};
    txn.success.push_back({.kind = Op::Kind::Delete, .key = key});
  }
  if (txn.success.empty() || deleting_ != 0 || !due(delete_at_)) return;
  const Key session{KeyKind::Session, chain_.lease(), {}};
  txn.compares = {{.kind = Compare::Kind::ModifiedIs, .key = session, .revision = chain_.end()}};
  txn.failure = {{.kind = Op::Kind::Range, .key = session}};
  // [safety] Nothing tells whether such a deletion that got no answer is still under way.
  for (const Op& op : txn.success) {
    Vip* vip = op.key.kind == KeyKind::Candidate ? find(op.key.vip) : nullptr;
    if (vip != nullptr) vip->key.retire(key_created(*vip));
  }
  deleting_ = next_request();
  delete_at_ = now_ + timing::hedge_after(settings_.timeout);
  emit(action::SendTxn{
      .request = deleting_, .group = static_cast<uint64_t>(chain_.lease()), .txn = std::move(txn)});
}

void Core::Impl::beat_by_reading() {
  const Duration interval = beat_interval();
  if (interval > settings_.timeout) return;  // nobody needs its authority
  const Duration hedge = timing::hedge_after(settings_.timeout);
  if (!due(beat_read_at_ + (beat_reads_.empty() ? interval : hedge))) return;
  if (beat_reads_.size() == kMaxReads) beat_reads_.erase(beat_reads_.begin());
  const RequestId request = next_request();
  beat_reads_.push_back({.request = request, .sent = now_});
  beat_read_at_ = now_;
  due(now_ + hedge);
  emit(action::ReadPrefix{.request = request});
}

// [safety] It counts from before it was sent, and only while nobody may take us for dead: our
// session key is the end of our chain and has no `writes` key. Of each VIP the key must be there.
bool Core::Impl::beat_read(const event::PrefixRead& e) {
  const auto found = std::find_if(beat_reads_.begin(), beat_reads_.end(),
                                  [&](const BeatRead& r) { return r.request == e.request; });
  if (found == beat_reads_.end()) return false;
  const MonoTime sent = found->sent;
  beat_reads_.erase(beat_reads_.begin(), found + 1);
  if (!same_history(e.header, e.request)) return true;
  connected();
  const LeaseId lease = chain_.lease();
  const Entry* session = find_entry(e.entries, {KeyKind::Session, lease, {}});
  const bool writes = find_entry(e.entries, {KeyKind::Writes, lease, {}}) != nullptr;
  for (Vip& vip : vips_) {
    const Entry* key = find_entry(e.entries, {KeyKind::Candidate, lease, vip.settings.address});
    vip.key.read(key == nullptr ? 0 : key->created);
  }
  const MonoTime before = chain_.deadline();
  settle(chain_.read(now_, sent, session, e.header.revision, writes));
  if (chain_.deadline() > before) authority_renewed();
  if (chain_.live() && chain_.by_read()) kernel_.renew_at(now_);
  return true;
}

// [safety] Reads leave no trace that another process of the same session (a clone of this machine)
// could stumble upon, so only one may live on them: the one that saw its own txn delete the key.
bool Core::Impl::deletion_answered(const event::TxnAnswered& e) {
  if (deleting_ == 0 || e.request != deleting_) return false;
  deleting_ = 0;
  const Key writes{KeyKind::Writes, chain_.lease(), {}};
  if (e.succeeded && find_entry(e.entries, writes) != nullptr) reader_ = true;
  return true;
}

}  // namespace vipd
