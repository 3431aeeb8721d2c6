// etcd's v3 JSON gateway on the loop: lease grant, keepalive and revoke, txn, range, and one watch.
// Picks a member for each request, keeps each request's deadline, and passes over members that
// refuse, answer with an error, hang or lag. Knows nothing of sessions, queues or addresses: keys
// and values are opaque bytes here. Never blocks. Repeats only what was refused unexecuted, for a
// token or a certificate that has been renewed (libcurl repeats more: a POST whose reused
// connection dies unanswered is sent again, so every txn given here must bear being executed
// twice).
//
// Source of names and fields: etcd's api/etcdserverpb/rpc.proto.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "etcd/purpose.hpp"
#include "etcd/tally.hpp"
#include "vipd/loop.hpp"
#include "vipd/types.hpp"
#include "web/tls_files.hpp"

namespace vipd::etcd {

using web::TlsSettings;

struct Header {  // ResponseHeader
  uint64_t cluster_id = 0;
  uint64_t member_id = 0;
  int64_t revision = 0;
  uint64_t raft_term = 0;
};

struct KeyValue {  // mvccpb.KeyValue
  std::string key;
  std::string value;
  int64_t create_revision = 0;
  int64_t mod_revision = 0;
  int64_t lease = 0;
};

struct Compare {
  enum class Target { Create, Mod };
  enum class Result { Equal, Greater };
  std::string key;
  Target target = Target::Mod;
  Result result = Result::Equal;
  int64_t revision = 0;
};

struct Op {
  enum class Kind { Put, Delete, Range };
  Kind kind = Kind::Range;
  std::string key;
  std::string range_end;  // Range only; empty: the one key
  std::string value;      // Put only
  int64_t lease = 0;      // Put only
};

struct Txn {
  std::vector<Compare> compares;
  std::vector<Op> success;
  std::vector<Op> failure;
};

// Why a request brought no answer. `code` is the gRPC code of the gateway's error body (codes.hpp),
// or one of our own.
struct Error {
  static constexpr int kTransport = -1;  // refused, reset, timed out, not resolved
  static constexpr int kBadAnswer = -2;  // not JSON, wrong types, too large, too deep
  static constexpr int kSetup = -3;      // a certificate or a port, which somebody must mend
  static constexpr int kStranger = -4;   // a member of another cluster
  int code = kTransport;
  std::string text;
  std::string endpoint;  // empty: nobody was asked

