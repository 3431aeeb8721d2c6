// The client's parts. client.cpp asks and answers; client_members.cpp knows the members and finds
// out whether they are well; client_gateway.cpp finds out what is there where no gateway is;
// client_discovery.cpp asks etcd for further ones; client_auth.cpp has the token; client_watch.cpp
// keeps the one watch; client_cluster.cpp knows to which cluster each member belongs.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "etcd/auth.hpp"
#include "etcd/client.hpp"
#include "etcd/deferred.hpp"
#include "etcd/endpoints.hpp"
#include "etcd/failure.hpp"
#include "etcd/json.hpp"
#include "etcd/snapshot.hpp"
#include "etcd/troubles.hpp"
#include "etcd/watch.hpp"
#include "web/http.hpp"
#include "web/resolver.hpp"
#include "web/tls_files.hpp"

namespace vipd::etcd {

using web::Http;
using web::HttpRequest;
using web::Resolver;
using web::TlsFiles;

// No caller's group: keeps watches away from members that served them badly.
constexpr Client::Group kWatchGroup = UINT64_MAX;

struct Client::Impl {
  struct Call {  // a request under way
    Purpose purpose = Purpose::Txn;
    std::string body;
    std::shared_ptr<Snapshot> snapshot;  // reads the answer while it arrives
    Group group = 0;
    MemberId member = MemberId::None;
    std::string endpoint;  // for messages
    MonoTime sent_at;
    MonoTime until;
    uint64_t credentials = 0;  // their generation
    uint64_t token = 0;        // its number
    bool repeated = false;
    bool introduced = false;  // a stranger that was asked anew whose it is
    bool is_ours = false;     // and is ours now
    bool given_up = false;    // without having been sent, because of `error`
    bool too_large = false;   // the answer
    Error error;
    std::function<void(HttpAnswer&, const std::shared_ptr<Call>&)> finish;
  };
  using CallPtr = std::shared_ptr<Call>;
  struct Notes {  // what is known of a member besides its health
    std::string version;
    bool version_asked = false;
    Seen seen;  // of one that is no gateway
    MonoTime seen_at = MonoTime::long_ago();
    MonoTime told = MonoTime::long_ago();  // when that was asked which was told last of its cluster
    Duration unwatched;  // for how long no watch went there, after the last that was bad
  };
  struct Stranger {  // a member of another cluster, until it is one of ours
    uint64_t cluster = 0;
    std::string members;
  };
  struct Listed {  // one URL of etcd's list of members
    Endpoint own;
    Endpoint instead;     // the same host, by scheme and port of the member that listed it
    bool is_own = true;   // which of the two is used
    bool either = false;  // whether the other is left to be tried
  };
  // Asking for a token.
  struct Login {
    bool under_way = false;
    MonoTime not_before = MonoTime::long_ago();  // after a refusal
    Error refusal;
    std::vector<CallPtr> waiting;
  };
  // Members that etcd's list has and the configuration has not.
  struct Discovery {
    std::vector<Listed> listed;
    std::vector<Endpoint> used;
    std::vector<std::string> passed_over;  // URLs of the list that are not used; said once
    MonoTime next = MonoTime::long_ago();
  };
  struct LastAnswer {
    MemberId member = MemberId::None;  // of the last that was one
    MonoTime heard_at = MonoTime::long_ago();
    bool has_failed_since = false;
  };
  struct OpenWatch {
    std::shared_ptr<WatchStream> stream;
    Http::Id http = Http::Id::None;
    MemberId member = MemberId::None;
    std::string url;
    std::string where;  // for people
    MonoTime opened_at;
    uint64_t credentials = 0;
    uint64_t token = 0;
    Loop::Timer not_created = Loop::Timer::None;
  };
  template <typename T>
  using Read = std::function<bool(std::string&, T&, Error&)>;

  Impl(Loop& l, Options o) : loop(l), http(l), deferred(l), cluster(o.cluster) {
    endpoints.use_cluster(cluster);
    configure(std::move(o));
  }
  ~Impl();

  // --- client.cpp
  void defer(std::function<void()> call) { deferred.add(std::move(call)); }
  void submit(CallPtr call);
  void launch(const CallPtr& call);
  template <typename T>
  CallPtr prepare(Purpose purpose, std::string body, Group group, Read<T> read, Done<T> done);
  template <typename T>
  void call(Purpose purpose, std::string body, Group group, Read<T> read, Done<T> done);
  // Parses what came. False, and why not.
  template <typename T>
  [[nodiscard]] bool take(const Call& call, HttpAnswer& answer, Read<T> read, T& value,
                          Error& error);
  [[nodiscard]] bool repeat(const CallPtr& call, const HttpAnswer& answer, const Error& error);
  void settle(const Call& call, const Error* error);

  // error: nullptr when all was well.
  void count(const std::string& endpoint, Purpose purpose, const Error* error);

  // --- client_cluster.cpp
  // Whether the answer is one of our cluster. False, and why not.
  // `asked`: when the question was sent that it answers, where there was one.
  [[nodiscard]] bool note_header(MemberId member, const Header& header,
                                 std::optional<MonoTime> asked, Error& error);
  void tell_named(size_t endpoint);
  void tell_all_named();
  [[nodiscard]] Named statement(size_t endpoint) const;
  [[nodiscard]] std::optional<size_t> place_of(MemberId member) const;
  [[nodiscard]] bool is_stranger(MemberId member) const;
  void meet_stranger(MemberId member);
  void name_stranger(MemberId member, const std::string& members);
  [[nodiscard]] Error cluster_trouble() const;

