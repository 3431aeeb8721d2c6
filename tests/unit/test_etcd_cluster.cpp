// The client among members of two clusters, played here on loopback.
#include "harness.hpp"
#include "played_member.hpp"

namespace {

std::string header_of(const std::string& cluster, const std::string& member) {
  return R"("header":{"cluster_id":")" + cluster + R"(","member_id":")" + member +
         R"(","revision":"33"})";
}

// Answers everything as a member of the cluster that `cluster` says at the time.
Member::Answer as_member_of(const std::string& cluster, const std::string& id) {
  return [&cluster, id](const std::string& path, const std::string&) {
    const std::string header = header_of(cluster, id);
    if (path == "/version") return reply(R"({"etcdserver":"3.4.23"})");
    if (path == "/v3/watch") {
      return open_stream(R"({"result":{)" + header + R"(,"created":true}})" + "\n");
    }
    if (path == "/v3/cluster/member/list") {
      return reply("{" + header + R"(,"members":[{"ID":"22","name":"n7"}]})");
    }
    if (path == "/v3/kv/range") return reply("{" + header + "}");
    return reply("{" + header + R"(,"ID":"7","TTL":"10"})");
  };
}

Options asking(const std::vector<std::string>& endpoints, uint64_t cluster) {
  Options o = options(endpoints, 500);
  o.cluster = cluster;
  o.ask_every = Duration::milliseconds(300);
  return o;
}

struct Heard {
  std::vector<Named> all;
  void listen(Client& client) {
    client.on_named([this](const Named& named) { all.push_back(named); });
  }
  [[nodiscard]] uint64_t last(size_t endpoint) const {
    uint64_t cluster = 0;
    for (const Named& n : all) cluster = n.endpoint == endpoint ? n.cluster : cluster;
    return cluster;
  }
};

const std::string kOurs = "11";
const std::string kTheirs = "99";

void without_a_cluster_all_are_asked_and_none_is_used() {
  Loop loop;
  Member first(loop, as_member_of(kTheirs, "1"));
  Member second(loop, as_member_of(kOurs, "2"));
  Client client(loop, asking({first.url(), second.url()}, 0));
  Heard heard;
  heard.listen(client);
  TEST_ASSERT_TRUE(run_until(loop, [&] { return heard.all.size() >= 2; }));
  TEST_ASSERT_EQUAL_UINT64(99, heard.last(0));
  TEST_ASSERT_EQUAL_UINT64(11, heard.last(1));
  TEST_ASSERT_EQUAL_UINT64(
      2, heard.all.back().endpoint == 1 ? heard.all.back().member : heard.all.front().member);
  TEST_ASSERT_FALSE(granted(loop, client).good);
  TEST_ASSERT_EQUAL_INT(0, first.count("/v3/lease/grant") + second.count("/v3/lease/grant"));
  client.use_cluster(11);
  TEST_ASSERT_TRUE(granted(loop, client).good);
  TEST_ASSERT_EQUAL_INT(0, first.count("/v3/lease/grant"));
}

// For hours, maybe: each failure says what the one before said, and no more.
void without_a_cluster_each_request_fails_in_the_same_words() {
  Loop loop;
  Client client(loop, asking({"http://127.0.0.1:1"}, 0));
  TEST_ASSERT_TRUE(run_until(loop, [&] { return client.last_error().has_value(); }));
  const std::string said = granted(loop, client).error.said();
  TEST_ASSERT_TRUE(said.starts_with("http://127.0.0.1:1: "));
  for (int i = 0; i < 3; i++) {
    TEST_ASSERT_EQUAL_STRING(said, granted(loop, client).error.said());
  }
}

