// What the core is told. Events are facts about the past: a completion, a notice, a wish.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "vipd/peer.hpp"
#include "vipd/store.hpp"
#include "vipd/types.hpp"

namespace vipd {

// What a former process of this node left in the state directory (ARCHITECTURE.md, "Taking up one's
// own session after a restart"). Never a deadline.
struct Memory {
  uint64_t cluster_id = 0;  // that it was bound to; 0: there is nothing to remember
  // Where the session key stood when this was written: if it stands further back now, etcd was
  // restored from a backup in between, and what was waited out may be there again.
  Revision session_revision = 0;
  LeaseId lease = LeaseId::None;  // None: there is no session to take up
  std::string instance;
  Duration timeout;
  bool others = false;  // who owned by another cluster had not been waited out
  // Of each VIP the create revision of our key under which every former owner was waited out.
  std::map<Address, Revision> waited_out;
  // Of the processes of this state directory in this boot, each with one session, oldest first.
  std::vector<uint64_t> incarnations;
};

// Chosen by the core, unique within a process; an answer names the request that it answers.
using RequestId = uint64_t;

// What to do when a host outside the election claims an address that we own; always reported.
enum class ConflictPolicy { Defend, Release, Ignore };

struct VipSettings {
  std::string name;
  Address address;
  std::string link;
  std::optional<int> priority = 100;  // 0 to 255, higher first; none: by rendezvous hashing
  bool preempt = false;               // hand over to a standby of higher priority
  Duration preempt_delay = Duration::seconds(30);  // ... that has been ready for so long
  bool acquires = false;  // a program must succeed before the address is set
  std::string group{};    // owned with all others of it, or not at all; empty: none
  std::string blocked{};  // when reconfigured: what AddressBlocked is about to say

  bool operator==(const VipSettings&) const = default;
};

// Which etcd cluster is the right one (ARCHITECTURE.md, "One cluster").
struct ClusterSettings {
  uint64_t fixed = 0;                  // etcd.cluster; 0: auto, what more than half of them say
  std::vector<std::string> endpoints;  // as configured; REQUIRES: not empty with auto

