// Tokens: asked for, refused, renewed, and never an answer's delay of more than that.
#include "etcd/auth.hpp"

#include <sys/stat.h>

#include <csignal>
#include <ctime>

#include "etcd/base64.hpp"
#include "fixture.hpp"
#include "harness.hpp"
#include "played_member.hpp"

namespace {

constexpr char kAuthenticate[] = "/v3/auth/authenticate";

// What etcd says to a watch without a token: the one answer of it that names the cluster then.
std::string refused_watch(const std::string& header) {
  return open_stream(
      R"({"result":{)" + header +
      R"(,"watch_id":"-1","created":true,"canceled":true,"cancel_reason":)"
      R"("rpc error: code = InvalidArgument desc = etcdserver: user name is empty"}})"
      "\n");
}
const std::string kForeign =
    R"("header":{"cluster_id":"99","member_id":"1","revision":"5","raft_term":"2"})";

std::string refusal(int code, const std::string& text) {
  return reply(R"({"code":)" + std::to_string(code) + R"(,"message":")" + text + R"("})", "400 x");
}

// A member that wants the newest of its tokens: T1, T2, ...
struct Guarded {
  Loop loop;
  fixture::Folder folder;
  std::string password_file = folder.file("password", "secret\n");
  int tokens = 0;
  std::string refuses = refusal(16, "etcdserver: invalid auth token");
  std::string says;  // to authenticate, in the place of a token
  bool silent = false;
  bool hides = false;  // whose member it is
  std::string header = kHeader;
  Member member{loop, [this](const std::string& path, const std::string& text) {
                  if (path == kAuthenticate) return authenticate();
                  if (path == "/version") return good(path, text);
                  if (path == "/v3/watch" && text.find("\r\nAuthorization") == std::string::npos) {
                    return hides ? refuses : refused_watch(header);
                  }
                  const std::string line = "\r\nAuthorization: T" + std::to_string(tokens) + "\r\n";
                  return text.find(line) == std::string::npos ? refuses : good(path, text);
                }};

