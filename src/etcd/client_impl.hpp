// The client's parts. client.cpp asks and answers; client_watch.cpp keeps the one watch.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "etcd/client.hpp"
#include "etcd/endpoints.hpp"
#include "etcd/http.hpp"
#include "etcd/json.hpp"
#include "etcd/resolver.hpp"
#include "etcd/watch.hpp"

namespace vipd::etcd {

// No caller's group: keeps watches away from members that served them badly.
constexpr Client::Group kWatchGroup = UINT64_MAX;

struct Client::Impl {
  static constexpr size_t kAnswerLimit = 1U << 20;

  struct Ticket {  // a request under way
    MemberId member = MemberId::None;
    std::string endpoint;
    Group group = 0;
    MonoTime sent_at;
  };
  struct Notes {  // what is known of a member besides its health
    std::string version;
    bool version_asked = false;
    size_t address = 0;  // which of its name's, modulo their number
  };
  struct OpenWatch {
    std::shared_ptr<WatchStream> stream;
    Http::Id http = Http::Id::None;
    MemberId member = MemberId::None;
    MonoTime opened_at;
    Loop::Timer not_created = Loop::Timer::None;
  };
  using Finish = std::function<void(HttpAnswer&, const Ticket&)>;
  template <typename T>
  using Read = bool (*)(std::string&, T&, Error&);

  Impl(Loop& l, Options o) : loop(l), http(l) { configure(std::move(o)); }
  ~Impl();

  void configure(Options o);
  void defer(std::function<void()> call);
  MemberId pick(Group group);
  HttpRequest make_request(MemberId id, const char* path, const std::vector<std::string>& headers);
  Error no_member() const;

  void submit(const char* path, const std::string& body, Group group, size_t limit, Finish finish);
  template <typename T>
  void call(const char* path, const std::string& body, Group group, Read<T> read, Done<T> done,
            size_t limit = kAnswerLimit);
  void settle(const Ticket& ticket, const Error* error);
  void note_failure(MemberId member, Group group, MonoTime sent_at);
  void note_header(const Header& header);
  void ask_version(MemberId member);

  void open_watch(std::string body, WatchHandlers handlers);
  WatchHandlers wrap(WatchHandlers user);
  void watch_created(const Header& header);
  void watch_ended(Error& error);
  void drop_watch();
  void end_watch_of_removed_member();

  Loop& loop;
  Options options;
  Http http;
  std::unique_ptr<Resolver> resolver;  // only when some endpoint is a name
  Endpoints endpoints;
  std::map<MemberId, Notes> notes;
  std::vector<std::string> unary_headers;
  std::vector<std::string> stream_headers;

  std::vector<std::function<void()>> deferred;
  Loop::Timer deferred_timer = Loop::Timer::None;
  OpenWatch watch;

  size_t in_flight = 0;
  MemberId answered_by = MemberId::None;
  MonoTime answered_at = MonoTime::long_ago();
  bool last_failed = false;
  uint64_t cluster_id = 0;
};

}  // namespace vipd::etcd