  [[nodiscard]] std::string said() const;  // the text after the endpoint, if there is one
  [[nodiscard]] bool no_space() const;     // etcd takes no writes: its space is used up
  [[nodiscard]] bool no_leader() const;    // etcd has none, as far as the member knows
  [[nodiscard]] bool compacted() const;  // the revision, or it is one of a cluster that is no more
};

// clang-format off
struct Granted { Header header; int64_t lease = 0; int64_t ttl_s = 0; };
struct KeptAlive { Header header; int64_t ttl_s = 0; };  // ttl 0: the lease is gone
// responses: how many operations were answered; kvs: of all ranges among them
struct TxnAnswer { Header header; bool succeeded = false; size_t responses = 0; std::vector<KeyValue> kvs; };
struct RangeAnswer { Header header; std::vector<KeyValue> kvs; };
// clang-format on

struct LastError {
  Error error;
  Duration age;          // since it was met last
  bool matters = false;  // nothing was answered since, or somebody has to mend it
};

struct WatchEvent {
  bool deleted = false;
  KeyValue kv;  // of a deletion: only key and mod_revision
};

// Either `answer` is set (error == nullptr) or `error` is. Exactly one call for each request, never
// from inside the call that made the request. What is in the answer may be moved out of it.
template <typename T>
using Done = std::function<void(T* answer, const Error* error)>;

struct WatchHandlers {
  // The server confirmed the watch. header.revision may be behind what was asked for (lagging
  // member).
  std::function<void(const Header&)> created;
  // Whole revisions, in order, as they arrive; header.revision is the last of them. Empty for a
  // progress notification, and where no key in them is wanted.
  std::function<void(const Header&, const std::vector<WatchEvent>&)> events;
  // The watch is over: refused, cancelled, cut, or bad bytes. compact_revision > 0: history before
  // it is lost. Nothing further is called.
  std::function<void(const Error&, int64_t compact_revision)> ended;
};

// Which keys are wanted; others are forgotten as they arrive. Empty: all.
using Wanted = std::function<bool(std::string_view key)>;

struct Range {  // [begin, end)
  std::string begin;
  std::string end;
};

// A configured endpoint has answered as a member of this cluster; so have all addresses of its name
// that answered, if `agreed`.
struct Named {
  size_t endpoint = 0;  // its place in Options::endpoints
  uint64_t cluster = 0;
  uint64_t member = 0;  // 0: several addresses
  bool agreed = true;
  MonoTime asked;  // when the question was sent that was answered last
};

// What people are told of a member.
struct MemberView {
  std::string endpoint;
  uint64_t cluster = 0;    // that it named last; 0: none yet
  bool stranger = false;   // that is another one than ours
  bool configured = true;  // not from etcd's own list
  std::string members;     // of a stranger's cluster, by name, where it has said so
};

struct Options {
  // As web::parse_endpoint() reads them, in order of preference.
  std::vector<std::string> endpoints;
  // For each request; Grpc-Timeout says the same.
  Duration request_timeout = Duration::milliseconds(800);
  bool discover = false;  // further members, from etcd's own list of them
  TlsSettings tls;
  std::string user;  // empty: no authentication
  std::string password_file;
  uint64_t cluster = 0;  // whose members are used from the start; see use_cluster()
  // How often each endpoint is asked for its cluster when nothing else is asked of it; 0: never.
  Duration ask_every;
  std::string key;          // that is read for it, which need not be there
  std::string needs;        // for people: the permission that whoever asks must have
  Wanted wanted;            // of a snapshot and of the watch
  size_t room = kRoomBase;  // bytes for the keys that are wanted (purpose.hpp)
};

class Client {
 public:
  Client(Loop& loop, Options options);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Takes other endpoints and timeouts into use; requests under way go on. What endpoints have
  // named is told anew; Options::cluster has no meaning here.
  void reconfigure(Options options);

  // Which cluster the endpoints name: each at first, when it changes, and with each answer to a
  // question for it. Called in a later turn than the call that asked.
  void on_named(std::function<void(const Named&)> call);
  // Only members of that cluster are used from now on (0: none, so each call fails); answers of
  // others are errors with kStranger, and end the watch.
  void use_cluster(uint64_t cluster);

  // Requests of one non-zero `group` that are sent while earlier ones of it are unanswered, or just
  // after one of them failed, go to different members as far as there are any (hedging).
  using Group = uint64_t;

  void grant(int64_t ttl_s, Done<Granted> done);
  void keep_alive(int64_t lease, Done<KeptAlive> done);
  void revoke(int64_t lease, Done<Header> done);  // "lease not found" (kNotFound) counts as done
  void txn(const Txn& txn, Group group, Done<TxnAnswer> done);
  // All keys that are wanted in these ranges, at one revision, and linearizable. However much else
  // is in them, no more is held than options.room.
  void snapshot(const std::vector<Range>& ranges, Done<RangeAnswer> done);
  // One key as it was at a revision; 0: as it is. Error::compacted() when that was compacted away.
  void range_at(const std::string& key, int64_t revision, Done<RangeAnswer> done);

  // One key of somebody else's as it is, linearizable. A value of more than 12,000 bytes is an
  // error that does not count against the member.
  void read(const std::string& key, Done<RangeAnswer> done);

  // Opens the watch on a range from a revision on; there is at most one: a watch that was open is
  // dropped without a call of its `ended`. avoid_current: rather not the member that serves it now
  // (it answers, but the events do not come).
  void watch(const Range& range, int64_t start_revision, bool avoid_current,
             WatchHandlers handlers);

  // For the status. The endpoint that answered last, whether any request was answered within the
  // last request_timeout * 4, its version as GET /version says ("" until known).
  [[nodiscard]] bool connected() const;
  [[nodiscard]] std::string endpoint() const;
  [[nodiscard]] std::string version() const;
  [[nodiscard]] std::vector<MemberView> members() const;
  // For people; nothing when there was none.
  [[nodiscard]] std::optional<LastError> last_error() const;
  [[nodiscard]] const Tally& tally() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vipd::etcd
