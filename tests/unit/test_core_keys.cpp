#include "core/keys.hpp"

#include "harness.hpp"

using namespace vipd;

static const Address kVip = *Address::parse("192.168.0.15");

static void keys_are_what_the_protocol_says() {
  const LeaseId lease = static_cast<LeaseId>(0x694d8f3a1c2b4e01);
  const auto text = [&](KeyKind kind) { return encode_key("/vipd", {kind, lease, kVip}); };
  TEST_ASSERT_EQUAL_STRING("/vipd/session/694d8f3a1c2b4e01", text(KeyKind::Session));
  TEST_ASSERT_EQUAL_STRING("/vipd/writes/694d8f3a1c2b4e01", text(KeyKind::Writes));
  TEST_ASSERT_EQUAL_STRING("/vipd/vip/192.168.0.15/694d8f3a1c2b4e01", text(KeyKind::Candidate));
  TEST_ASSERT_EQUAL_STRING("/vipd/peers/694d8f3a1c2b4e01", text(KeyKind::Peers));
  TEST_ASSERT_EQUAL_STRING("/vipd/hold/694d8f3a1c2b4e01", text(KeyKind::Hold));
}

static void keys_read_back() {
  for (const KeyKind kind :
       {KeyKind::Session, KeyKind::Writes, KeyKind::Candidate, KeyKind::Peers, KeyKind::Hold}) {
    Key key{kind, static_cast<LeaseId>(0x7fffffffffffffff), {}};
    if (kind == KeyKind::Candidate) key.vip = kVip;
    const std::optional<Key> back = decode_key("/a/b", encode_key("/a/b", key));
    TEST_ASSERT_TRUE(back.has_value());
    TEST_ASSERT_TRUE(*back == key);
  }
}

static void other_keys_have_no_part() {
  for (const char* text :
       {"", "/vipd", "/vipd/", "/vipd/session/", "/vipd/session/xyz", "/vipd/session/0",
        "/vipd/session/01", "/vipd/session/ABC", "/vipd/session/ffffffffffffffff",
        "/vipd/session/12345678901234567", "/vipd/vip/", "/vipd/vip/1.2.3.4",
        "/vipd/vip/nonsense/1", "/vipd/vip/01.2.3.4/1", "/vipd/vip/1.2.3.004/1",
        "/vipd/vip/1.2.3/1", "/vipd/vip/fe80:0::1/1", "/other/session/1", "/vipd/writes/-1"}) {
    TEST_ASSERT_MESSAGE(!decode_key("/vipd", text).has_value(), text);
  }
}

// Any key in the range takes a place in etcd's queue, so it takes one in ours.
static void a_candidate_that_is_no_lease_is_foreign_and_keeps_its_identity() {
  const auto one = decode_key("/vipd", "/vipd/vip/1.2.3.4/by-hand");
  const auto same = decode_key("/vipd", "/vipd/vip/1.2.3.4/by-hand");
  const auto other = decode_key("/vipd", "/vipd/vip/1.2.3.4/by-hand/2");
  TEST_ASSERT_TRUE(one.has_value() && other.has_value());
  TEST_ASSERT_TRUE(static_cast<int64_t>(one->lease) < 0);
  TEST_ASSERT_TRUE(*one == *same);
  TEST_ASSERT_FALSE(one->lease == other->lease);
}

static void session_values_read_back() {
  Value value;
  value.node = "n\"1\n";
  value.instance = "abc";
  value.timeout = Duration::milliseconds(5000);
  value.nonce = 0xfedcba9876543210;
  for (const bool released : {false, true}) {
    value.released = released;
    const std::string text = encode_value(KeyKind::Session, value);
    TEST_ASSERT_TRUE(text.find('\n') == std::string::npos);
    const Value back = decode_value(KeyKind::Session, text);
    TEST_ASSERT_TRUE(back.valid);
    TEST_ASSERT_EQUAL_STRING(value.node, back.node);
    TEST_ASSERT_EQUAL_STRING(value.instance, back.instance);
    TEST_ASSERT_EQUAL_INT(5000, back.timeout.ms());
    TEST_ASSERT_EQUAL_UINT64(value.nonce, back.nonce);
    TEST_ASSERT_TRUE(back.released == released);
  }
}

