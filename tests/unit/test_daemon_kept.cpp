#include "daemon/kept.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include "fixture.hpp"
#include "harness.hpp"
#include "logged.hpp"

using namespace vipd;

namespace {

// A state directory whose files go with it.
struct Bench {
  fixture::Folder folder;
  std::string reason;

  Bench() { logged::lines.clear(); }
};

Memory session() {
  Memory memory;
  memory.cluster_id = 42;
  memory.lease = static_cast<LeaseId>(7);
  memory.instance = "a-1";
  memory.timeout = Duration::seconds(5);
  return memory;
}

void a_session_is_remembered_for_the_next_process() {
  Bench b;
  {
    Kept kept("/vipd");
    TEST_ASSERT_TRUE(kept.open(b.folder.path(), &b.reason));
    TEST_ASSERT_TRUE(kept.former().lease == LeaseId::None);
    kept.remember(session());
    TEST_ASSERT_TRUE(kept.former().lease == LeaseId::None);
  }
  Kept next("/vipd");
  TEST_ASSERT_TRUE(next.open(b.folder.path(), &b.reason));
  TEST_ASSERT_TRUE(next.former().lease == session().lease);
}

// A process that has opened no session yet must not lose the one that it was left.
void what_was_found_is_what_is_written_again() {
  Bench b;
  {
    Kept kept("/vipd");
    TEST_ASSERT_TRUE(kept.open(b.folder.path(), &b.reason));
    kept.remember(session());
  }
  {
    Kept kept("/vipd");
    TEST_ASSERT_TRUE(kept.open(b.folder.path(), &b.reason));
    TEST_ASSERT_TRUE(kept.write(&b.reason));
  }
  Kept next("/vipd");
  TEST_ASSERT_TRUE(next.open(b.folder.path(), &b.reason));
  TEST_ASSERT_TRUE(next.former().lease == session().lease);
}

void two_do_not_have_one_folder() {
  Bench b;
  Kept first("/vipd");
  Kept second("/vipd");
  TEST_ASSERT_TRUE(first.open(b.folder.path(), &b.reason));
  TEST_ASSERT_FALSE(second.open(b.folder.path(), &b.reason));
  TEST_ASSERT_TRUE(b.reason.find(b.folder.path()) != std::string::npos);
}

void a_pause_lives_until_it_is_ended() {
  Bench b;
  {
    Kept kept("/vipd");
    TEST_ASSERT_TRUE(kept.open(b.folder.path(), &b.reason));
    TEST_ASSERT_FALSE(kept.is_paused());
    TEST_ASSERT_TRUE(kept.pause(&b.reason));
    TEST_ASSERT_TRUE(kept.is_paused());
  }
  {
    Kept kept("/vipd");
    TEST_ASSERT_TRUE(kept.open(b.folder.path(), &b.reason));
    TEST_ASSERT_TRUE(kept.is_paused());
    TEST_ASSERT_EQUAL_INT(1, logged::count("paused by an earlier vipctl pause --persist"));
    TEST_ASSERT_TRUE(kept.resume(&b.reason));
    TEST_ASSERT_TRUE(kept.resume(&b.reason));  // nothing is there to be ended
  }
  Kept kept("/vipd");
  TEST_ASSERT_TRUE(kept.open(b.folder.path(), &b.reason));
  TEST_ASSERT_FALSE(kept.is_paused());
}

void what_cannot_be_written_changes_nothing() {
  Bench b;
  Kept kept("/vipd");
  TEST_ASSERT_TRUE(kept.open(b.folder.path(), &b.reason));
  const std::string away = b.folder.path() + "-away";
  TEST_ASSERT_EQUAL_INT(0, rename(b.folder.path().c_str(), away.c_str()));
  TEST_ASSERT_FALSE(kept.pause(&b.reason));
  TEST_ASSERT_FALSE(kept.is_paused());
  kept.remember(session());
  TEST_ASSERT_EQUAL_INT(1, logged::count("the session could not be remembered for a restart"));
  TEST_ASSERT_EQUAL_INT(0, rename(away.c_str(), b.folder.path().c_str()));
}

}  // namespace

int main() {
  UNITY_BEGIN();
  RUN_TEST(a_session_is_remembered_for_the_next_process);
  RUN_TEST(what_was_found_is_what_is_written_again);
  RUN_TEST(two_do_not_have_one_folder);
  RUN_TEST(a_pause_lives_until_it_is_ended);
  RUN_TEST(what_cannot_be_written_changes_nothing);
  return UNITY_END();
}
