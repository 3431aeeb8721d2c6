// The owner's side of the peer lease (ARCHITECTURE.md, "The peer lease"): the terms that it obeys,
// what their grantors granted, until when it may own; and the course of all that. Judges, never
// sends.
#pragma once

#include <cassert>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "vipd/counts.hpp"
#include "vipd/event.hpp"
#include "vipd/peer.hpp"
#include "vipd/types.hpp"

namespace vipd {

using LinkNames = std::vector<std::string>;

// A term with what was asked and granted in it.
class Term {
 public:
  Term(PeerTerm key, MonoTime since) : key_(std::move(key)), since_(since), members_(members()) {}

  [[nodiscard]] const PeerTerm& key() const { return key_; }
  // When it was tried first, or found.
  [[nodiscard]] MonoTime since() const { return since_; }

  // A request to one of the grantors. [safety] `now` is before the send: what it grants counts from
  // then.
  void asked(uint64_t incarnation, uint64_t nonce, MonoTime now);
  // Its answer, which came on that link. Returns how long it took; nothing when no such request is
  // outstanding.
  std::optional<Duration> granted(uint64_t incarnation, uint64_t nonce, const std::string& link,
                                  MonoTime now);
  // [safety] Nothing that was granted counts any more.
  void forget_grants();

  // The moment at which the grant of so many of its grantors ends. [safety] A grant counts on none
  // of these links before it came on all of them. long_ago() with too few; never() without links,
  // where there is nothing to guard.
  [[nodiscard]] MonoTime deadline(const LinkNames& links) const;
  // The moment at which the first of the grants of all its grantors ends; long_ago() without links.
  [[nodiscard]] MonoTime first_end(const LinkNames& links) const;
  // Those whose newest grant on all of these links was asked for at `since` or later.
  [[nodiscard]] std::vector<Grantor> granted_since(MonoTime since, const LinkNames& links) const;
  // When the newest request was sent that this grantor granted on all of these links.
  [[nodiscard]] MonoTime newest(uint64_t incarnation, const LinkNames& links) const;
  // Whether our latest request to that grantor has no answer on that link.
  [[nodiscard]] bool ignores_us(uint64_t incarnation, const std::string& link) const;
  // Whether our latest request to that grantor, or to any, has no answer on one of these links.
  [[nodiscard]] bool lacks_answer(uint64_t incarnation, const LinkNames& links) const;
  [[nodiscard]] bool lacks_answer(const LinkNames& links) const;
  // Keeps only these of its grantors. REQUIRES: it is not obeyed yet.
  void keep_only(const std::vector<Grantor>& kept);

  MonoTime renew_at;  // when to ask all again
  MonoTime again_at;  // and when those whose answer is missing

 private:
  struct Request {
    uint64_t nonce = 0;
    MonoTime sent;
  };
  struct Member {
    Grantor who;
    std::vector<Request> asked{};               // outstanding, oldest first
    std::map<std::string, MonoTime> granted{};  // by link: when that request was sent
  };

  [[nodiscard]] std::vector<Member> members() const;
  [[nodiscard]] Member* find(uint64_t incarnation);
  [[nodiscard]] static MonoTime newest(const Member& member, const LinkNames& links);

  PeerTerm key_;
  MonoTime since_;
  std::vector<Member> members_;
};

class PeerLease {
 public:
  // --- a term that is tried, and not obeyed
  void try_term(PeerTerm key, MonoTime now);
  void drop_try() { trying_.reset(); }
  [[nodiscard]] std::optional<Term>& trying() { return trying_; }
  [[nodiscard]] const std::optional<Term>& trying() const { return trying_; }

  // --- the terms that are obeyed
  // [safety] To be called before the link that enters the tried term is sent. Obeyed from now on,
  // until the chain says which of all is in force.
  void entering(const PeerTerm& key);
  // The chain has moved by a link that entered this term, or left it, or neither (nullptr, false).
  // Whatever else was tried at the same end certainly never happens.
  void settled(const PeerTerm* entered, bool left, Revision revision);
  // A session of a former process is taken up, and its key was found at that revision.
  void take_up(PeerTerm key, Revision revision, MonoTime now);
  // Where etcd takes no writes: the key of that revision is known to be gone. [safety] That ends no
  // other term, least of all one that is still being entered.
  void deleted(Revision revision);
  // The session is over.
  void close();
  // [safety] After a suspend nothing counts that was granted before.
  void forget_grants();