  Guarded() { chmod(password_file.c_str(), 0600); }
  std::string authenticate() {
    if (silent) return "";
    if (!says.empty()) return says;
    return reply("{" + kHeader + R"(,"token":"T)" + std::to_string(++tokens) + R"("})");
  }
  Options who(int64_t timeout_ms = 2000) {
    Options o = options({member.url()}, timeout_ms);
    o.user = "vip";
    o.password_file = password_file;
    o.needs = "readwrite from /vipd/ to /vipd0";
    return o;
  }
  size_t asked() { return member.count(kAuthenticate); }
};

void a_token_is_asked_for_once_and_sent_with_each_request() {
  Guarded g;
  Client client(g.loop, g.who());
  Result first;
  Result second;
  client.grant(10, first.done<Granted>());
  client.txn({}, 7, second.done<TxnAnswer>());
  TEST_ASSERT_TRUE(run_until(g.loop, [&] { return first.calls + second.calls == 2; }));
  TEST_ASSERT_TRUE(first.good && second.good);
  TEST_ASSERT_TRUE(granted(g.loop, client).good);
  TEST_ASSERT_EQUAL_INT(1, g.asked());
  TEST_ASSERT_TRUE(g.member.requests.at(1).ends_with(R"({"name":"vip","password":"secret"})"));
}

void a_refused_token_is_renewed_within_the_attempt() {
  Guarded g;
  Client client(g.loop, g.who());
  TEST_ASSERT_TRUE(granted(g.loop, client).good);
  for (const char* text : {"etcdserver: revision of auth store is old", "user name is empty", ""}) {
    if (*text != '\0') g.refuses = refusal(3, text);
    const int before = g.tokens++;  // the token that the client has is void
    Result first;
    Result second;
    client.grant(10, first.done<Granted>());
    client.txn({}, 7, second.done<TxnAnswer>());
    TEST_ASSERT_TRUE(run_until(g.loop, [&] { return first.calls + second.calls == 2; }));
    TEST_ASSERT_TRUE(first.good && second.good);
    TEST_ASSERT_EQUAL_INT(before + 2, g.tokens);  // one renewal for both
  }
}

void what_is_refused_with_the_new_token_is_refused() {
  Guarded g;
  g.says = reply("{" + kHeader + R"(,"token":"never-good"})");
  Client client(g.loop, g.who());
  const Result result = granted(g.loop, client);
  TEST_ASSERT_EQUAL_INT(16, result.error.code);
  TEST_ASSERT_EQUAL_INT(2, g.asked());
}

void without_its_password_nothing_is_asked() {
  Guarded g;
  chmod(g.password_file.c_str(), 0644);
  Client client(g.loop, g.who());
  const Result result = granted(g.loop, client);
  TEST_ASSERT_EQUAL_INT(16, result.error.code);
  TEST_ASSERT_TRUE(
      result.error.text.starts_with("nothing is sent: etcd.password_file " + g.password_file));
  TEST_ASSERT_EQUAL_INT(0, g.member.accepted);
  chmod(g.password_file.c_str(), 0600);
  TEST_ASSERT_TRUE(run_until(g.loop, [&] { return granted(g.loop, client).good; }));
}

void a_wrong_password_is_told_and_not_asked_again_at_once() {
  Guarded g;
  g.says = refusal(3, "etcdserver: authentication failed, invalid user ID or password");
  Client client(g.loop, g.who());
  for (int i = 0; i < 3; ++i) {
    const Result result = granted(g.loop, client);
    TEST_ASSERT_EQUAL_INT(16, result.error.code);
    TEST_ASSERT_EQUAL_STRING("user 'vip' with the password in " + g.password_file +
                                 ": etcdserver: authentication failed, invalid user ID or password",
                             result.error.text);
  }
  TEST_ASSERT_EQUAL_INT(1, g.asked());
  TEST_ASSERT_EQUAL_INT(0, g.member.count("/v3/lease/grant"));
}

void where_authentication_is_off_no_token_is_needed() {
  Guarded g;
  g.says = refusal(9, "etcdserver: authentication is not enabled");
  Member open(g.loop, [&](const std::string& path, const std::string& text) {
    return path == kAuthenticate ? g.says : good(path, text);
  });
  Options o = g.who();
  o.endpoints = {open.url()};
  Client client(g.loop, o);
  TEST_ASSERT_TRUE(granted(g.loop, client).good);
  TEST_ASSERT_TRUE(granted(g.loop, client).good);
  TEST_ASSERT_EQUAL_INT(1, open.count(kAuthenticate));
  TEST_ASSERT_TRUE(open.requests.back().find("Authorization") == std::string::npos);
}

void a_member_that_does_not_authenticate_is_passed_over() {
  Guarded mute;
  mute.silent = true;
  Member other(mute.loop, [&](const std::string& path, const std::string& text) {
    if (path == kAuthenticate) return reply("{" + kHeader + R"(,"token":"T9"})");
    return good(path, text);
  });
  Options o = mute.who(1000);
  o.endpoints = {mute.member.url(), other.url()};
  Client client(mute.loop, o);
  Result first;
  Result second;
  client.txn({}, 7, first.done<TxnAnswer>());
  // Later, so that there is time left for it when the other's is over.
  const auto timer = mute.loop.add_timer(mute.loop.now() + Duration::milliseconds(500),
                                         [&] { client.txn({}, 7, second.done<TxnAnswer>()); });
  TEST_ASSERT_TRUE(run_until(mute.loop, [&] { return first.calls + second.calls == 2; }));
  mute.loop.cancel_timer(timer);
  TEST_ASSERT_EQUAL_STRING("no answer within 1000 ms", first.error.text);
  TEST_ASSERT_TRUE(second.good);
  const Result later = granted(mute.loop, client);
  TEST_ASSERT_EQUAL_STRING("", later.error.text);
}

void a_watch_that_is_refused_for_its_token_is_nobodys_fault() {
  Guarded g;
  Client client(g.loop, g.who());
  TEST_ASSERT_TRUE(granted(g.loop, client).good);
  g.refuses =
      open_stream(R"({"result":{)" + kHeader +
                  R"(,"watch_id":"-1","created":true,"canceled":true,"cancel_reason":)"
                  R"("rpc error: code = Unauthenticated desc = etcdserver: invalid auth token"}})"
                  "\n");
  ++g.tokens;
  int ended = 0;
  int created = 0;
  WatchHandlers handlers{[&](const Header&) { ++created; }, [](auto&, auto&) {}, nullptr};
  handlers.ended = [&](const Error& error, int64_t) {
    TEST_ASSERT_EQUAL_INT(0, error.code);
    ++ended;
  };
  client.watch({"c", "d"}, 34, false, handlers);
  TEST_ASSERT_TRUE(run_until(g.loop, [&] { return ended == 1 && g.tokens == 3; }));
  run_for(g.loop, 20);
  client.watch({"c", "d"}, 34, false, handlers);
  TEST_ASSERT_TRUE(run_until(g.loop, [&] { return created == 1; }));
}

void a_password_that_others_can_read_is_not_used_but_the_one_before() {
  Guarded g;
  Client client(g.loop, g.who());
  TEST_ASSERT_TRUE(granted(g.loop, client).good);
  fixture::write(g.password_file, "another\n");
  chmod(g.password_file.c_str(), 0640);
  ++g.tokens;
  TEST_ASSERT_TRUE(granted(g.loop, client).good);
  chmod(g.password_file.c_str(), 0600);
  ++g.tokens;
  TEST_ASSERT_TRUE(granted(g.loop, client).good);
  std::vector<std::string> passwords;
  for (const std::string& request : g.member.requests) {
    if (request.find(kAuthenticate) == std::string::npos) continue;
    passwords.push_back(request.substr(request.rfind(':') + 1));
  }
  TEST_ASSERT_EQUAL_STRING("\"secret\"}\n\"secret\"}\n\"another\"}\n", fixture::joined(passwords));
}

void another_user_has_another_token() {
  Guarded g;
  Client client(g.loop, g.who());
  TEST_ASSERT_TRUE(granted(g.loop, client).good);
  g.silent = true;
  Options o = g.who();
  o.user = "other";
  client.reconfigure(o);
  Result result;
  client.grant(10, result.done<Granted>());
  TEST_ASSERT_TRUE(run_until(g.loop, [&] { return g.asked() == 2; }));
  o.user = "third";
  client.reconfigure(o);
  g.silent = false;
  g.member.drop_all();  // the other's question
  TEST_ASSERT_TRUE(run_until(g.loop, [&] { return result.calls == 1; }));
  TEST_ASSERT_EQUAL_STRING("", result.error.text);
  TEST_ASSERT_TRUE(g.member.requests.at(g.member.requests.size() - 2).find("third") !=
                   std::string::npos);
}

void what_somebody_must_mend_is_explained() {
  Guarded g;
  Client client(g.loop, g.who());
  TEST_ASSERT_TRUE(granted(g.loop, client).good);
  ++g.tokens;
  g.refuses = refusal(7, "etcdserver: permission denied");
  Result result = granted(g.loop, client);
  TEST_ASSERT_EQUAL_STRING("permission denied: user 'vip' needs readwrite from /vipd/ to /vipd0",
                           result.error.text);
  g.refuses = reply(
      "CommonName of client sending a request against gateway will be ignored and not used as "
      "expected\n",
      "400 Bad Request");
  result = granted(g.loop, client);
  TEST_ASSERT_EQUAL_INT(Error::kSetup, result.error.code);
  TEST_ASSERT_TRUE(result.error.text.find("use an etcd.cert without one") != std::string::npos);
  g.refuses = refusal(3, "etcdserver: user name is empty");
  Client nobody(g.loop, options({g.member.url()}));
  result = granted(g.loop, nobody);
  TEST_ASSERT_EQUAL_STRING("etcd's authentication is on: set etcd.user and etcd.password_file",
                           result.error.text);
}

std::string jwt(const std::string& claims) {
  std::string text = base64_encode(claims);
  while (text.ends_with('=')) text.pop_back();
  return "e30." + text + ".c2ln";
}

void the_end_of_a_token_is_known_where_it_says_so() {
  TEST_ASSERT_EQUAL_INT(1735689600, token_end(jwt(R"({"exp":1735689600,"username":"vip"})")));
  TEST_ASSERT_EQUAL_INT(7, token_end(jwt(R"({"exp": 7})")));
  for (const std::string& text :
       {std::string("LHRrkhItgNMsEnDv.16"), std::string(""), std::string("a.b.c"),
        std::string(".."), jwt("{}"), jwt(R"({"exp":"x"})"), jwt(R"({"exp":-1})"), jwt("[]")}) {
    TEST_ASSERT_MESSAGE(token_end(text) == 0, text.c_str());
  }
}

void a_token_is_renewed_before_its_end() {
  Auth auth({"vip", "/nonexistent"});
  const MonoTime now = MonoTime::from_ns(0);
  TEST_ASSERT_TRUE(auth.lacks_token());
  auth.granted(jwt(R"({"exp":)" + std::to_string(time(nullptr) + 300) + "}"), now);
  TEST_ASSERT_FALSE(auth.lacks_token() || auth.renewal_due(now + Duration::seconds(190)));
  TEST_ASSERT_TRUE(auth.renewal_due(now + Duration::seconds(201)));
  auth.postponed(now + Duration::seconds(201));
  TEST_ASSERT_FALSE(auth.renewal_due(now + Duration::milliseconds(201'999)));
  TEST_ASSERT_TRUE(auth.renewal_due(now + Duration::seconds(202)));
  for (const char* token : {"LHRrkhItgNMsEnDv.16", "e30.eyJleHAiOjd9.c2ln"}) {  // or in the past
    auth.granted(token, now);
    TEST_ASSERT_FALSE(auth.renewal_due(now + Duration::seconds(1'000'000)));
  }
}

// Neither one of another cluster, which refuses our token, nor one that does not say whose it is.
void a_member_that_has_not_named_our_cluster_gets_no_password() {
  for (const bool hides : {false, true}) {
    Guarded g;
    bool hidden = hides;
    Member stranger(g.loop, [&](const std::string& path, const std::string&) {
      if (path == "/v3/watch" && !hidden) return refused_watch(kForeign);
      return refusal(16, "etcdserver: invalid auth token");
    });
    Options o = g.who(500);
    o.endpoints.insert(o.endpoints.begin(), stranger.url());
    o.ask_every = Duration::milliseconds(300);
    Client client(g.loop, o);
    TEST_ASSERT_TRUE(run_until(g.loop, [&] { return granted(g.loop, client).good; }));
    TEST_ASSERT_EQUAL_STRING(hides
                                 ? "it does not name its cluster, so no password is sent to it: "
                                   "etcdserver: invalid auth token"
                                 : "it belongs to cluster 63, not to b: no password is sent to it",
                             client.last_error()->error.text);
    TEST_ASSERT_TRUE(run_until(g.loop, [&] { return stranger.requests.size() >= 4; }));
    TEST_ASSERT_EQUAL_INT(0, stranger.count(kAuthenticate));
    TEST_ASSERT_EQUAL_INT(1, g.asked());
  }
}

// It named ours before. Refused for its token, the client asks anew whose member it is.
void a_member_that_was_ours_gets_no_password() {
  Guarded g;
  Client client(g.loop, g.who());
  TEST_ASSERT_TRUE(granted(g.loop, client).good);
  g.header = kForeign;
  ++g.tokens;
  const Result refused = granted(g.loop, client);
  TEST_ASSERT_EQUAL_STRING("it belongs to cluster 63, not to b: no password is sent to it",
                           refused.error.text);
  TEST_ASSERT_EQUAL_INT(1, g.asked());
}

// A stranger is asked without a token. One of ours that has authentication on answers nothing so.
void a_stranger_that_is_ours_again_gets_the_token() {
  Guarded g;
  bool strange = true;
  Member other(g.loop, [&](const std::string& path, const std::string& text) {
    if (path == kAuthenticate) return g.authenticate();
    if (path == "/v3/watch") return refused_watch(strange ? kForeign : kHeader);
    if (strange) return reply("{" + kForeign + "}");
    const bool has_token = text.find("\r\nAuthorization: T") != std::string::npos;
    return has_token ? good(path, text) : refusal(3, "etcdserver: user name is empty");
  });
  Options o = g.who(500);
  o.endpoints.push_back(other.url());
  o.ask_every = Duration::milliseconds(300);
  Client client(g.loop, o);
  TEST_ASSERT_TRUE(run_until(g.loop, [&] { return client.members().at(1).stranger; }));
  const size_t before = other.requests.size();
  TEST_ASSERT_TRUE(run_until(g.loop, [&] { return other.requests.size() > before + 2; }));
  for (size_t i = before; i < other.requests.size(); ++i) {
    TEST_ASSERT_TRUE(other.requests[i].find("Authorization") == std::string::npos);
  }
  strange = false;
  TEST_ASSERT_TRUE(run_until(g.loop, [&] { return !client.members().at(1).stranger; }));
}

// Who is bound to no cluster yet has to hear each endpoint again and again.
void votes_are_renewed_where_authentication_is_on() {
  Guarded g;
  Options o = g.who(500);
  o.cluster = 0;
  o.ask_every = Duration::milliseconds(300);
  Client client(g.loop, o);
  int named = 0;
  client.on_named([&](const Named&) { ++named; });
  TEST_ASSERT_TRUE(run_until(g.loop, [&] { return named >= 3; }));
  TEST_ASSERT_EQUAL_INT(1, g.asked());
}

}  // namespace

int main() {
  signal(SIGPIPE, SIG_IGN);
  UNITY_BEGIN();
  RUN_TEST(a_token_is_asked_for_once_and_sent_with_each_request);
  RUN_TEST(a_refused_token_is_renewed_within_the_attempt);
  RUN_TEST(what_is_refused_with_the_new_token_is_refused);
  RUN_TEST(without_its_password_nothing_is_asked);
  RUN_TEST(a_wrong_password_is_told_and_not_asked_again_at_once);
  RUN_TEST(where_authentication_is_off_no_token_is_needed);
  RUN_TEST(a_member_that_does_not_authenticate_is_passed_over);
  RUN_TEST(a_watch_that_is_refused_for_its_token_is_nobodys_fault);
  RUN_TEST(a_password_that_others_can_read_is_not_used_but_the_one_before);
  RUN_TEST(another_user_has_another_token);
  RUN_TEST(what_somebody_must_mend_is_explained);
  RUN_TEST(the_end_of_a_token_is_known_where_it_says_so);
  RUN_TEST(a_token_is_renewed_before_its_end);
  RUN_TEST(a_member_that_has_not_named_our_cluster_gets_no_password);
  RUN_TEST(a_member_that_was_ours_gets_no_password);
  RUN_TEST(a_stranger_that_is_ours_again_gets_the_token);
  RUN_TEST(votes_are_renewed_where_authentication_is_on);
  return UNITY_END();
}
