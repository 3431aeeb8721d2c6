#include "sim/story.hpp"

#include <cstdarg>

#include "sim/tally.hpp"

namespace sim {

namespace {

std::string text(const char* format, ...) __attribute__((format(printf, 1, 2)));
std::string text(const char* format, ...) {
  char buffer[400];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(buffer, sizeof buffer, format, arguments);
  va_end(arguments);
  return buffer;
}

long long number(int64_t n) {
  return n;
}

std::string key_text(const vipd::Key& key) {
  switch (key.kind) {
    case vipd::KeyKind::Session:
      return "session/" + vipd::lease_hex(key.lease);
    case vipd::KeyKind::Writes:
      return "writes/" + vipd::lease_hex(key.lease);
    case vipd::KeyKind::Candidate:
      return "vip/" + key.vip.text() + "/" + vipd::lease_hex(key.lease);
    case vipd::KeyKind::Hold:
      return "hold/" + vipd::lease_hex(key.lease);
    case vipd::KeyKind::Peers:
      return "peers/" + vipd::lease_hex(key.lease);
  }
  return "";
}

std::string nonce_text(const vipd::Value& value) {
  if (!value.valid) return "(foreign)";
  return text("%04llx%s", static_cast<unsigned long long>(value.nonce & 0xffff),
              value.held       ? " released, held"
              : value.released ? " released"
                               : "");
}

std::string term_text(const vipd::PeerTerm& term) {
  return text("%04llx of %zu for %lld ms", static_cast<unsigned long long>(term.number & 0xffff),
              term.grantors.size(), number(term.timeout.ms()));
}

std::string txn_text(const vipd::Txn& txn) {
  std::string out = "if";
  for (const vipd::Compare& c : txn.compares) {
    out += " " + key_text(c.key);
    if (c.kind == vipd::Compare::Kind::ModifiedIs) out += text("@r%lld", number(c.revision));
    if (c.kind == vipd::Compare::Kind::CreatedIs) out += text("#r%lld", number(c.revision));
    if (c.kind == vipd::Compare::Kind::Absent) out += " absent";
    if (c.kind == vipd::Compare::Kind::Exists) out += " exists";
  }
  out += ":";
  for (const vipd::Op& op : txn.success) {
    const bool put = op.kind == vipd::Op::Kind::Put;
    out += (put ? " put " : " delete ") + key_text(op.key);
    if (put && op.key.kind == vipd::KeyKind::Session) out += " " + nonce_text(op.value);
    if (put && op.key.kind == vipd::KeyKind::Peers) out += " " + term_text(op.value.peers);
  }
  return out;
}

std::string frame_text(const vipd::PeerFrame& frame) {
  static const char* const kKinds[] = {"renew", "grant", "expired"};
  return text("%s %04llx from %04llx to %04llx nonce %04llx",
              kKinds[static_cast<size_t>(frame.kind)],
              static_cast<unsigned long long>(frame.term & 0xffff),
              static_cast<unsigned long long>(frame.from & 0xffff),
              static_cast<unsigned long long>(frame.to & 0xffff),
              static_cast<unsigned long long>(frame.nonce & 0xffff));
}

struct Describe {
  std::string operator()(const vipd::event::Ticked&) { return "Ticked"; }
  std::string operator()(const vipd::event::EndpointNamed& e) {
    return text("EndpointNamed %lld cluster ", number(static_cast<int64_t>(e.endpoint))) +
           vipd::cluster_hex(e.cluster);
  }
  std::string operator()(const vipd::event::LeaseGranted& e) {
    return text("LeaseGranted #%lld ", number(static_cast<int64_t>(e.request))) +
           vipd::lease_hex(e.lease);
  }
  std::string operator()(const vipd::event::LeaseKept& e) {
    return "LeaseKept " + vipd::lease_hex(e.lease) + (e.alive ? "" : " DEAD");
  }
  std::string operator()(const vipd::event::LeaseRevoked& e) {
    return text("LeaseRevoked #%lld", number(static_cast<int64_t>(e.request)));
  }
  std::string operator()(const vipd::event::TxnAnswered& e) {
    std::string out = text("TxnAnswered #%lld r%lld %s", number(static_cast<int64_t>(e.request)),
                           number(e.header.revision), e.succeeded ? "done" : "REFUSED");
    for (const vipd::Entry& entry : e.entries) {
      out += " " + key_text(entry.key) + text("@r%lld ", number(entry.modified)) +
             nonce_text(entry.value);
    }
    return out;
  }
  std::string operator()(const vipd::event::PrefixRead& e) {
    std::string out =
        text("PrefixRead #%lld cluster %llu r%lld", number(static_cast<int64_t>(e.request)),
             static_cast<unsigned long long>(e.header.cluster_id), number(e.header.revision));
    for (const vipd::Entry& entry : e.entries) {
      out += " " + key_text(entry.key) +
             text("(r%lld,r%lld)", number(entry.created), number(entry.modified));
    }
    return out;
  }
  std::string operator()(const vipd::event::RequestFailed& e) {
    return text("RequestFailed #%lld %s", number(static_cast<int64_t>(e.request)),
                e.reason.c_str());
  }
  std::string operator()(const vipd::event::WatchCreated& e) {
    return text("WatchCreated r%lld", number(e.header.revision));
  }
  std::string operator()(const vipd::event::WatchAdvanced& e) {
    std::string out = text("WatchAdvanced r%lld:", number(e.header.revision));
    for (const vipd::Change& change : e.changes) out += " " + describe(change);
    return out;
  }
  std::string operator()(const vipd::event::WatchEnded& e) {
    return e.compacted ? "WatchEnded compacted" : "WatchEnded";
  }
  std::string operator()(const vipd::event::LinkChanged& e) {
    return "LinkChanged " + e.link + (e.present ? "" : " missing") + (e.up ? " up" : " down");
  }
  std::string operator()(const vipd::event::AddressFound& e) {
    return "AddressFound " + e.address.text();
  }
  std::string operator()(const vipd::event::AddressAdded& e) {
    return text("AddressAdded %s %d s, error %d", e.address.text().c_str(), e.lifetime_s, e.error);
  }
  std::string operator()(const vipd::event::AddressRemoved& e) {
    return text("AddressRemoved %s, error %d", e.address.text().c_str(), e.error);
  }
  std::string operator()(const vipd::event::AcquireEnded& e) {
    return "AcquireEnded " + e.address.text() + " " + (e.fault.empty() ? "good" : e.fault);
  }
  std::string operator()(const vipd::event::AddressBlocked& e) {
    const std::string lowered = " lowered by " + std::to_string(e.lowered);
    return "AddressBlocked " + e.address.text() + " " + (e.reason.empty() ? "no more" : e.reason) +
           (e.lowered == 0 ? "" : lowered);
  }
  std::string operator()(const vipd::event::HostChanged& e) {
    std::string out = text("HostChanged, %zu:", e.changes.size());
    for (const auto& each : e.changes) out += " " + std::visit(*this, each);
    return out;
  }
  std::string operator()(const vipd::event::ForeignClaim& e) {
    return "ForeignClaim " + e.address.text() + " " + e.mac.text();
  }
  std::string operator()(const vipd::event::FenceChanged& e) {
    return e.in_force ? "FenceChanged in force" : "FenceChanged off: " + e.reason;
  }
  std::string operator()(const vipd::event::PeerFrameReceived& e) {
    return "PeerFrameReceived " + frame_text(e.frame) + " on " + e.link +
           (e.fenced ? "" : " UNSEEN");
  }
  std::string operator()(const vipd::event::AddressLost& e) {
    return "AddressLost " + e.address.text() + (e.expired ? " expired" : " by somebody");
  }
  std::string operator()(const vipd::event::PauseAsked&) { return "PauseAsked"; }
  std::string operator()(const vipd::event::ResumeAsked&) { return "ResumeAsked"; }
  std::string operator()(const vipd::event::ResignAsked& e) {
    std::string out = "ResignAsked";
    for (const vipd::Address& address : e.vips) out += " " + address.text();
    return out;
  }
  std::string operator()(const vipd::event::TakeAsked&) { return "taking is asked"; }
  std::string operator()(const vipd::event::TransferAsked& e) {
    return "TransferAsked " + e.vip.text() + " to " + vipd::lease_hex(e.to);
  }
  std::string operator()(const vipd::event::StopAsked&) { return "StopAsked"; }
  std::string operator()(const vipd::event::Reconfigured& e) {
    std::string out = "Reconfigured";
    for (const vipd::VipSettings& vip : e.settings.vips) out += " " + vip.name + "@" + vip.link;
    return out;
  }