static void what_was_held_is_said_of_a_release_only() {
  Value value;
  value.timeout = Duration::seconds(5);
  value.released = value.held = true;
  const std::string text = encode_value(KeyKind::Session, value);
  TEST_ASSERT_TRUE(text.find(R"("state":"released","held":true)") != std::string::npos);
  TEST_ASSERT_TRUE(decode_value(KeyKind::Session, text).held);
  const auto held = [](const std::string& end) {
    return decode_value(
        KeyKind::Session,
        R"({"node":"","instance":"","timeout_ms":1,"nonce":"1","state":)" + end + "}");
  };
  TEST_ASSERT_FALSE(held(R"("released")").held);  // as a former version writes it
  TEST_ASSERT_FALSE(held(R"("live","held":true)").held);
  for (const char* odd : {"1", "null", R"("true")", "[true]", "false"}) {
    const Value read = held(R"("released","held":)" + std::string(odd));
    TEST_ASSERT_TRUE(read.valid && read.released);
    TEST_ASSERT_FALSE(read.held);
  }
}

static void a_daemon_without_the_peer_lease_has_no_incarnation() {
  Value value;
  value.node = "n1";
  value.timeout = Duration::milliseconds(5000);
  const Value old = decode_value(KeyKind::Session, encode_value(KeyKind::Session, value));
  TEST_ASSERT_TRUE(old.valid);
  TEST_ASSERT_EQUAL_UINT64(0, old.incarnation);
  value.incarnation = 0xfedcba9876543211;
  value.seen = 4711;
  const Value back = decode_value(KeyKind::Session, encode_value(KeyKind::Session, value));
  TEST_ASSERT_TRUE(back.valid);
  TEST_ASSERT_EQUAL_UINT64(0xfedcba9876543211, back.incarnation);
  TEST_ASSERT_EQUAL_INT(4711, back.seen);
}

static void terms_read_back() {
  Value value;
  value.peers = {.number = 0xfedcba9876543210, .timeout = Duration::milliseconds(250)};
  for (uint64_t i = 1; i <= kMostGrantors; i++) value.peers.grantors.push_back({i, ~i});
  const std::string text = encode_value(KeyKind::Peers, value);
  TEST_ASSERT_TRUE(text.find('\n') == std::string::npos);
  const Value back = decode_value(KeyKind::Peers, text);
  TEST_ASSERT_TRUE(back.valid);
  TEST_ASSERT_TRUE(back.peers == value.peers);
}

// The longest that there can be.
static void marks_read_back() {
  Value value;
  value.node = std::string(64, 'n');
  value.incarnation = 0xfedcba9876543211;
  value.host = {.boot = 0x0123456789abcdef, .mac = {{2, 0, 0, 0, 1, 0xfe}}};
  value.peers = {.number = 0xfedcba9876543210, .timeout = Duration::milliseconds(250)};
  for (uint64_t i = 1; i <= kMostGrantors; i++) {
    value.peers.grantors.push_back({.incarnation = i, .secret = ~i, .host = value.host});
  }
  const std::string text = encode_value(KeyKind::Hold, value);
  TEST_ASSERT_TRUE(text.find(R"("host":"0123456789abcdef-0200000001fe")") != std::string::npos);
  const Value back = decode_value(KeyKind::Hold, text);
  TEST_ASSERT_TRUE(back.valid);
  TEST_ASSERT_TRUE(back.peers == value.peers && back.host == value.host);
  TEST_ASSERT_EQUAL_STRING(value.node, back.node);
  TEST_ASSERT_EQUAL_UINT64(value.incarnation, back.incarnation);
}

static void who_honours_marks_says_so_and_where_it_runs() {
  Value value;
  value.timeout = Duration::seconds(5);
  const std::string old = encode_value(KeyKind::Session, value);
  TEST_ASSERT_FALSE(decode_value(KeyKind::Session, old).honours);
  TEST_ASSERT_FALSE(decode_value(KeyKind::Session, old).host.known());
  value.honours = true;
  value.host = {.boot = 7, .mac = {{2, 0, 0, 0, 0, 1}}};
  const Value back = decode_value(KeyKind::Session, encode_value(KeyKind::Session, value));
  TEST_ASSERT_TRUE(back.valid && back.honours && back.host == value.host);
}

static void a_faulty_host_is_not_known() {
  for (const char* host : {"", "7", "0000000000000007-02000000000", "0000000000000007-0200000000xy",
                           "000000000000000x-020000000001", "0000000000000007/020000000001"}) {
    const std::string text =
        R"({"node":"n","instance":"i","timeout_ms":5000,"nonce":"1","state":"live","host":")" +
        std::string(host) + "\"}";
    const Value value = decode_value(KeyKind::Session, text);
    TEST_ASSERT_MESSAGE(value.valid && !value.host.known(), host);
  }
}