  // --- client_auth.cpp
  void wait_for_token(const CallPtr& call);
  void authenticate(MemberId member, MonoTime until);
  // Asks whose member it is, with no secret of ours. 0, and why: it does not say.
  using Introduced = std::function<void(uint64_t cluster, const Error& error)>;
  void introduce(MemberId member, MonoTime until, Introduced done);
  // Whether one that names this cluster may be given our password and our token.
  [[nodiscard]] bool may_have_secrets(uint64_t named) const {
    return named != 0 && (cluster == 0 || named == cluster);
  }
  [[nodiscard]] Error no_password(uint64_t named, Error error) const;
  void send_password(MemberId member, MonoTime until, const AuthSettings& asked);
  // True when another user is configured by now: all that waits asks as that one.
  [[nodiscard]] bool is_somebody_else(const AuthSettings& asked);
  void authenticated(MemberId member, MonoTime sent_at, HttpAnswer& answer);
  void member_did_not_authenticate(MemberId member, MonoTime sent_at, const Error& error);
  void give_up_waiting(const Error& error);
  void give_up(const CallPtr& call, const Error& error);
  void renew_token(uint64_t used, MemberId member);
  [[nodiscard]] std::vector<std::string> with_token(std::vector<std::string> headers) const;

  // --- client_members.cpp
  void configure(Options o);
  void set_up_connections();
  void refresh_members();
  [[nodiscard]] HttpRequest make_request(MemberId id, Purpose purpose,
                                         const std::vector<std::string>& headers);
  [[nodiscard]] Error no_member() const;
  void note_failure(MemberId id, Group group, MonoTime sent_at, const Error& error);
  void note_answer(MemberId member, Group group);
  void complain(const Error& error) { troubles.complain(error, loop.now()); }
  void ask_version(MemberId member);
  void arm_probe();
  void probe(MemberId member);
  void probed(const Call& call, const Error* error);
  [[nodiscard]] uint64_t credentials() const;
  // True when the answer shows that the files in use are no good, and others are in use now.
  [[nodiscard]] bool renewed_files(uint64_t used, const HttpAnswer& answer);

  // --- client_gateway.cpp
  // Of an answer that is none of etcd's gateway: says what the port is, or begins to find out.
  void recognise(MemberId member, const HttpAnswer& answer, Error& error);
  void look(MemberId member);
  void get(MemberId member, Purpose purpose, std::function<void(HttpAnswer&)> done);
  void looked(MemberId member);

  // --- client_discovery.cpp
  void discover(MemberId member);
  // Whether a configured member has answered that is this one.
  [[nodiscard]] bool heard_from(uint64_t etcd_id) const;
  void take_members(const std::vector<MemberInfo>& members, MemberId lister);
  void list(const MemberInfo& member, const std::string& url, const Endpoint* lister);
  [[nodiscard]] bool as_safe(const Endpoint& endpoint) const;
  void use_listed();
  // True when a listed member's own URL is no gateway, and another port is asked from now on.
  [[nodiscard]] bool asked_elsewhere(MemberId member, const Error& error);

  // --- client_watch.cpp
  // `answers`: a member that is preferred, or None.
  void open_watch(std::string body, MemberId answers, WatchHandlers handlers);
  WatchHandlers wrap(WatchHandlers user);
  [[nodiscard]] bool watch_created(const Header& header);
  // Otherwise it has ended.
  [[nodiscard]] bool is_of_our_cluster(const Header& header);
  void watch_ended(Error& error);
  void avoid_watching(const OpenWatch& bad);
  void drop_watch();
  // Has it opened anew by whoever asked for it.
  void move_watch(const char* why);
  void end_watch_of_removed_endpoint();

  Loop& loop;
  Options options;
  Http http;
  std::unique_ptr<Resolver> resolver;  // only when some endpoint is a name
  std::unique_ptr<TlsFiles> files;     // only when some endpoint is https
  std::vector<Endpoint> configured;
  Discovery discovery;
  Endpoints endpoints;
  std::map<MemberId, Notes> notes;
  Auth auth{{}};
  Login login;
  uint64_t proven = 0;  // the credentials by which a connection was made
  Troubles troubles;
  Loop::Timer probe_timer = Loop::Timer::None;
  std::vector<std::string> unary_headers;
  std::vector<std::string> stream_headers;

  Deferred deferred;  // nothing is answered from inside the call that asked
  OpenWatch watch;

  Tally tally;
  LastAnswer last_answer;
  uint64_t cluster = 0;  // whose members are used; 0: none
  std::function<void(const Named&)> named;
  std::map<MemberId, Stranger> strangers;
};

template <typename T>
bool Client::Impl::take(const Call& call, HttpAnswer& answer, Read<T> read, T& value,
                        Error& error) {
  error = call.given_up ? call.error : transport_error(answer, options.tls);
  const bool good = answer.complete && read(answer.body, value, error);
  if (!call.given_up) count(call.endpoint, call.purpose, good ? nullptr : &error);
  if (good) return true;
  if (!call.given_up) complete_text(error, answer, call.endpoint);
  const Endpoints::Member* member = endpoints.find(call.member);
  if (member != nullptr && !member->has_answered) explain_silence(error, member->endpoint);
  explain(error, options);
  if (!call.given_up) recognise(call.member, answer, error);
  return false;
}

}  // namespace vipd::etcd
