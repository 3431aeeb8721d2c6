// What the core wants done, in the order in which it must be done.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "vipd/event.hpp"
#include "vipd/state.hpp"
#include "vipd/store.hpp"
#include "vipd/types.hpp"

namespace vipd {

// What a Report is about; the seam gives it a log level and may count it.
#define VIPD_REPORTS(X)                                                      \
  X(Connected)   /* etcd answered, after it had not */                       \
  X(Unreachable) /* said once, not with each failed try */                   \
  X(SessionOpened)                                                           \
  X(SessionTakenUp)  /* that of this node's former process */                \
  X(Fenced)          /* the session was lost; all addresses go */            \
  X(AuthorityLost)   /* the fencing deadline came; all addresses go */       \
  X(TakeoverTried)   /* a silent head's session is about to be deleted */    \
  X(TakeoverRefused) /* it lives after all */                                \
  X(TakeoverDone)                                                            \
  X(OrphanRevoked) /* keys without a session: their lease is revoked */      \
  X(WatchReplaced)                                                           \
  X(HistoryLost)      /* compaction: waiting as after a start */             \
  X(ClusterUnclear)   /* which one is the right one */                       \
  X(ClusterChanged)   /* another cluster, or restored from a backup */       \
  X(AddressFailed)    /* the kernel refused */                               \
  X(AddressRestored)  /* somebody removed it; it is back */                  \
  X(ConflictSeen)     /* a foreign host claims an address */                 \
  X(ConflictDefended) /* once etcd has confirmed that the address is ours */ \
  X(ConflictOver)     /* nobody answers any more */                          \
  X(ReleaseGivenUp)   /* stopped without telling etcd */                     \
  X(NoSpace)          /* etcd takes no writes: heartbeats are reads */       \
  X(HandedOver)       /* to another, by priority or as asked */              \
  X(TransferGivenUp)  /* the node that was asked for is not ready */         \
  X(SpaceAgain)                                                              \
  X(TermEntered) /* the other nodes renew our peer lease */                  \
  X(TermLeft)    /* and no longer: why */                                    \
  X(TermRefused) /* no term is entered: why */                               \
  X(TermExpired) /* here: the owner has asked for no grant in time */        \
  X(HoldBegun)   /* etcd is away, and all grantors agree that we keep */     \
  X(HoldEnded)   /* and how that ended */                                    \
  X(HoldRefused) /* peer.hold = yes, but somebody ignores marks */           \
  X(GrantsEnded) /* an owner whose session is gone or silent */              \
  X(MarkDeleted) /* of one that has let go */                                \
  X(NodesDiffer) /* what should be the same on all nodes, or must not */

#define VIPD_ENUMERATOR(value) value,
enum class ReportKind { VIPD_REPORTS(VIPD_ENUMERATOR) };
#undef VIPD_ENUMERATOR

namespace action {

// clang-format off
// Only members of this cluster are to be used from now on.
struct UseCluster { uint64_t cluster; };

// Requests to etcd. Each is answered by exactly one event that names it, however late.
struct GrantLease { RequestId request; Duration ttl; };
struct KeepLease { LeaseId lease; };
struct RevokeLease { RequestId request; LeaseId lease; };
// Attempts of one non-zero `group` under way at once should go to different members.
struct SendTxn { RequestId request; uint64_t group; Txn txn; };
struct ReadPrefix { RequestId request; };
// Replaces the watch that is open, if any. avoid_current: rather at another member.
struct OpenWatch { Revision from; bool avoid_current; };

// The kernel. Adds, or renews the lifetime. The completion must be reported at once, with the clock
// read anew, before any other action is performed (ARCHITECTURE.md, "Authority").
struct AddAddress { Address address; int lifetime_s; };
struct RemoveAddress { Address address; };
// Runs the program of a VIP; with `goes_on` it only moves the end of that run, and does nothing if
// it has ended: AcquireEnded is on its way. [safety] It is ended at `until` at the latest, with all
// that it has started, whatever becomes of this process. AcquireEnded follows in any case.
struct Acquire { Address address; uint64_t run; MonoTime until; bool goes_on = false; };
struct EndAcquire { Address address; uint64_t run; };  // at once
struct SendAnnouncement { Address address; };
// Asks whether another host has the address; an answer comes as ForeignClaim.
struct SendProbe { Address address; };

// The packet fence: from that instant on no packet of a VIP passes; never(): all pass. [safety] Nor
// does any once the host was suspended since: `suspended` is the one of the step that asks for this.
struct SetFence { MonoTime deadline; Duration suspended{}; };
// A frame to another daemon on that link; without a MAC address to all.
struct SendPeerFrame { PeerFrame frame; std::string link; std::optional<MacAddress> to{}; };

// The state directory: replaces what was remembered; a Memory without a cluster forgets.
struct Remember { Memory memory; };

// People.
struct ReportState {
  Address address;
  VipState from;
  VipState to;
  std::string reason;
  TakeoverCause cause = TakeoverCause::First;  // when `to` is Owner
  bool again = false;  // ... and nobody else can have had it since this node did
};
struct Report { ReportKind kind; std::string text; Address address{}; };  // if it is about one
struct Finish {};  // everything that StopAsked wanted is done
// clang-format on

}  // namespace action

using Action = std::variant<action::UseCluster, action::GrantLease, action::KeepLease,
                            action::RevokeLease, action::SendTxn, action::ReadPrefix,
                            action::OpenWatch, action::AddAddress, action::RemoveAddress,
                            action::Acquire, action::EndAcquire, action::SendAnnouncement,
                            action::SendProbe, action::SetFence, action::SendPeerFrame,
                            action::Remember, action::ReportState, action::Report, action::Finish>;
using Actions = std::vector<Action>;

}  // namespace vipd
