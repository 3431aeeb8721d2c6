#include "etcd/snapshot.hpp"

#include <string>
#include <vector>

#include "harness.hpp"
#include "unit/allocations.hpp"

using namespace vipd::etcd;

namespace {

const std::string kHead = R"({"header":{"cluster_id":"9","revision":"7"},"succeeded":true,)"
                          R"("responses":[)";

std::string kv(const std::string& key, const std::string& value = "YQ==") {
  return R"({"key":")" + key + R"(","create_revision":"2","mod_revision":"3","value":")" + value +
         R"("})";
}

std::string range(const std::string& kvs, const std::string& count) {
  return R"({"response_range":{"header":{"revision":"7"},"kvs":[)" + kvs + R"(],"count":")" +
         count + R"("}})";
}

const std::string kEmpty = R"({"response_range":{"header":{"revision":"7"}}})";
const std::string kGood = kHead + range(kv("YQ==") + "," + kv("Yg=="), "2") + ", " + kEmpty + "]}";

std::string answer(Snapshot& snapshot) {
  RangeAnswer out;
  Error error;
  if (!snapshot.finish(out, error)) return "error " + error.text;
  std::string text = std::to_string(out.header.revision) + ":";
  for (const KeyValue& each : out.kvs) text += " " + each.key + "=" + each.value;
  return text;
}

std::string read(const std::string& bytes, const Wanted& wanted = {}, size_t room = 1U << 20) {
  Snapshot snapshot(2, wanted, room);
  const std::string wrong = snapshot.feed(bytes);
  return wrong.empty() ? answer(snapshot) : "wrong " + wrong;
}

void keys_come_out_however_the_bytes_are_cut() {
  TEST_ASSERT_EQUAL_STRING("7: a=a b=a", read(kGood));
  for (size_t i = 0; i <= kGood.size(); ++i) {
    Snapshot snapshot(2, {}, 1U << 20);
    TEST_ASSERT_EQUAL_STRING("", snapshot.feed(kGood.substr(0, i)));
    TEST_ASSERT_EQUAL_STRING("", snapshot.feed(kGood.substr(i)));
    TEST_ASSERT_EQUAL_STRING("7: a=a b=a", answer(snapshot));
  }
}

void it_can_be_asked_for_again() {
  Snapshot snapshot(2, {}, 1U << 20);
  TEST_ASSERT_EQUAL_STRING("", snapshot.feed(kGood.substr(0, kGood.size() / 2)));
  snapshot.restart();
  TEST_ASSERT_EQUAL_STRING("", snapshot.feed(kGood));
  TEST_ASSERT_EQUAL_STRING("7: a=a b=a", answer(snapshot));
}

// What is missing would be taken for gone.
void an_answer_that_is_not_whole_is_refused() {
  const std::string one = kHead + range(kv("YQ=="), "1");
  for (size_t i = 0; i < kGood.size(); ++i) {
    TEST_ASSERT_MESSAGE(!read(kGood.substr(0, i)).starts_with("7"), kGood.substr(0, i));
  }
  TEST_ASSERT_EQUAL_STRING("error the number of keys does not match the count",
                           read(kHead + range(kv("YQ=="), "2") + "," + kEmpty + "]}"));
  TEST_ASSERT_TRUE(read(one + "]}").starts_with("error missing or wrong \"responses\""));
  TEST_ASSERT_TRUE(read(one + R"(,{"response_put":{}}]})").starts_with("error missing or wrong"));
  TEST_ASSERT_TRUE(read(R"({"header":{"cluster_id":"9","revision":"7"}})").starts_with("error"));
  TEST_ASSERT_EQUAL_STRING("error unexpected answer: 404 page not found",
                           read("404 page not found"));
  TEST_ASSERT_EQUAL_STRING("error etcdserver: no leader",
                           read(R"({"error":"etcdserver: no leader","code":14})"));
}