  bool operator==(const ClusterSettings&) const = default;
};

struct Settings {
  std::string node;
  std::string instance;  // random text, new for each session
  Duration timeout;      // REQUIRES: at least 3 s (ARCHITECTURE.md, "Authority")
  Duration heartbeat;    // REQUIRES: at most a quarter of the timeout
  // The peer lease; 0: this node enters no term (it grants in those of others all the same).
  // REQUIRES: whole milliseconds, at least 100.
  Duration peer_timeout{};
  bool hold = false;  // keep the VIPs while etcd is away and all grantors grant
  int announce_count = 5;
  Duration announce_interval = Duration::seconds(1);
  Duration announce_refresh = Duration::seconds(60);  // 0: never
  ConflictPolicy conflict = ConflictPolicy::Defend;
  bool conflict_probe = false;    // ask for a foreign host where nobody knows the last owner
  std::vector<VipSettings> vips;  // REQUIRES: no address twice
  ClusterSettings cluster;
  Memory memory;        // of a former process, or empty
  uint64_t boot = 0;    // which boot of the host this is; 0: not known
  bool paused = false;  // stay out from the first; PauseAsked says it later
};

namespace event {

// clang-format off
struct Ticked {};  // a deadline may have passed; nothing else happened

// A configured endpoint has answered, as a member of this cluster. `agreed`: so have all addresses
// of its name that answered. `member` is 0 where there are several.
struct EndpointNamed {
  size_t endpoint;  // its place in the configuration, from 0 on
  uint64_t cluster;
  uint64_t member = 0;
  bool agreed = true;
  MonoTime asked = MonoTime::never();  // when the question was sent; never(): at this step
};

// Answers of etcd.
struct LeaseGranted { RequestId request; Header header; LeaseId lease; };
struct LeaseKept { LeaseId lease; bool alive; };
struct LeaseRevoked { RequestId request; };
struct TxnAnswered {
  RequestId request;
  Header header;
  bool succeeded;
  std::vector<Entry> entries;
};
// A long answer comes in parts, in order; `goes_on`: this is not the last of them.
struct PrefixRead {
  RequestId request;
  Header header;
  std::vector<Entry> entries;
  bool goes_on = false;
};
// No answer, or a refusal: a write may still have been, or yet be, executed.
// no_space: etcd takes no writes at present.
struct RequestFailed { RequestId request; std::string reason; bool no_space = false; };

// The watch. Changes are whole revisions in order; without changes: a progress notice.
struct WatchCreated { Header header; };
struct WatchAdvanced { Header header; std::vector<Change> changes; };
struct WatchEnded { bool compacted; std::string reason; };

// The kernel. `link` is the text of the configuration.
struct LinkChanged { std::string link; bool present; bool up; MacAddress mac{}; };
// error: errno, 0 done. ENODEV: the link is not there; a LinkChanged follows in any case.
struct AddressAdded { Address address; int lifetime_s; int error; };
// At the start: left there by a former process, with the lifetime that it gave it.
struct AddressFound { Address address; };
struct AddressRemoved { Address address; int error; };
// Gone without our doing; `by`: who did it, in words, as far as the kernel tells.
struct AddressLost { Address address; bool expired; std::string by{}; };
// Something on this host stands in the way, in words; empty: no longer. An owner minds it only if
// `for_owner`. `lowered`: by so much checks that are down lower our priority.
struct AddressBlocked {
  Address address; std::string reason; bool for_owner = false; int lowered = 0;
};
// The program of a VIP that action::Acquire began has ended, with all that it had started; fault:
// why it failed, in words, empty: it succeeded.
struct AcquireEnded { Address address; uint64_t run; std::string fault; };
// What the host showed in one turn, in its order: each as if it came by itself, and looked at
// together. Thousands of them are one step.
struct HostChanged {
  std::vector<std::variant<LinkChanged, AddressFound, AddressLost, AddressBlocked>> changes;
};
// A host that is not this one has spoken as the owner of the address.
struct ForeignClaim { Address address; MacAddress mac; };

// The packet fence: whether it drops the VIPs' packets, on every link concerned, once the deadline
// of SetFence has come. No term is entered before it has said so. `reason`: why not, in words.
// Each such event asks for the deadline anew, whether all links have the fence or only some.
struct FenceChanged { bool in_force; std::string reason{}; };
// A frame of another daemon, from that MAC address. A Grant counts for all names of the link:
// `aliases` are the others. `fenced`: the marks of the fence on that link show that it saw this
// frame arrive, and the request leave that a Grant answers.
struct PeerFrameReceived {
  PeerFrame frame;
  std::string link;
  std::vector<std::string> aliases{};
  MacAddress mac{};
  bool fenced = true;
};

// People.
struct PauseAsked {};
struct ResumeAsked {};
struct ResignAsked { std::vector<Address> vips; };
struct TransferAsked { Address vip; LeaseId to; };  // a candidate of that VIP
struct TakeAsked { Address vip; };  // whoever may still have it is off
struct StopAsked {};
struct Reconfigured { Settings settings; };
// clang-format on

}  // namespace event

using Event =
    std::variant<event::Ticked, event::EndpointNamed, event::LeaseGranted, event::LeaseKept,
                 event::LeaseRevoked, event::TxnAnswered, event::PrefixRead, event::RequestFailed,
                 event::WatchCreated, event::WatchAdvanced, event::WatchEnded, event::LinkChanged,
                 event::AddressFound, event::AddressAdded, event::AddressRemoved,
                 event::AddressLost, event::AddressBlocked, event::HostChanged, event::ForeignClaim,
                 event::FenceChanged, event::AcquireEnded, event::PeerFrameReceived,
                 event::PauseAsked, event::ResumeAsked, event::ResignAsked, event::TransferAsked,
                 event::TakeAsked, event::StopAsked, event::Reconfigured>;

}  // namespace vipd