// Whatever its place; and it does not come and go.
void a_stranger_is_passed_over_and_named_once() {
  Loop loop;
  Member first(loop, as_member_of(kTheirs, "1"));
  Member second(loop, as_member_of(kOurs, "2"));
  Client client(loop, asking({first.url(), second.url()}, 11));
  Heard heard;
  heard.listen(client);
  TEST_ASSERT_TRUE(run_until(loop, [&] { return heard.last(0) == 99 && heard.last(1) == 11; }));
  for (int i = 0; i < 20; i++) {
    TEST_ASSERT_TRUE(granted(loop, client).good);
    run_for(loop, 120);
  }
  TEST_ASSERT_TRUE(first.count("/v3/lease/grant") <= 1);  // before it had said so
  TEST_ASSERT_EQUAL_INT(1, first.count("/v3/cluster/member/list"));
  const std::vector<MemberView> members = client.members();
  TEST_ASSERT_TRUE(members.at(0).stranger && !members.at(1).stranger);
  TEST_ASSERT_EQUAL_UINT64(99, members.at(0).cluster);
  TEST_ASSERT_EQUAL_STRING("n7", members.at(0).members);
  TEST_ASSERT_TRUE(client.connected());
}

// Re-created while we use it, and put right again.
void a_member_changes_its_cluster_and_comes_back_on_trial() {
  Loop loop;
  std::string cluster = kOurs;
  Member first(loop, as_member_of(cluster, "1"));
  Member second(loop, as_member_of(kOurs, "2"));
  Client client(loop, asking({first.url(), second.url()}, 11));
  TEST_ASSERT_TRUE(granted(loop, client).good);
  TEST_ASSERT_EQUAL_STRING(first.url(), client.endpoint());
  cluster = kTheirs;
  const Result refused = granted(loop, client);
  TEST_ASSERT_EQUAL_INT(Error::kStranger, refused.error.code);
  TEST_ASSERT_EQUAL_STRING("it belongs to cluster 63, not to b", refused.error.text);
  TEST_ASSERT_TRUE(granted(loop, client).good);
  TEST_ASSERT_EQUAL_STRING(second.url(), client.endpoint());
  cluster = kOurs;
  TEST_ASSERT_TRUE(run_until(loop, [&] { return !client.members().at(0).stranger; }));
  TEST_ASSERT_TRUE(granted(loop, client).good);
  TEST_ASSERT_EQUAL_STRING(second.url(), client.endpoint());  // on trial
  TEST_ASSERT_TRUE(run_until(
      loop, [&] { return granted(loop, client).good && client.endpoint() == first.url(); }));
}

void a_stranger_keeps_no_watch_and_its_compaction_is_no_loss() {
  Loop loop;
  std::string cluster = kOurs;
  Member member(loop, as_member_of(cluster, "1"));
  Client client(loop, asking({member.url()}, 11));
  std::string trace;
  WatchHandlers handlers;
  handlers.created = [&](const Header&) { trace += "created "; };
  handlers.events = [&](const Header&, const std::vector<WatchEvent>&) { trace += "events "; };
  handlers.ended = [&](const Error& error, int64_t compacted) {
    trace += "ended " + std::to_string(error.code) + " " + std::to_string(compacted) + " ";
  };
  client.watch({"c", "d"}, 34, false, handlers);
  TEST_ASSERT_TRUE(run_until(loop, [&] { return trace == "created "; }));
  member.send_all(chunk(R"({"result":{)" + header_of(kTheirs, "1") +
                        R"(,"canceled":true,"compact_revision":"50"}})" + "\n"));
  TEST_ASSERT_TRUE(run_until(loop, [&] { return trace.find("ended") != std::string::npos; }));
  TEST_ASSERT_TRUE(trace.ends_with(" 0 "));
  cluster = kTheirs;
  trace.clear();
  client.watch({"c", "d"}, 34, false, handlers);
  TEST_ASSERT_TRUE(run_until(loop, [&] { return trace == "ended -4 0 "; }));
}

}  // namespace

int main() {
  UNITY_BEGIN();
  RUN_TEST(without_a_cluster_all_are_asked_and_none_is_used);
  RUN_TEST(without_a_cluster_each_request_fails_in_the_same_words);
  RUN_TEST(a_stranger_is_passed_over_and_named_once);
  RUN_TEST(a_member_changes_its_cluster_and_comes_back_on_trial);
  RUN_TEST(a_stranger_keeps_no_watch_and_its_compaction_is_no_loss);
  return UNITY_END();
}