void a_list_of_other_things_is_refused() {
  const std::vector<std::string> lists = {"5",
                                          "\"a\"",
                                          "[]",
                                          ",",
                                          kv("YQ==") + ",",
                                          kv("YQ==") + kv("YQ=="),
                                          R"({"key":"YQ==")",
                                          R"({"key":["YQ=="},{]})",
                                          "{}"};
  for (const std::string& list : lists) {
    const std::string text = read(kHead + range(list, "1") + "," + kEmpty + "]}");
    TEST_ASSERT_MESSAGE(!text.starts_with("7"), list);
  }
}

void unwanted_keys_take_no_room() {
  const Wanted wanted = [](std::string_view key) { return key == "b"; };
  Snapshot snapshot(2, wanted, kKeyCost + 8);
  const std::string foreign = kv("YQ==", std::string(1U << 20, 'A'));
  TEST_ASSERT_EQUAL_STRING("", snapshot.feed(kHead + R"({"response_range":{"kvs":[)"));
  allocations::largest = 0;
  for (int i = 0; i < 32; ++i) {
    std::string wrong = snapshot.feed(foreign);
    wrong += snapshot.feed(",");
    TEST_ASSERT_EQUAL_STRING("", wrong);
  }
  TEST_ASSERT_TRUE(allocations::largest < 20'000);
  TEST_ASSERT_EQUAL_STRING("", snapshot.feed(kv("Yg==") + R"(],"count":"33"}},)" + kEmpty + "]}"));
  TEST_ASSERT_EQUAL_STRING("7: b=a", answer(snapshot));
}

void wanted_keys_have_a_bound() {
  TEST_ASSERT_EQUAL_STRING(
      "wrong more keys than fit into 0 KiB, a limit that grows with the number of VIPs configured "
      "here",
      read(kGood, {}, 2 * (kKeyCost + 2) - 1));
  TEST_ASSERT_EQUAL_STRING("7: a=a b=a", read(kGood, {}, 2 * (kKeyCost + 2)));
}

void endless_texts_have_a_bound() {
  const std::string junk(1U << 16, '[');
  TEST_ASSERT_TRUE(read(junk).starts_with("wrong unexpected answer: [[["));
  TEST_ASSERT_TRUE(read("\"" + junk).starts_with("wrong unexpected answer: "));
  TEST_ASSERT_TRUE(read(kHead + R"({"response_range":{"kvs":[{"x":)" + junk).starts_with("wrong"));
}

// Two long keys of somebody's in a queue are two candidates.
void long_texts_are_cut_and_stay_different() {
  const std::string same(8000, 'A');
  const std::string text =
      kHead +
      range(kv(same + "AAAA") + "," + kv(same + "AAAB") + "," + kv(same + "AAAB", same), "3") +
      "," + kEmpty + "]}";
  Snapshot snapshot(2, {}, 1U << 20);
  TEST_ASSERT_EQUAL_STRING("", snapshot.feed(text));
  RangeAnswer out;
  Error error;
  TEST_ASSERT_TRUE(snapshot.finish(out, error));
  TEST_ASSERT_EQUAL_INT(3, out.kvs.size());
  TEST_ASSERT_TRUE(out.kvs[0].key != out.kvs[1].key);
  TEST_ASSERT_TRUE(out.kvs[1].key == out.kvs[2].key);
  for (const KeyValue& each : out.kvs) TEST_ASSERT_TRUE(each.key.size() <= 3072);
  TEST_ASSERT_TRUE(out.kvs[2].value.size() <= 3072 && out.kvs[2].value.size() > 2048);
}

}  // namespace

int main() {
  UNITY_BEGIN();
  RUN_TEST(keys_come_out_however_the_bytes_are_cut);
  RUN_TEST(it_can_be_asked_for_again);
  RUN_TEST(an_answer_that_is_not_whole_is_refused);
  RUN_TEST(a_list_of_other_things_is_refused);
  RUN_TEST(unwanted_keys_take_no_room);
  RUN_TEST(wanted_keys_have_a_bound);
  RUN_TEST(endless_texts_have_a_bound);
  RUN_TEST(long_texts_are_cut_and_stay_different);
  return UNITY_END();
}
