#include "daemon/etcd_side.hpp"

#include <vector>

#include "etcd/base64.hpp"
#include "harness.hpp"
#include "played_member.hpp"

namespace event = vipd::event;
namespace action = vipd::action;

namespace {

const std::string kFull = R"({"code":8,"message":"etcdserver: mvcc: database space exceeded"})";

struct Bench {
  Loop loop;
  Member member;
  std::vector<vipd::Event> fed;    // but for what the endpoint names
  std::vector<uint64_t> clusters;  // this
  vipd::EtcdSide etcd{loop, "/vipd", [this](const vipd::Event& e) {
                        const auto* named = std::get_if<event::EndpointNamed>(&e);
                        if (named != nullptr) return clusters.push_back(named->cluster);
                        fed.push_back(e);
                      }};

  explicit Bench(Member::Answer answer) : member(loop, std::move(answer)) {
    vipd::Config config;
    config.etcd.endpoints = {member.url()};
    config.etcd.prefix = "/vipd";
    config.session_timeout = Duration::seconds(6);
    etcd.start(config);
    etcd.perform(action::UseCluster{.cluster = 11});  // the one that is played
  }

  // What the request ended in.
  template <typename T>
  const T* answer() {
    run_until(loop, [&] { return !fed.empty(); });
    return fed.size() == 1 ? std::get_if<T>(&fed[0]) : nullptr;
  }
};

action::SendTxn heartbeat(vipd::RequestId request) {
  action::SendTxn txn{.request = request, .group = 1, .txn = {}};
  txn.txn.success.push_back(
      {.kind = vipd::Op::Kind::Put,
       .key = {.kind = vipd::KeyKind::Session, .lease = static_cast<vipd::LeaseId>(7)}});
  return txn;
}

std::string txn_answer() {
  return reply("{" + kHeader +
               R"(,"succeeded":true,"responses":[{"response_put":{"header":{"revision":"34"}}}]})");
}

void a_lease_is_granted_in_whole_seconds() {
  Bench b(good);
  b.etcd.perform(action::GrantLease{.request = 5, .ttl = Duration::milliseconds(20'000)});
  const auto* granted = b.answer<event::LeaseGranted>();
  TEST_ASSERT_NOT_NULL(granted);
  TEST_ASSERT_EQUAL_UINT64(5, granted->request);
  TEST_ASSERT_TRUE(granted->lease == static_cast<vipd::LeaseId>(7));
  TEST_ASSERT_EQUAL_INT(33, granted->header.revision);
  TEST_ASSERT_EQUAL_INT(1, b.member.count("/v3/lease/grant"));
  bool asked = false;
  for (const std::string& request : b.member.requests) {
    asked = asked || request.find(R"("TTL":"20")") != std::string::npos;
  }
  TEST_ASSERT_TRUE(asked);
}

void a_txn_is_under_way_until_it_is_answered() {
  Bench b([](const std::string& path, const std::string& text) {
    return path == "/v3/kv/txn" ? txn_answer() : good(path, text);
  });
  b.etcd.perform(heartbeat(9));
  TEST_ASSERT_EQUAL_INT(1, b.etcd.txns_under_way());
  const auto* answered = b.answer<event::TxnAnswered>();
  TEST_ASSERT_NOT_NULL(answered);
  TEST_ASSERT_EQUAL_UINT64(9, answered->request);
  TEST_ASSERT_TRUE(answered->succeeded);
  TEST_ASSERT_EQUAL_INT(0, b.etcd.txns_under_way());
}

// By then the count must be right: what is fed may ask for it.
void a_refusal_ends_the_request_and_says_when_etcd_is_full() {
  Bench b([](const std::string& path, const std::string& text) {
    return path == "/v3/kv/txn" ? reply(kFull, "429 Too Many Requests") : good(path, text);
  });
  b.etcd.perform(heartbeat(9));
  const auto* failed = b.answer<event::RequestFailed>();
  TEST_ASSERT_NOT_NULL(failed);
  TEST_ASSERT_EQUAL_UINT64(9, failed->request);
  TEST_ASSERT_TRUE(failed->no_space);
  TEST_ASSERT_TRUE(failed->reason.starts_with(b.member.url() + ": "));
  TEST_ASSERT_EQUAL_INT(0, b.etcd.txns_under_way());
}

// The next one comes long before the lease ends.
void a_keepalive_that_fails_is_no_event() {
  Bench b(leaderless);
  b.etcd.perform(action::KeepLease{.lease = static_cast<vipd::LeaseId>(7)});
  TEST_ASSERT_TRUE(run_until(b.loop, [&] { return logged::count("keepalive") > 0; }));
  TEST_ASSERT_TRUE(b.fed.empty());
}

void the_watch_is_of_our_prefix_and_shows_what_comes() {
  Bench b(good);
  b.etcd.perform(action::OpenWatch{.from = 34, .avoid_current = false});
  TEST_ASSERT_NOT_NULL(b.answer<event::WatchCreated>());
  b.member.send_all(chunk(kPut));
  TEST_ASSERT_TRUE(run_until(b.loop, [&] { return b.fed.size() == 2; }));
  const auto* shown = std::get_if<event::WatchAdvanced>(&b.fed[1]);
  TEST_ASSERT_NOT_NULL(shown);
  TEST_ASSERT_EQUAL_INT(34, shown->header.revision);
  TEST_ASSERT_TRUE(shown->changes.empty());  // a key that is none of the protocol's
  b.member.drop_all();
  TEST_ASSERT_TRUE(run_until(b.loop, [&] { return b.fed.size() == 3; }));
  TEST_ASSERT_TRUE(std::holds_alternative<event::WatchEnded>(b.fed[2]));
}

// As etcd answers a txn of ranges, all keys in the first of them.
std::string snapshot_of(int keys, const std::string& request) {
  std::string text = "{" + kHeader + R"(,"succeeded":true,"responses":[{"response_range":{"kvs":[)";
  for (int i = 0; i < keys; i++) {
    const std::string key =
        "/vipd/vip/10.0." + std::to_string(i / 250) + "." + std::to_string(i % 250 + 1) + "/7";
    text += (i == 0 ? R"({"key":")" : R"(,{"key":")") + vipd::etcd::base64_encode(key) +
            R"(","create_revision":"5","mod_revision":"6"})";
  }
  text += "],\"count\":\"" + std::to_string(keys) + "\"}}";
  size_t at = request.find("request_range");
  while ((at = request.find("request_range", at + 1)) != std::string::npos) {
    text += R"(,{"response_range":{}})";
  }
  return reply(text + "]}");
}

// All at once would be a long turn, in here and in the core, which acts on the last part.
void thousands_of_keys_are_told_in_parts() {
  constexpr size_t kKeys = 1000;
  Bench b([](const std::string& path, const std::string& text) {
    return path == "/v3/kv/txn" ? snapshot_of(kKeys, text) : good(path, text);
  });
  for (const vipd::RequestId request : {5, 6}) {
    b.etcd.perform(action::ReadPrefix{.request = request});
  }
  vipd::RequestId under_way = 0;
  std::vector<vipd::RequestId> told;
  size_t keys = 0;
  for (int i = 0; i < 1000 && told.size() < 2; i++) {
    b.fed.clear();
    b.loop.run_once(Duration::milliseconds(10));
    for (const vipd::Event& event : b.fed) {
      const auto& read = std::get<event::PrefixRead>(event);
      TEST_ASSERT_TRUE(under_way == 0 || under_way == read.request);
      TEST_ASSERT_TRUE(read.entries.size() <= 64);
      TEST_ASSERT_EQUAL_INT(33, read.header.revision);
      under_way = read.goes_on ? read.request : 0;
      keys += read.entries.size();
      if (read.goes_on) continue;
      TEST_ASSERT_EQUAL_INT(1, b.fed.size());
      told.push_back(read.request);
      TEST_ASSERT_EQUAL_INT(kKeys * told.size(), keys);
    }
  }
  TEST_ASSERT_EQUAL_INT(2, told.size());
  TEST_ASSERT_EQUAL_INT(11, told[0] + told[1]);
}

// Its turns are spent as soon as they begin.
void a_busy_daemon_is_told_over_several_turns() {
  Bench b([](const std::string& path, const std::string& text) {
    return path == "/v3/kv/txn" ? snapshot_of(5000, text) : good(path, text);
  });
  b.loop.on_turn_start([&b] {
    const vipd::MonoTime until = b.loop.now() + Duration::milliseconds(11);
    while (b.loop.now() < until) continue;
  });
  b.etcd.perform(action::ReadPrefix{.request = 5});
  const auto is_told = [&b] {
    return !b.fed.empty() && !std::get<event::PrefixRead>(b.fed.back()).goes_on;
  };
  int turns = 0;
  for (int i = 0; i < 1000 && !is_told(); i++) {
    const size_t before = b.fed.size();
    b.loop.run_once(Duration::milliseconds(10));
    turns += b.fed.size() > before ? 1 : 0;
  }
  TEST_ASSERT_TRUE(is_told());
  TEST_ASSERT_TRUE(turns > 2);
}

void people_are_told_what_etcd_says_of_itself() {
  Bench b(good);
  vipd::Status before;
  b.etcd.fill_in(&before);
  TEST_ASSERT_EQUAL_STRING("", before.etcd_endpoints.at(0).cluster_id);
  TEST_ASSERT_FALSE(b.etcd.is_connected());
  b.etcd.perform(action::GrantLease{.request = 5, .ttl = Duration::seconds(20)});
  TEST_ASSERT_NOT_NULL(b.answer<event::LeaseGranted>());
  TEST_ASSERT_TRUE(b.etcd.is_connected());
  TEST_ASSERT_EQUAL_STRING(b.member.url(), b.etcd.endpoint());
  vipd::Status status;
  b.etcd.fill_in(&status);
  TEST_ASSERT_TRUE(status.etcd_connected);
  TEST_ASSERT_EQUAL_STRING(b.member.url(), status.etcd_endpoints.at(0).endpoint);
  TEST_ASSERT_EQUAL_STRING("b", status.etcd_endpoints.at(0).cluster_id);  // 11
  TEST_ASSERT_FALSE(status.etcd_endpoints.at(0).mismatch);
  TEST_ASSERT_TRUE(run_until(b.loop, [&] { return !b.clusters.empty(); }));
  TEST_ASSERT_EQUAL_UINT64(11, b.clusters[0]);
  TEST_ASSERT_EQUAL_STRING(b.member.url(), status.etcd_endpoint);
  bool counted = false;
  for (const vipd::RequestCounts& counts : b.etcd.requests()) {
    counted =
        counted || (counts.operation == "grant" && counts.result == "ok" && counts.count == 1);
  }
  TEST_ASSERT_TRUE(counted);
}

}  // namespace

int main() {
  UNITY_BEGIN();
  RUN_TEST(a_lease_is_granted_in_whole_seconds);
  RUN_TEST(a_txn_is_under_way_until_it_is_answered);
  RUN_TEST(a_refusal_ends_the_request_and_says_when_etcd_is_full);
  RUN_TEST(a_keepalive_that_fails_is_no_event);
  RUN_TEST(the_watch_is_of_our_prefix_and_shows_what_comes);
  RUN_TEST(thousands_of_keys_are_told_in_parts);
  RUN_TEST(a_busy_daemon_is_told_over_several_turns);
  RUN_TEST(people_are_told_what_etcd_says_of_itself);
  return UNITY_END();
}