  std::string operator()(const vipd::action::UseCluster& a) {
    return "UseCluster " + vipd::cluster_hex(a.cluster);
  }
  std::string operator()(const vipd::action::GrantLease& a) {
    return text("GrantLease #%lld", number(static_cast<int64_t>(a.request)));
  }
  std::string operator()(const vipd::action::KeepLease& a) {
    return "KeepLease " + vipd::lease_hex(a.lease);
  }
  std::string operator()(const vipd::action::RevokeLease& a) {
    return text("RevokeLease #%lld ", number(static_cast<int64_t>(a.request))) +
           vipd::lease_hex(a.lease);
  }
  std::string operator()(const vipd::action::SendTxn& a) {
    return text("SendTxn #%lld ", number(static_cast<int64_t>(a.request))) + txn_text(a.txn);
  }
  std::string operator()(const vipd::action::ReadPrefix& a) {
    return text("ReadPrefix #%lld", number(static_cast<int64_t>(a.request)));
  }
  std::string operator()(const vipd::action::OpenWatch& a) {
    return text("OpenWatch from r%lld%s", number(a.from), a.avoid_current ? " elsewhere" : "");
  }
  std::string operator()(const vipd::action::AddAddress& a) {
    return text("AddAddress %s for %d s", a.address.text().c_str(), a.lifetime_s);
  }
  std::string operator()(const vipd::action::RemoveAddress& a) {
    return "RemoveAddress " + a.address.text();
  }
  std::string operator()(const vipd::action::SendProbe& a) {
    return "SendProbe " + a.address.text();
  }
  std::string operator()(const vipd::action::Acquire& a) { return "Acquire " + a.address.text(); }
  std::string operator()(const vipd::action::EndAcquire& a) {
    return "EndAcquire " + a.address.text();
  }
  std::string operator()(const vipd::action::SendAnnouncement& a) {
    return "SendAnnouncement " + a.address.text();
  }
  std::string operator()(const vipd::action::SetFence& a) {
    if (a.deadline.is_never()) return "SetFence open";
    return a.deadline == vipd::MonoTime::long_ago()
               ? "SetFence closed"
               : text("SetFence %.6f", static_cast<double>(a.deadline.ns()) / 1e9);
  }
  std::string operator()(const vipd::action::SendPeerFrame& a) {
    return "SendPeerFrame " + frame_text(a.frame) + " on " + a.link + (a.to ? "" : " to all");
  }
  std::string operator()(const vipd::action::Remember& a) {
    std::string out = "Remember " + vipd::lease_hex(a.memory.lease);
    for (const auto& [vip, revision] : a.memory.waited_out) {
      out += text(" %s@r%lld", vip.text().c_str(), number(revision));
    }
    return out;
  }
  std::string operator()(const vipd::action::ReportState& a) {
    return a.address.text() + ": " + std::string(vipd::name_of(a.from)) + " -> " +
           std::string(vipd::name_of(a.to)) + ": " + a.reason;
  }
  std::string operator()(const vipd::action::Report& a) {
    return std::string(name_of(a.kind)) + ": " + a.text;
  }
  std::string operator()(const vipd::action::Finish&) { return "Finish"; }
};

}  // namespace

void Story::add(std::string line) {
  if (print_) printf("%s\n", line.c_str());
  if (lines_.size() < kKept) {
    lines_.push_back(std::move(line));
    return;
  }
  lines_[next_] = std::move(line);
  next_ = (next_ + 1) % kKept;
}

void Story::print_last(FILE* out) const {
  for (size_t i = 0; i < lines_.size(); i++) {
    fprintf(out, "%s\n", lines_[(next_ + i) % lines_.size()].c_str());
  }
}

std::string describe(const vipd::Event& event) {
  return std::visit(Describe(), event);
}

std::string describe(const vipd::Action& action) {
  return std::visit(Describe(), action);
}

std::string describe(const vipd::Change& change) {
  const std::string key = key_text(change.entry.key);
  if (change.deleted) return "-" + key;
  if (change.entry.key.kind == vipd::KeyKind::Peers) {
    return "+" + key + " " + term_text(change.entry.value.peers);
  }
  if (change.entry.key.kind != vipd::KeyKind::Session) return "+" + key;
  return "+" + key + "=" + nonce_text(change.entry.value);
}

}  // namespace sim
