// The client against members that are played here, on the same loop and on loopback: what a real
// etcd does only on a bad day.
#include <csignal>

#include "harness.hpp"
#include "played_member.hpp"

namespace {

void a_call_is_answered_once_and_later() {
  Loop loop;
  Member member(loop, good);
  Client client(loop, options({member.url()}, 800));
  Result result;
  client.grant(10, result.done<Granted>());
  TEST_ASSERT_EQUAL_INT(0, result.calls);
  TEST_ASSERT_FALSE(client.connected());
  TEST_ASSERT_TRUE(run_until(loop, [&] { return !client.version().empty(); }));
  run_for(loop, 20);
  TEST_ASSERT_EQUAL_INT(1, result.calls);
  TEST_ASSERT_TRUE(result.good);
  TEST_ASSERT_TRUE(client.connected());
  TEST_ASSERT_EQUAL_STRING(member.url(), client.endpoint());
  TEST_ASSERT_EQUAL_STRING("3.4.23", client.version());
  TEST_ASSERT_EQUAL_UINT64(11, client.members().at(0).cluster);
}

// As a confused proxy gives: taken as they are, our key would be gone and the prefix empty.
void an_answer_to_another_request_is_a_bad_answer() {
  Loop loop;
  Member member(loop, [](const std::string& path, const std::string&) {
    return reply(path == "/v3/kv/txn" ? "{" + kHeader + "}" : kTxnDone);
  });
  Client client(loop, options({member.url()}));
  Txn txn;
  txn.failure.push_back({Op::Kind::Range, "a", "", "", 0});
  Result first;
  Result second;
  client.txn(txn, 7, first.done<TxnAnswer>());
  client.range_at("a", 0, second.done<RangeAnswer>());
  TEST_ASSERT_TRUE(run_until(loop, [&] { return first.calls + second.calls == 2; }));
  TEST_ASSERT_FALSE(first.good || second.good);
  TEST_ASSERT_EQUAL_STRING("the answer does not match the request", first.error.text);
  TEST_ASSERT_TRUE(second.error.text.starts_with("missing or wrong \"succeeded\" in "));
}

void a_request_has_the_headers_that_etcd_heeds() {
  Loop loop;
  Member member(loop, good);
  Client client(loop, options({member.url()}, 800));
  granted(loop, client);
  const std::string text = member.requests.at(0);
  TEST_ASSERT_TRUE(text.starts_with("POST /v3/lease/grant HTTP/1.1\r\n"));
  TEST_ASSERT_TRUE(text.find("\r\nGrpc-Metadata-hasleader: true\r\n") != std::string::npos);
  TEST_ASSERT_TRUE(text.find("\r\nGrpc-Timeout: 800m\r\n") != std::string::npos);
  TEST_ASSERT_TRUE(text.find("Expect:") == std::string::npos);
  TEST_ASSERT_TRUE(text.ends_with("\r\n\r\n{\"TTL\":\"10\"}"));
}

void connections_are_used_again() {
  Loop loop;
  Member member(loop, good);
  Client client(loop, options({member.url()}));
  for (int i = 0; i < 5; ++i) TEST_ASSERT_TRUE(granted(loop, client).good);
  TEST_ASSERT_EQUAL_INT(5, member.count("/v3/lease/grant"));
  TEST_ASSERT_EQUAL_INT(1, member.count("/version"));
  TEST_ASSERT_TRUE(member.accepted <= 2);  // the version is asked beside the second one
}

void a_member_that_refuses_is_named_and_passed_over() {
  Loop loop;
  std::string gone;
  {
    Member closed(loop, good);
    gone = closed.url();
  }
  Member member(loop, good);
  Client client(loop, options({gone, member.url()}));
  const Result first = granted(loop, client);
  TEST_ASSERT_EQUAL_INT(Error::kTransport, first.error.code);
  TEST_ASSERT_EQUAL_STRING("connection refused", first.error.text);
  TEST_ASSERT_EQUAL_STRING(gone, first.error.endpoint);
  TEST_ASSERT_TRUE(granted(loop, client).good);
}

void a_member_without_a_leader_is_passed_over() {
  Loop loop;
  Member first(loop, leaderless);
  Member second(loop, good);
  Client client(loop, options({first.url(), second.url()}));
  const Result result = granted(loop, client);
  TEST_ASSERT_EQUAL_INT(14, result.error.code);
  TEST_ASSERT_EQUAL_STRING("etcdserver: no leader", result.error.text);
  TEST_ASSERT_TRUE(granted(loop, client).good);
}

void a_member_that_has_judged_a_request_is_kept() {
  Loop loop;
  Member first(loop, [](const std::string&, const std::string&) {
    return reply(R"({"code":8,"message":"etcdserver: mvcc: database space exceeded"})", "429 x");
  });
  Member second(loop, good);
  Client client(loop, options({first.url(), second.url()}));
  TEST_ASSERT_EQUAL_INT(8, granted(loop, client).error.code);
  TEST_ASSERT_EQUAL_INT(8, granted(loop, client).error.code);
  TEST_ASSERT_TRUE(client.connected());
}

void one_group_is_spread_over_the_members() {
  Loop loop;
  Member mute(loop, silent);
  Member member(loop, good);
  Client client(loop, options({mute.url(), member.url()}));
  Result first;
  Result second;
  client.txn({}, 7, first.done<TxnAnswer>());
  run_for(loop, 20);
  client.txn({}, 7, second.done<TxnAnswer>());
  TEST_ASSERT_TRUE(run_until(loop, [&] { return second.calls > 0; }));
  TEST_ASSERT_TRUE(second.good);
  TEST_ASSERT_EQUAL_INT(0, first.calls);
}

void an_answer_has_a_bound() {
  Loop loop;
  Member member(loop, [&](const std::string&, const std::string&) {
    return "HTTP/1.1 200 OK\r\nContent-Length: 1048577\r\n\r\n" + std::string(10'000, ' ');
  });
  Client client(loop, options({member.url()}));
  Result result;
  client.grant(10, result.done<Granted>());
  TEST_ASSERT_TRUE(run_until(loop, [&] {
    if (!member.requests.empty()) member.send_all(std::string(100'000, ' '));
    return result.calls > 0;
  }));
  TEST_ASSERT_EQUAL_STRING("answer larger than 16384 bytes", result.error.text);
}

void what_is_no_etcd_is_quoted() {
  Loop loop;
  Member member(loop, [](const std::string&, const std::string&) {
    return reply("<html>Bad Gateway</html>", "502 Bad Gateway");
  });
  Client client(loop, options({member.url()}));
  const Result result = granted(loop, client);
  TEST_ASSERT_EQUAL_INT(Error::kBadAnswer, result.error.code);
  TEST_ASSERT_EQUAL_STRING("HTTP 502, unexpected answer: <html>Bad Gateway</html>",
                           result.error.text);
}

void redirections_and_proxies_are_not_followed() {
  Loop loop;
  Member elsewhere(loop, good);
  Member member(loop, [&](const std::string&, const std::string&) {
    return "HTTP/1.1 307 x\r\nContent-Length: 0\r\nLocation: " + elsewhere.url() + "/\r\n\r\n";
  });
  setenv("http_proxy", elsewhere.url().c_str(), 1);
  setenv("ALL_PROXY", elsewhere.url().c_str(), 1);
  Client client(loop, options({member.url()}));
  const Result result = granted(loop, client);
  unsetenv("http_proxy");
  unsetenv("ALL_PROXY");
  TEST_ASSERT_EQUAL_STRING("HTTP 307, empty answer", result.error.text);
  TEST_ASSERT_EQUAL_INT(0, elsewhere.accepted);
}

void a_connection_that_dies_is_an_error() {
  Loop loop;
  Member member(loop, [](const std::string&, const std::string&) { return "close"; });
  Client client(loop, options({member.url()}));
  const Result result = granted(loop, client);
  TEST_ASSERT_EQUAL_INT(Error::kTransport, result.error.code);
  TEST_ASSERT_EQUAL_STRING(
      "connection closed without an answer (does this port speak TLS? then write https://)",
      result.error.text);
}

void a_lease_that_is_gone_counts_as_revoked() {
  Loop loop;
  Member member(loop, [](const std::string&, const std::string&) {
    return reply(R"({"code":5,"message":"etcdserver: requested lease not found"})", "404 x");
  });
  Client client(loop, options({member.url()}));
  Result result;
  client.revoke(7, result.done<Header>());
  TEST_ASSERT_TRUE(run_until(loop, [&] { return result.calls > 0; }));
  TEST_ASSERT_TRUE(result.good);
}

void names_are_resolved_ahead() {
  Loop loop;
  Member member(loop, good);
  Client client(loop, options({member.url("localhost")}));
  Result result;
  const bool reached = run_until(loop, [&] {
    result = granted(loop, client);
    return result.good || result.error.text != "not resolved yet";
  });
  TEST_ASSERT_TRUE(reached);
  // ::1 may come first; nobody listens there.
  if (!result.good) result = granted(loop, client);
  TEST_ASSERT_EQUAL_STRING("", result.error.text);
  const std::string host = "\r\nHost: localhost:" + std::to_string(member.port) + "\r\n";
  TEST_ASSERT_TRUE(member.requests.at(0).find(host) != std::string::npos);
}

// Neither the system's authorities nor no certificate in the place of what is configured.
void files_of_tls_that_cannot_be_read_mean_no_request() {
  Loop loop;
  Member member(loop, good);
  for (std::string vipd::web::TlsSettings::*file :
       {&vipd::web::TlsSettings::cacert, &vipd::web::TlsSettings::cert,
        &vipd::web::TlsSettings::key}) {
    Options o = options({"https://127.0.0.1:" + std::to_string(member.port)});
    o.tls.*file = "/nowhere/x.pem";
    Client client(loop, o);
    const Result result = granted(loop, client);
    TEST_ASSERT_EQUAL_INT(Error::kSetup, result.error.code);
    TEST_ASSERT_TRUE(result.error.text.starts_with("nothing is sent: etcd.c") ||
                     result.error.text.starts_with("nothing is sent: etcd.k"));
    TEST_ASSERT_TRUE(result.error.text.ends_with("/nowhere/x.pem: No such file or directory"));
  }
  TEST_ASSERT_EQUAL_INT(0, member.accepted);
}

void without_endpoints_calls_fail_later() {
  Loop loop;
  Client client(loop, options({}));
  Result result;
  client.grant(10, result.done<Granted>());
  TEST_ASSERT_EQUAL_INT(0, result.calls);
  TEST_ASSERT_TRUE(run_until(loop, [&] { return result.calls > 0; }));
  TEST_ASSERT_EQUAL_STRING("no endpoint is known", result.error.text);
}

void a_client_that_goes_calls_nobody() {
  Loop loop;
  Member member(loop, silent);
  Result result;
  bool ended = false;
  {
    Client client(loop, options({member.url()}));
    client.grant(10, result.done<Granted>());
    client.watch({"a", "b"}, 1, false,
                 {[](auto&) {}, [](auto&, auto&) {}, [&](auto&, auto) { ended = true; }});
    TEST_ASSERT_TRUE(run_until(loop, [&] { return member.requests.size() == 2; }));
  }
  TEST_ASSERT_TRUE(run_until(loop, [&] { return member.open() == 0; }));
  TEST_ASSERT_EQUAL_INT(0, result.calls);
  TEST_ASSERT_FALSE(ended);
}

struct Watcher {
  std::string trace;
  Error error;
  WatchHandlers handlers() {
    return {[this](const Header&) { trace += "created "; },
            [this](const Header&, const std::vector<WatchEvent>& events) {
              for (const WatchEvent& e : events) trace += e.kv.key + " ";
            },
            [this](const Error& e, int64_t) {
              trace += "ended ";
              error = e;
            }};
  }
};

void a_watch_streams_until_it_is_cut() {
  Loop loop;
  Member member(loop, good);
  Client client(loop, options({member.url()}, 100));
  Watcher w;
  client.watch({"c", "d"}, 34, false, w.handlers());
  TEST_ASSERT_TRUE(run_until(loop, [&] { return w.trace == "created "; }));
  TEST_ASSERT_TRUE(member.requests.at(0).find("Grpc-Timeout") == std::string::npos);
  run_for(loop, 150);  // a watch has no timeout once it is there
  const std::string bytes = chunk(kPut + put_at("35"));
  for (const char c : bytes) {
    member.send_all({&c, 1});
    run_for(loop, 0);
  }
  TEST_ASSERT_TRUE(run_until(loop, [&] { return w.trace == "created c c "; }));
  TEST_ASSERT_TRUE(client.connected());
  member.drop_all();
  TEST_ASSERT_TRUE(run_until(loop, [&] { return w.trace == "created c c ended "; }));
  TEST_ASSERT_EQUAL_STRING("connection closed in the middle of the answer", w.error.text);
  TEST_ASSERT_EQUAL_STRING(member.url(), w.error.endpoint);
}

void a_watch_must_be_confirmed_in_time() {
  Loop loop;
  Member mute(loop, silent);
  Member member(loop, good);
  Client client(loop, options({mute.url(), member.url()}, 100));
  Watcher w;
  client.watch({"c", "d"}, 34, false, w.handlers());
  TEST_ASSERT_TRUE(run_until(loop, [&] { return w.trace == "ended "; }));
  TEST_ASSERT_EQUAL_STRING("watch not confirmed within 100 ms", w.error.text);
  client.watch({"c", "d"}, 34, false, w.handlers());
  TEST_ASSERT_TRUE(run_until(loop, [&] { return w.trace == "ended created "; }));
  TEST_ASSERT_TRUE(run_until(loop, [&] { return mute.open() == 0; }));
}

// As after an election: whoever answers now may show at once what was committed.
void a_watch_leaves_a_silent_member_for_one_that_answers() {
  Loop loop;
  Member mute(loop, [](const std::string& path, const std::string& text) {
    return path == "/v3/watch" ? silent(path, text) : leaderless(path, text);
  });
  Member member(loop, good);
  Client client(loop, options({mute.url(), member.url()}, 3000));
  Watcher w;
  client.watch({"c", "d"}, 34, false, w.handlers());
  granted(loop, client);
  granted(loop, client);
  TEST_ASSERT_EQUAL_STRING("", w.trace);  // a busy member needs a moment
  run_for(loop, 210);
  granted(loop, client);
  TEST_ASSERT_TRUE(run_until(loop, [&] { return w.trace == "ended "; }));
  TEST_ASSERT_EQUAL_STRING("it is not confirmed, and another member answers", w.error.text);
  client.watch({"c", "d"}, 34, false, w.handlers());
  TEST_ASSERT_TRUE(run_until(loop, [&] { return w.trace == "ended created "; }));
  TEST_ASSERT_EQUAL_INT(1, member.count("/v3/watch"));
}

// After a cancel etcd leaves the stream open.
void a_cancelled_watch_is_closed() {
  Loop loop;
  Member member(loop, [](const std::string&, const std::string&) {
    return open_stream(kCreated + R"({"result":{)" + kHeader + R"(,"canceled":true}})" + "\n");
  });
  Client client(loop, options({member.url()}));
  Watcher w;
  client.watch({"c", "d"}, 34, false, w.handlers());
  TEST_ASSERT_TRUE(run_until(loop, [&] { return w.trace == "created ended "; }));
  TEST_ASSERT_TRUE(run_until(loop, [&] { return member.open() == 0; }));
}

void a_watch_can_be_taken_elsewhere() {
  Loop loop;
  Member first(loop, good);
  Member second(loop, good);
  Client client(loop, options({first.url(), second.url()}));
  Watcher w;
  client.watch({"c", "d"}, 34, false, w.handlers());
  TEST_ASSERT_TRUE(run_until(loop, [&] { return w.trace == "created "; }));
  client.watch({"c", "d"}, 34, true, w.handlers());
  TEST_ASSERT_TRUE(run_until(loop, [&] { return w.trace == "created created "; }));
  TEST_ASSERT_EQUAL_INT(1, second.count("/v3/watch"));
  TEST_ASSERT_TRUE(run_until(loop, [&] { return first.open() == 0; }));
}

// Its answers to calls do not draw the watch back, neither after one that lagged nor after one that
// was nonsense.
void a_member_that_serves_watches_badly_is_left_to_its_calls() {
  for (const bool lags : {true, false}) {
    Loop loop;
    Member first(loop, [&](const std::string& path, const std::string& text) {
      return path == "/v3/watch" && !lags ? open_stream("nonsense\n") : good(path, text);
    });
    Member second(loop, good);
    Client client(loop, options({first.url(), second.url()}));
    Watcher w;
    client.watch({"c", "d"}, 34, false, w.handlers());
    TEST_ASSERT_TRUE(run_until(loop, [&] { return !w.trace.empty(); }));
    client.watch({"c", "d"}, 34, lags, w.handlers());
    const MonoTime end = loop.now() + Duration::milliseconds(lags ? 500 : 7000);
    while (loop.now() < end) {
      TEST_ASSERT_TRUE(granted(loop, client).good);
      run_for(loop, 20);
    }
    TEST_ASSERT_EQUAL_STRING(first.url(), client.endpoint());
    TEST_ASSERT_EQUAL_STRING(lags ? "created created " : "ended created ", w.trace);
    TEST_ASSERT_EQUAL_INT(1, first.count("/v3/watch"));
  }
}

void a_watch_may_be_opened_anew_from_its_own_handlers() {
  Loop loop;
  Member member(loop, [n = 0](const std::string&, const std::string&) mutable {
    return ++n < 3 ? open_stream("nonsense\n") : open_stream(kCreated + kPut);
  });
  Client client(loop, options({member.url()}));
  std::string trace;
  int events = 0;
  WatchHandlers handlers;
  const auto open = [&] { client.watch({"c", "d"}, 34, false, handlers); };
  handlers.created = [&](const Header&) { trace += "created "; };
  handlers.events = [&](const Header&, const std::vector<WatchEvent>&) {
    trace += "event ";
    if (++events == 1) open();
  };
  handlers.ended = [&](const Error&, int64_t) {
    trace += "ended ";
    open();
  };
  open();
  const std::string all = "ended ended created event created event ";
  TEST_ASSERT_TRUE(run_until(loop, [&] { return trace == all; }));
  TEST_ASSERT_TRUE(run_until(loop, [&] { return member.open() == 1; }));
  TEST_ASSERT_EQUAL_STRING(all, trace);
}

void removed_endpoints_are_left() {
  Loop loop;
  Member first(loop, good);
  Member second(loop, good);
  Client client(loop, options({first.url()}));
  Watcher w;
  client.watch({"c", "d"}, 34, false, w.handlers());
  TEST_ASSERT_TRUE(run_until(loop, [&] { return w.trace == "created "; }));
  client.reconfigure(options({second.url()}));
  TEST_ASSERT_EQUAL_STRING("created ", w.trace);
  TEST_ASSERT_TRUE(run_until(loop, [&] { return w.trace == "created ended "; }));
  TEST_ASSERT_TRUE(granted(loop, client).good);
  TEST_ASSERT_EQUAL_STRING(second.url(), client.endpoint());
}

std::string member_list(const std::vector<std::string>& members) {
  std::string list;
  for (const std::string& member : members) list += (list.empty() ? "" : ",") + member;
  // As 3.4 answers: without a revision.
  return reply(R"({"header":{"cluster_id":"11","member_id":"22","raft_term":"2"},"members":[)" +
               list + "]}");
}

void members_that_call_themselves_localhost_are_left_out() {
  Loop loop;
  Member second(loop, good);
  std::string list = member_list(
      {R"({"ID":"22","clientURLs":["http://10.0.0.1:2379"]})",  // who answers: the same again
       R"({"ID":"5","clientURLs":["https://127.0.0.1:1","nonsense","unix:/run/etcd"]})",
       R"({"ID":"6","isLearner":true,"clientURLs":["http://127.0.0.1:1"]})", R"({"ID":"7"})",
       R"({"ID":"8","clientURLs":[")" + second.url() + R"("]})"});
  bool alive = true;
  Member first(loop, [&](const std::string& path, const std::string& text) {
    if (!alive) return std::string("close");
    return path == "/v3/cluster/member/list" ? list : good(path, text);
  });
  Options o = options({first.url()});
  Client plain(loop, o);
  TEST_ASSERT_TRUE(granted(loop, plain).good && granted(loop, plain).good);
  TEST_ASSERT_EQUAL_INT(0, first.count("/v3/cluster/member/list"));
  o.discover = true;
  Client client(loop, o);
  TEST_ASSERT_TRUE(granted(loop, client).good);
  run_for(loop, 50);
  TEST_ASSERT_EQUAL_INT(1, first.count("/v3/cluster/member/list"));
  // All of them call themselves by what is this host.
  alive = false;
  TEST_ASSERT_FALSE(granted(loop, client).good);
  TEST_ASSERT_FALSE(granted(loop, client).good);
  TEST_ASSERT_EQUAL_INT(0, second.accepted);
}

void nothing_wakes_an_idle_client() {
  Loop loop;
  Member member(loop, good);
  Client client(loop, options({member.url()}, 300));
  Watcher w;
  client.watch({"c", "d"}, 34, false, w.handlers());
  granted(loop, client);
  run_until(loop, [&] { return !client.version().empty() && w.trace == "created "; });
  run_for(loop, 500);  // libcurl's timers for the connecting run out, once
  const MonoTime begin = loop.now();
  loop.run_once(Duration::milliseconds(700));
  TEST_ASSERT_TRUE(loop.now() - begin >= Duration::milliseconds(700));
  TEST_ASSERT_EQUAL_STRING("created ", w.trace);
}

}  // namespace

int main() {
  signal(SIGPIPE, SIG_IGN);
  UNITY_BEGIN();
  RUN_TEST(a_call_is_answered_once_and_later);
  RUN_TEST(an_answer_to_another_request_is_a_bad_answer);
  RUN_TEST(a_request_has_the_headers_that_etcd_heeds);
  RUN_TEST(connections_are_used_again);
  RUN_TEST(a_member_that_refuses_is_named_and_passed_over);
  RUN_TEST(a_member_without_a_leader_is_passed_over);
  RUN_TEST(a_member_that_has_judged_a_request_is_kept);
  RUN_TEST(one_group_is_spread_over_the_members);
  RUN_TEST(an_answer_has_a_bound);
  RUN_TEST(what_is_no_etcd_is_quoted);
  RUN_TEST(redirections_and_proxies_are_not_followed);
  RUN_TEST(a_connection_that_dies_is_an_error);
  RUN_TEST(a_lease_that_is_gone_counts_as_revoked);
  RUN_TEST(names_are_resolved_ahead);
  RUN_TEST(files_of_tls_that_cannot_be_read_mean_no_request);
  RUN_TEST(without_endpoints_calls_fail_later);
  RUN_TEST(a_client_that_goes_calls_nobody);
  RUN_TEST(a_watch_streams_until_it_is_cut);
  RUN_TEST(a_watch_must_be_confirmed_in_time);
  RUN_TEST(a_watch_leaves_a_silent_member_for_one_that_answers);
  RUN_TEST(a_cancelled_watch_is_closed);
  RUN_TEST(a_watch_can_be_taken_elsewhere);
  RUN_TEST(a_member_that_serves_watches_badly_is_left_to_its_calls);
  RUN_TEST(a_watch_may_be_opened_anew_from_its_own_handlers);
  RUN_TEST(removed_endpoints_are_left);
  RUN_TEST(members_that_call_themselves_localhost_are_left_out);
  RUN_TEST(nothing_wakes_an_idle_client);
  return UNITY_END();
}
