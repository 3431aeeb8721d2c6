// The owner's side of the peer lease (ARCHITECTURE.md, "The peer lease"): the terms that it obeys,
// what their grantors granted, and until when it may own. Judges, never sends.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

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
  // The moment at which the first of the grants of all its grantors ends;
  // long_ago() without links.
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

}  // namespace vipd
