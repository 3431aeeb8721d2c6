// The packet fence in the running kernel, at both places, through the life of a daemon: killed,
// started again, replaced, without privileges. Needs root.
#include <sys/prctl.h>

#include "sys/file.hpp"
#include "sys/privileges.hpp"
#include "sys/sandbox.hpp"
#include "unit/fence_host.hpp"

using namespace fence_host;

void setUp() {
  if (is_isolated) start();
}
void tearDown() {
  end();
}

namespace {

// What a former process left stays in force behind ours, until it is removed.
void test_a_killed_process_and_the_next() {
  NEEDS_ROOT;
  fence.reset();
  hooks.reset();
  TEST_ASSERT_TRUE(in_a_process_that_is_killed([] {
    const bool good = open_fence() && protect_both() && attach("t0") == "attached";
    open_for(2'000);
    return good;
  }));
  TEST_ASSERT_EQUAL_STRING("NEne", vips());
  usleep(2'000'000);
  TEST_ASSERT_EQUAL_STRING("....", vips());

  TEST_ASSERT_TRUE(open_fence() && protect_both());
  TEST_ASSERT_TRUE(hooks->has_former());
  set_deadline(MonoTime::never());
  TEST_ASSERT_EQUAL_STRING("attached", attach("t0"));
  TEST_ASSERT_EQUAL_STRING("....", vips());

  open_for(60'000);
  TEST_ASSERT_TRUE(hooks->remove_former(index_of("t0")));
  hooks->forget_former();
  TEST_ASSERT_EQUAL_STRING("first", first("t0"));
  TEST_ASSERT_EQUAL_STRING("NEne", vips());
  TEST_ASSERT_TRUE(fence->detach(index_of("t0")));
  TEST_ASSERT_FALSE(run("tc qdisc show dev t0 | grep -q clsact"));
}

// A former process may have had it at the other place: that of a link that was moved.
void test_a_former_one_at_the_other_place() {
  NEEDS_ROOT;
  for (const bool was_at_clsact : {true, false}) {
    fence.reset();
    hooks.reset();
    is_fleeting = was_at_clsact;
    TEST_ASSERT_TRUE(in_a_process_that_is_killed(
        [] { return open_fence() && protect_both() && attach("t0") == "attached"; }));
    TEST_ASSERT_EQUAL_INT(was_at_clsact ? 2 : 0, filters_at("t0"));
    TEST_ASSERT_EQUAL_INT(was_at_clsact ? 0 : 2, programs_at("t0"));
    TEST_ASSERT_EQUAL_STRING("....", vips());
    TEST_ASSERT_TRUE(open_fence() && protect_both());
    is_fleeting = !was_at_clsact;
    set_deadline(MonoTime::never());
    TEST_ASSERT_EQUAL_STRING("attached", attach("t0"));
    TEST_ASSERT_FALSE(hooks->is_tcx_shared());
    TEST_ASSERT_EQUAL_STRING("first", first("t0"));
    TEST_ASSERT_EQUAL_INT(2, filters_at("t0"));
    TEST_ASSERT_EQUAL_INT(2, programs_at("t0"));
    TEST_ASSERT_EQUAL_STRING("....", vips());
    TEST_ASSERT_TRUE(hooks->remove_former(index_of("t0")));
    hooks->forget_former();
    TEST_ASSERT_EQUAL_STRING("NEne", vips());
    TEST_ASSERT_EQUAL_INT(is_fleeting ? 2 : 0, filters_at("t0"));
    TEST_ASSERT_EQUAL_INT(is_fleeting ? 0 : 2, programs_at("t0"));
    fence->memory().close();
    TEST_ASSERT_EQUAL_STRING("....", vips());
    TEST_ASSERT_TRUE(fence->detach(index_of("t0")));
    TEST_ASSERT_EQUAL_STRING("NEne", vips());
  }
}

// Three that were killed one after the other; then one that wants no fence at all.
void test_what_many_killed_processes_left_is_removed_without_a_fence() {
  NEEDS_ROOT;
  fence.reset();
  hooks.reset();
  for (int i = 0; i < 3; ++i) {
    TEST_ASSERT_TRUE(in_a_process_that_is_killed(
        [] { return open_fence() && protect_both() && attach("t0") == "attached"; }));
  }
  TEST_ASSERT_EQUAL_STRING("....", vips());
  std::string reason;
  hooks = FenceHooks::open(place, folder->path(), &reason);
  TEST_ASSERT_TRUE(hooks->has_former() && hooks->remove_former(index_of("t0")));
  hooks->forget_former();
  TEST_ASSERT_EQUAL_STRING("NEne", vips());
  TEST_ASSERT_FALSE(run("tc qdisc show dev t0 | grep -q clsact"));
  hooks = FenceHooks::open(place, folder->path(), &reason);
  TEST_ASSERT_FALSE(hooks->has_former());
}

// Numbers of another boot mean other programs; what is in memory is of this one, and without /proc
// nobody knows.
void test_whose_list_is_believed() {
  NEEDS_ROOT;
  std::string boot, reason;
  TEST_ASSERT_TRUE(sys::read_bounded("/proc/sys/kernel/random/boot_id", 64, &boot, &reason));
  boot = boot.substr(0, boot.find('\n'));
  char in_memory[] = "/dev/shm/vipd-test-XXXXXX";
  TEST_ASSERT_NOT_NULL(mkdtemp(in_memory));
  const struct {
    std::string folder, list;
    bool is_believed;
  } cases[] = {{folder->path(), boot, true}, {folder->path(), "another", false},
               {folder->path(), "", false},  {in_memory, boot, true},
               {in_memory, "another", true}, {in_memory, "", true}};
  for (const auto& [where, first_word, is_believed] : cases) {
    TEST_ASSERT_TRUE(sys::write_by_turns(where + "/fence", first_word + " 7 8\n", 0600, &reason));
    const auto read = FenceHooks::open(place, where, &reason);
    TEST_ASSERT_EQUAL_INT(is_believed, read->has_former());
  }
  for (const char* name : {"/fence", "/fence.other"}) {
    (void)unlink((std::string(in_memory) + name).c_str());
  }
  TEST_ASSERT_EQUAL_INT(0, rmdir(in_memory));
}

// As SIGUSR2 does it: the descriptors live on, everything else is made anew.
void test_it_is_handed_over() {
  NEEDS_ROOT;
  TEST_ASSERT_EQUAL_STRING("attached", attach("t0"));
  open_for(60'000);
  const Fence::Descriptors kept = {dup(fence->descriptors().map), dup(fence->descriptors().ingress),
                                   dup(fence->descriptors().egress)};
  const MonoTime deadline = fence->memory().deadline();
  fence.reset();
  std::string reason;
  hooks = FenceHooks::open(place, folder->path(), &reason);
  fence = Fence::adopt(
      *loop, *hooks, kept, [](int link) { changed.insert(link); }, &reason);
  TEST_ASSERT_TRUE(fence != nullptr);
  TEST_ASSERT_FALSE(hooks->has_former());
  TEST_ASSERT_TRUE(fence->memory().deadline() == deadline);
  TEST_ASSERT_EQUAL_INT(2, fence->memory().addresses().size());
  TEST_ASSERT_EQUAL_STRING("first", first("t0"));
  TEST_ASSERT_EQUAL_STRING("attached", attach("t0"));
  TEST_ASSERT_EQUAL_STRING("NEne", vips());
  fence->memory().close();
  TEST_ASSERT_EQUAL_STRING("....", vips());
  TEST_ASSERT_TRUE(fence->detach(index_of("t0")));
  TEST_ASSERT_EQUAL_STRING("removed", first("t0"));
}

void test_descriptors_that_are_none_of_ours() {
  NEEDS_ROOT;
  std::string reason;
  const sys::Fd map = bpf_create_map(FenceMemory::size_for(64), &reason);
  TEST_ASSERT_TRUE(map.is_open());
  for (const int fd : {-1, dup(map.get()), open("/dev/null", O_RDWR | O_CLOEXEC)}) {
    reason.clear();
    TEST_ASSERT_TRUE(Fence::adopt(*loop, *hooks, {fd, -1, -1}, {}, &reason) == nullptr);
    TEST_ASSERT_FALSE(reason.empty());
  }
}

// With what the daemon keeps: two capabilities and the filter of system calls.
void test_links_are_fenced_after_privileges_went() {
  NEEDS_ROOT;
  TEST_ASSERT_TRUE(in_a_process_that_is_killed([] {
    std::string said = "inside";
    if (!sys::drop_privileges(nullptr, &said) || !sys::enter_sandbox(&said)) said += "?";
    for (int i = 0; i < 2; ++i) {
      said += ", " + attach("t0");
      said += ", " + first("t0");
      (void)fence->detach(index_of("t0"));
      said += ", " + first("t0");
    }
    said += ", " + attach("t0");
    const FencePlace best = FenceHooks::best_place();
    said += ", " + std::string(FenceHooks::open(best, folder->path(), &said)->kind());
    fence->memory().close();
    if (said == "inside, attached, first, removed, attached, first, removed, attached, " + had) {
      return true;
    }
    std::printf("%s\n", said.c_str());
    std::fflush(stdout);
    return false;
  }));
  TEST_ASSERT_EQUAL_STRING("....", vips());
}

// Why there is no fence is said in words.
void test_without_the_capability() {
  NEEDS_ROOT;
  TEST_ASSERT_TRUE(in_a_process_that_is_killed([] {
    std::string reason;
    return sys::drop_privileges(nullptr, &reason) &&
           Fence::open(*loop, *hooks, 16, {}, &reason) == nullptr && reason == "no CAP_BPF";
  }));
}

void at_this_place() {
  RUN_TEST(test_a_killed_process_and_the_next);
  RUN_TEST(test_what_many_killed_processes_left_is_removed_without_a_fence);
  RUN_TEST(test_whose_list_is_believed);
  RUN_TEST(test_it_is_handed_over);
  RUN_TEST(test_descriptors_that_are_none_of_ours);
  RUN_TEST(test_links_are_fenced_after_privileges_went);
  RUN_TEST(test_without_the_capability);
}

}  // namespace

int main() {
  UNITY_BEGIN();
  is_isolated = unshare(CLONE_NEWNET) == 0;
  had = FenceHooks::best_place() == FencePlace::Tcx ? "tcx" : "clsact";
  at_each_place(at_this_place);
  if (had == "tcx") RUN_TEST(test_a_former_one_at_the_other_place);
  return UNITY_END();
}