  [[nodiscard]] bool obeys() const { return in_force_.has_value() || !entering_.empty(); }
  [[nodiscard]] const std::optional<Term>& in_force() const { return in_force_; }
  [[nodiscard]] Revision revision() const { return revision_; }  // of the key in force
  [[nodiscard]] bool is_entering() const { return !entering_.empty(); }
  [[nodiscard]] bool is_entering(const PeerTerm& key) const;
  // [safety] Of all that are obeyed, the earliest.
  [[nodiscard]] MonoTime deadline(const LinkNames& links) const;
  // All that are obeyed or tried.
  [[nodiscard]] std::vector<Term*> terms();
  [[nodiscard]] std::vector<const Term*> obeyed() const;
  [[nodiscard]] Term* find(uint64_t number);

 private:
  std::optional<Term> trying_;
  std::optional<Term> in_force_;
  std::vector<Term> entering_;  // by attempts at the chain's present end
  Revision revision_ = 0;
};

// The course of our own peer lease: on which links it is asked for, when a term is tried, entered
// and left, and why there is none.
class OwnTerms {
 public:
  // --- links
  // Those that may have an address of a VIP, and the deadline that follows for it.
  void carry(LinkNames links) { carrying_ = std::move(links); }
  [[nodiscard]] const LinkNames& carrying() const { return carrying_; }
  void set_deadline(MonoTime deadline) { deadline_ = deadline; }
  [[nodiscard]] MonoTime deadline() const { return deadline_; }
  // Those, and the ones that are about to get one. True when one is new.
  bool ask_on(LinkNames links, MonoTime now);
  [[nodiscard]] const LinkNames& asking() const { return asking_; }
  [[nodiscard]] MonoTime asking_since() const { return asking_since_; }

  // --- trying
  [[nodiscard]] MonoTime try_at() const { return try_at_; }
  void try_at(MonoTime time) { try_at_ = time; }
  // One is tried until then, for its grantors to answer.
  void trying(MonoTime until);
  [[nodiscard]] MonoTime try_until() const { return try_until_; }
  // It has its grantors: the next link enters it.
  void ready() { ready_ = true; }
  [[nodiscard]] bool is_ready() const { return ready_; }
  // None is entered. True when that, or the reason, is new.
  [[nodiscard]] bool refused(const std::string& why);
  [[nodiscard]] const std::string& refusal() const { return refusal_; }

  // --- in force
  // `changed`: in the place of another one.
  void entered(MonoTime now, bool changed);
  [[nodiscard]] MonoTime entered_at() const { return entered_at_; }

  // --- leaving
  // The terms are to be left, until the chain has said so. REQUIRES: !is_leaving(), a reason.
  void leave(std::string why);
  [[nodiscard]] bool is_leaving() const { return !leaving_.empty(); }
  [[nodiscard]] const std::string& leaving() const { return leaving_; }
  // Nothing is obeyed any more; one that was never in force does not count.
  void left(bool was_in_force, MonoTime try_at);
  // The session is over; `obeyed`: and a term with it.
  void lost(bool obeyed, MonoTime now);
  [[nodiscard]] const std::string& left_because() const { return left_because_; }

  // --- the deletion of its key, where etcd takes no writes
  [[nodiscard]] bool is_deleting() const { return deleting_ != 0; }
  [[nodiscard]] MonoTime delete_at() const { return delete_at_; }
  // [safety] Of the key at that revision and no other. REQUIRES: !is_deleting().
  void deleting(RequestId request, Revision revision, MonoTime next);
  [[nodiscard]] Revision deleting_revision() const { return deleting_revision_; }
  // Whether it is that one; it is answered or has failed then.
  [[nodiscard]] bool take_deletion(RequestId request);

  TermCounts counts;

 private:
  LinkNames carrying_;
  LinkNames asking_;
  MonoTime asking_since_;  // when the last of them was added
  MonoTime deadline_ = MonoTime::never();
  bool ready_ = false;
  MonoTime try_at_ = MonoTime::long_ago();
  MonoTime try_until_;
  std::string refusal_;
  MonoTime entered_at_ = MonoTime::long_ago();
  std::string leaving_;
  std::string left_because_;
  RequestId deleting_ = 0;
  Revision deleting_revision_ = 0;
  MonoTime delete_at_ = MonoTime::long_ago();
};

}  // namespace vipd
