// The file that a next process takes the session up from: whatever is wrong with it, there is none.
#include "daemon/memory.hpp"

#include "fixture.hpp"
#include "harness.hpp"

using namespace vipd;

namespace {

const std::string kPrefix = "/vipd";

Memory some_memory() {
  Memory memory;
  memory.cluster_id = 0xcdf818194e3a8c32;
  memory.session_revision = 77;
  memory.lease = static_cast<LeaseId>(0x694d8f3a1c2b4e01);
  memory.instance = "abc-1";
  memory.timeout = Duration::seconds(5);
  memory.incarnations = {1, 0xfedcba9876543210};
  memory.waited_out = {{*Address::parse("10.0.0.9"), 12}, {*Address::parse("2001:db8::1"), 34}};
  return memory;
}

// The two that take turns, both gone with the folder.
std::string memory_file(fixture::Folder* folder) {
  return folder->file("session.json", "");
}

std::string written(const std::string& path) {
  std::string reason;
  const bool is_written = write_memory(path, kPrefix, some_memory(), &reason);
  return is_written ? fixture::read(path) : reason;
}

bool is_ignored(const std::string& path) {
  return read_memory(path, kPrefix).lease == LeaseId::None;
}

void what_is_written_is_read_back() {
  fixture::Folder folder;
  const std::string path = memory_file(&folder);
  (void)written(path);
  const Memory memory = read_memory(path, kPrefix);
  const Memory wanted = some_memory();
  TEST_ASSERT_EQUAL_UINT64(wanted.cluster_id, memory.cluster_id);
  TEST_ASSERT_EQUAL_INT(wanted.session_revision, memory.session_revision);
  TEST_ASSERT_EQUAL_INT(static_cast<int64_t>(wanted.lease), static_cast<int64_t>(memory.lease));
  TEST_ASSERT_EQUAL_STRING(wanted.instance, memory.instance);
  TEST_ASSERT_EQUAL_INT(5000, memory.timeout.ms());
  TEST_ASSERT_TRUE(wanted.waited_out == memory.waited_out);
  TEST_ASSERT_TRUE(wanted.incarnations == memory.incarnations);
}

void no_file_is_no_session() {
  TEST_ASSERT_TRUE(is_ignored("/nonexistent/session.json"));
}

void every_part_of_a_file_is_ignored() {
  fixture::Folder folder;
  const std::string path = memory_file(&folder);
  const std::string whole = written(path);
  for (size_t size = 0; size < whole.size(); size++) {
    fixture::write(path, whole.substr(0, size));
    TEST_ASSERT_MESSAGE(is_ignored(path), whole.substr(0, size));
  }
}

void another_boot_or_prefix_is_ignored() {
  fixture::Folder folder;
  const std::string path = memory_file(&folder);
  const std::string whole = written(path);
  TEST_ASSERT_TRUE(read_memory(path, "/other").lease == LeaseId::None);
  const size_t at = whole.find("\"boot\":\"") + 8;
  std::string other = whole;
  other[at] = other[at] == '0' ? '1' : '0';
  fixture::write(path, other);
  TEST_ASSERT_TRUE(is_ignored(path));
}

void what_is_not_ours_is_ignored() {
  fixture::Folder folder;
  const std::string path = memory_file(&folder);
  const std::string whole = written(path);
  const auto with = [&](const std::string& what, const std::string& by) {
    return fixture::replaced(whole, what, by);
  };
  for (const std::string& text :
       {std::string("[]"), std::string("{}"), std::string("no JSON"),
        with("\"timeout_ms\":5000", "\"timeout_ms\":0"),
        with("\"timeout_ms\":5000", "\"timeout_ms\":-5"),
        with("\"timeout_ms\":5000", "\"timeout_ms\":999999999999"),
        with("\"timeout_ms\":5000", "\"timeout_ms\":\"5\""), with("\"abc-1\"", "1"),
        with("10.0.0.9", "10.0.0.999"), with(":12,", ":\"12\","),
        std::string((1 << 20) + 1, ' ') + whole}) {
    fixture::write(path, text);
    TEST_ASSERT_MESSAGE(text == whole || is_ignored(path), text.substr(0, 200));
    TEST_ASSERT_FALSE(text == whole);
  }
}

void what_is_no_file_is_ignored() {
  fixture::Folder folder;
  TEST_ASSERT_TRUE(is_ignored(folder.path()));
}

void a_memory_without_a_lease_keeps_the_cluster() {
  fixture::Folder folder;
  const std::string path = memory_file(&folder);
  Memory ended;
  ended.cluster_id = 0xcdf818194e3a8c32;
  std::string reason;
  TEST_ASSERT_TRUE(write_memory(path, kPrefix, ended, &reason));
  const Memory memory = read_memory(path, kPrefix);
  TEST_ASSERT_EQUAL_UINT64(ended.cluster_id, memory.cluster_id);
  TEST_ASSERT_TRUE(memory.lease == LeaseId::None);
}

void a_memory_without_a_cluster_removes_the_file() {
  fixture::Folder folder;
  const std::string path = memory_file(&folder);
  (void)written(path);
  std::string reason;
  TEST_ASSERT_TRUE(write_memory(path, kPrefix, Memory{}, &reason));
  TEST_ASSERT_TRUE(access(path.c_str(), F_OK) != 0);
  TEST_ASSERT_TRUE(write_memory(path, kPrefix, Memory{}, &reason));
}

}  // namespace

int main() {
  UNITY_BEGIN();
  RUN_TEST(what_is_written_is_read_back);
  RUN_TEST(no_file_is_no_session);
  RUN_TEST(every_part_of_a_file_is_ignored);
  RUN_TEST(another_boot_or_prefix_is_ignored);
  RUN_TEST(what_is_not_ours_is_ignored);
  RUN_TEST(what_is_no_file_is_ignored);
  RUN_TEST(a_memory_without_a_lease_keeps_the_cluster);
  RUN_TEST(a_memory_without_a_cluster_removes_the_file);
  return UNITY_END();
}