static void faulty_terms_are_none() {
  for (const char* text :
       {"", "{}", R"({"term":"1","grantors":[],"timeout_ms":250})",
        R"({"term":"0","grantors":[{"incarnation":"1","secret":"2"}],"timeout_ms":250})",
        R"({"term":"1","grantors":[{"incarnation":"0","secret":"2"}],"timeout_ms":250})",
        R"({"term":"1","grantors":[{"incarnation":"1","secret":"2"}],"timeout_ms":0})",
        R"({"term":"1","grantors":[{"incarnation":"1"}],"timeout_ms":250})",
        R"({"term":"1","grantors":{"incarnation":"1","secret":"2"},"timeout_ms":250})",
        R"({"term":"1","grantors":[7],"timeout_ms":250})",
        R"({"term":1,"grantors":[{"incarnation":"1","secret":"2"}],"timeout_ms":250})",
        R"({"term":"x","grantors":[{"incarnation":"1","secret":"2"}],"timeout_ms":250})"}) {
    TEST_ASSERT_MESSAGE(!decode_value(KeyKind::Peers, text).valid, text);
  }
  // A grantor that is named twice would count twice.
  const char* twice = R"({"term":"1","timeout_ms":250,"grantors":[)"
                      R"({"incarnation":"1","secret":"2"},{"incarnation":"1","secret":"3"}]})";
  TEST_ASSERT_FALSE(decode_value(KeyKind::Peers, twice).valid);
  Value many;
  many.peers = {.number = 1, .timeout = Duration::milliseconds(250)};
  for (uint64_t i = 1; i <= kMostGrantors + 1; i++) many.peers.grantors.push_back({i, i});
  TEST_ASSERT_FALSE(decode_value(KeyKind::Peers, encode_value(KeyKind::Peers, many)).valid);
}

static void values_that_are_not_ours_say_so() {
  const std::string deep(100'000, '[');
  const std::string good = encode_value(KeyKind::Session, [] {
    Value value;
    value.timeout = Duration::seconds(5);
    return value;
  }());
  for (size_t cut = 0; cut < good.size(); cut++) {
    TEST_ASSERT_FALSE(decode_value(KeyKind::Session, good.substr(0, cut)).valid);
  }
  for (const std::string& text :
       {std::string("n1"), std::string("{}"), std::string("[]"), deep,
        std::string(R"({"node":1,"instance":"","timeout_ms":1,"nonce":"1","state":"live"})"),
        std::string(R"({"node":"","instance":"","timeout_ms":0,"nonce":"1","state":"live"})"),
        std::string(R"({"node":"","instance":"","timeout_ms":1e99,"nonce":"1","state":"live"})"),
        std::string(R"({"node":"","instance":"","timeout_ms":1,"nonce":"z","state":"live"})"),
        std::string(R"({"node":"","instance":"","timeout_ms":1,"nonce":"1","state":"dead"})")}) {
    const Value value = decode_value(KeyKind::Session, text);
    TEST_ASSERT_FALSE(value.valid);
    TEST_ASSERT_EQUAL_UINT64(0, value.nonce);
  }
}

static void a_foreign_candidate_is_shown_by_its_text() {
  const Value value = decode_value(KeyKind::Candidate, "db-7\x01");
  TEST_ASSERT_FALSE(value.valid);
  TEST_ASSERT_EQUAL_STRING("db-7?", value.node);
}

int main() {
  UNITY_BEGIN();
  RUN_TEST(keys_are_what_the_protocol_says);
  RUN_TEST(keys_read_back);
  RUN_TEST(other_keys_have_no_part);
  RUN_TEST(a_candidate_that_is_no_lease_is_foreign_and_keeps_its_identity);
  RUN_TEST(session_values_read_back);
  RUN_TEST(what_was_held_is_said_of_a_release_only);
  RUN_TEST(a_daemon_without_the_peer_lease_has_no_incarnation);
  RUN_TEST(terms_read_back);
  RUN_TEST(marks_read_back);
  RUN_TEST(who_honours_marks_says_so_and_where_it_runs);
  RUN_TEST(a_faulty_host_is_not_known);
  RUN_TEST(faulty_terms_are_none);
  RUN_TEST(values_that_are_not_ours_say_so);
  RUN_TEST(a_foreign_candidate_is_shown_by_its_text);
  return UNITY_END();
}
