// What the runs reached: faults, transitions, reports and rules by name, counted. A line of zeros
// at the end of a long batch is a finding.
#pragma once

#include <array>
#include <cstdint>
#include <cstdio>

#include "vipd/action.hpp"
#include "vipd/state.hpp"

namespace sim {

// clang-format off
#define SIM_FAULTS(X) \
  X(ProcessPause) X(ProcessKill) X(ProcessStop) X(CallHeldUp) X(StalledInTurn) \
  X(HostCrash) X(HostPauseUnnoticed) X(HostSuspend) X(HostPauseNoticed) X(LinkFlap) \
  X(LinkMissing) X(AddressDeleted) X(KernelRefuses) X(MemberCrash) X(MemberHang) \
  X(MemberIsolated) X(MemberLags) X(MemberSlow) X(QuorumLost) X(LeaderChange) \
  X(LeaseRevokedEarly) X(NoSpace) X(Compaction) X(Restore) X(CutBoth) X(CutAnswers) \
  X(CutAll) X(SlowNetwork) X(LossyNetwork) X(WatchCut) X(SessionKeyDeleted) \
  X(CandidateDeleted) X(WritesDeleted) X(PrefixDeleted) X(LeaseRevokedByHand) \
  X(SessionScribbled) X(ForeignCandidate) X(PauseResume) X(Resign) X(Transfer) X(Reconfigure) \
  X(LanLoss) X(LanDelay) X(ForeignWrites) X(StarvedProcess) X(StateLost) X(StateStale) \
  X(StateCopied) X(MachineCloned) X(MachineRolledBack) X(CheckDown) X(Stranger) \
  X(HeldUpBeforeReading) X(Outage) X(SecondCluster) X(TermStruck) X(HoldStruck) \
  X(PeerCut) X(PeerLoss) X(PeerLate) X(PeerTwice) X(PeerSlow) X(FenceRemoved) X(PeersOff)

#define SIM_RULES(X) \
  X(Echo) X(ReadHeartbeat) X(EchoLate) X(HeadWentClean) X(HeadWentUnclean) X(SessionTakenOver) \
  X(ReleasedHeld) X(WaitCutShort) \
  X(TakeoverTxnRefused) X(LeaseExpired) X(LeaseExtended) X(TxnCommitted) X(TxnRefused) \
  X(TxnLeaseGone) X(NoSpaceRefused) X(CommittedAnswerLost) X(CommittedAfterTimeout) \
  X(KeptExecuted) X(RepeatExecuted) X(RepeatRefused) X(CommittedForDeadProcess) X(AnswerLost) \
  X(RequestLost) X(RequestTimedOut) \
  X(WatchOpened) X(WatchEnded) X(WatchEndedCompacted) X(WatchBatch) X(AddressAdded) \
  X(AddressRenewed) X(AddressRemoved) X(AddressExpired) X(AddressGoneByOthers) \
  X(LeftoverRemoved) X(LeftoverInherited) X(Announced) X(AnnouncementLost) \
  X(CacheRight) X(CleanShutdown) X(OverlapExcusedPause) X(OverlapExcusedSuspend) \
  X(OverlapExcusedCall) X(OverlapExcusedClone) X(OverlapExcusedReader) \
  X(LivenessChecked) X(LivenessNobodyMay) \
  X(LivenessNoSpace) X(QuietChecked) X(TwinFenced) X(ReaderCloned) X(ClaimHeard) \
  X(OverlapExcusedUnfenced) X(OverlapExcusedGrantors) X(PeerFrameSent) X(PeerFrameLost) X(FencedOnly) X(EndedByPeers) \
  X(Drill) X(DrillMoved) X(DrillStayed) X(StrangerHeard) X(ClusterNamed) \
  X(OverlapExcusedElsewhere) X(HeldOn) X(MarkTaken) \
  X(GroupStruck) X(GroupsChanged) X(GroupMovesIn) X(GroupInPart) X(GroupWhole)
// clang-format on

enum class Fault : uint8_t {
#define SIM_ENUM(name) name,
  SIM_FAULTS(SIM_ENUM) kCount
};
enum class Rule : uint8_t { SIM_RULES(SIM_ENUM) kCount };
#undef SIM_ENUM

// Why two may have an address at once for a while (ownership.cpp).
enum class Excuse : uint8_t {
  None,
  Pause,
  Suspend,
  Call,
  Clone,
  Reader,
  Unfenced,
  Grantors,
  Elsewhere,
  kCount
};

constexpr size_t kFaults = static_cast<size_t>(Fault::kCount);
constexpr size_t kPeerFaults = kFaults - static_cast<size_t>(Fault::PeerCut);
constexpr size_t kRules = static_cast<size_t>(Rule::kCount);
constexpr size_t kExcuses = static_cast<size_t>(Excuse::kCount);
constexpr size_t kStates = 5;
#define SIM_ONE(name) +1
constexpr size_t kReports = 0 VIPD_REPORTS(SIM_ONE);
#undef SIM_ONE

[[nodiscard]] const char* name_of(Fault fault);
[[nodiscard]] const char* name_of(Rule rule);
[[nodiscard]] const char* name_of(vipd::ReportKind kind);
[[nodiscard]] const char* words_of(Excuse excuse);

struct Tally {
  std::array<uint64_t, kFaults> faults{};
  std::array<uint64_t, kRules> rules{};
  std::array<uint64_t, kReports> reports{};
  std::array<std::array<uint64_t, kStates>, kStates> transitions{};
  uint64_t steps = 0;
  uint64_t rounds = 0;
  int64_t simulated = 0;                          // ns
  std::array<int64_t, kExcuses> worst_overlap{};  // the longest that was excused so
  int64_t worst_liveness = 0;  // the longest wait for an owner after the last fault

  void count(Fault f) { faults[static_cast<size_t>(f)]++; }
  void count(Rule r) { rules[static_cast<size_t>(r)]++; }
  void add(const Tally& other);
  void print(FILE* out) const;
};

}  // namespace sim
