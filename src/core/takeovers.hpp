// What is remembered of other nodes' sessions that are being ended. State only: when one may be
// ended is decided by the rules of Core::Impl.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <vector>

#include "vipd/event.hpp"
#include "vipd/types.hpp"

namespace vipd {

// A session that fell silent, being taken over.
struct Takeover {
  RequestId ending = 0;       // the txn under way, the last one sent
  RequestId revoking = 0;     // the revocation under way
  uint64_t nonce = 0;         // of our attempts: it tells our own late twin
  Revision end = 0;           // of the session key as we put it; 0: not ended by us
  std::vector<Address> vips;  // whose candidate keys go with it
  size_t told = 0;            // of those, how many are gone
  MonoTime next_try = MonoTime::long_ago();
  MonoTime again_at;  // when it is sent once more for want of an answer
  int tries = 0;
  Revision judged = 0;  // where its session key stood at our last attempt
  int refusals = 0;     // since then
  MonoTime shown;       // at that attempt: since when it had shown nothing
  int revocations = 0;
  bool no_space = false;  // etcd takes no put: the session key is deleted instead
  // The revision of its peer lease's key, if the grantors say that the lease has expired; 0: the
  // session fell silent in etcd.
  Revision peers = 0;
};

// The grantors of a term in force that say that it has expired.
struct Word {
  Revision modified = 0;                   // of its key
  std::set<uint64_t> expired{};            // their incarnations
  MonoTime enough_at = MonoTime::never();  // since when so many do that its owner may be ended
};

// By the lease of the session that is ended.
struct Takeovers {
  std::map<LeaseId, Takeover> sessions;
  std::map<LeaseId, Word> words;
};

}  // namespace vipd
