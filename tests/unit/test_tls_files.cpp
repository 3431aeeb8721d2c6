#include "web/tls_files.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include "fixture.hpp"
#include "harness.hpp"
#include "vipd/log.hpp"

using vipd::Duration;
using vipd::MonoTime;
using namespace vipd::web;

namespace {
std::string warned;
}  // namespace

namespace vipd::log {
void warn(const char* format, ...) {
  (void)format;
  warned += "w";
}
void info(const char*, ...) {}
}  // namespace vipd::log

namespace {

constexpr MonoTime at(int64_t s) {
  return MonoTime::from_ns(0) + Duration::seconds(s);
}

std::string pem(const std::string& text) {
  return "-----BEGIN X-----\n" + text;
}

// The files of one user, read for the first time at 0 s.
struct Three {
  fixture::Folder folder;
  TlsSettings settings{folder.file("ca", pem("ca1")), folder.file("cert", pem("cert1")),
                       folder.file("key", pem("key1")), ""};
  TlsFiles files{"etcd", settings};
  Three() {
    warned.clear();
    files.look(at(0));
  }
  void write(const std::string& path, const std::string& text) {
    unlink(path.c_str());  // another inode, as a rename makes it
    fixture::write(path, text);
  }
  // Whether the files were taken anew at the second of two looks.
  bool taken(int64_t s) { return !files.look(at(s)) && files.look(at(s + 1)); }
};

void files_are_read_at_once_and_when_they_change() {
  Three t;
  TEST_ASSERT_EQUAL_STRING(pem("key1"), t.files.current()->key);
  TEST_ASSERT_FALSE(t.taken(1));
  t.write(t.settings.cert, pem("cert2"));
  TEST_ASSERT_TRUE(t.taken(3));
  TEST_ASSERT_EQUAL_STRING(pem("cert2"), t.files.current()->cert);
  TEST_ASSERT_EQUAL_STRING(pem("ca1"), t.files.current()->cacert);
  TEST_ASSERT_EQUAL_STRING("", warned);
}

void looks_are_a_second_apart() {
  Three t;
  t.write(t.settings.cert, pem("cert2"));
  TEST_ASSERT_FALSE(t.files.look(at(1)));
  TEST_ASSERT_FALSE(t.files.look(at(1) + Duration::milliseconds(999)));
  TEST_ASSERT_TRUE(t.files.look(at(2)));
}

void files_that_still_change_are_left_alone() {
  Three t;
  for (int i = 1; i < 5; ++i) {
    t.write(t.settings.key, pem("key of some length " + std::string(static_cast<size_t>(i), 'x')));
    TEST_ASSERT_FALSE(t.files.look(at(i)));
  }
  TEST_ASSERT_TRUE(t.files.look(at(5)));
}

void what_is_missing_or_no_pem_changes_nothing_and_is_said_once() {
  Three t;
  unlink(t.settings.key.c_str());
  t.write(t.settings.cert, pem("cert2"));
  for (int i = 1; i < 5; ++i) TEST_ASSERT_FALSE(t.files.look(at(i)));
  TEST_ASSERT_EQUAL_STRING("w", warned);
  t.write(t.settings.key, "nonsense");
  for (int i = 5; i < 9; ++i) TEST_ASSERT_FALSE(t.files.look(at(i)));
  TEST_ASSERT_EQUAL_STRING("ww", warned);
  TEST_ASSERT_EQUAL_STRING(pem("cert1"), t.files.current()->cert);
  t.write(t.settings.key, pem("key2"));
  TEST_ASSERT_TRUE(t.taken(9));
  TEST_ASSERT_EQUAL_STRING(pem("cert2"), t.files.current()->cert);
}

void what_cannot_be_used_gives_way_to_what_worked() {
  Three t;
  TEST_ASSERT_FALSE(t.files.fall_back(t.files.current()->generation));  // there is no other
  t.write(t.settings.key, pem("key2"));
  TEST_ASSERT_TRUE(t.taken(1));
  const uint64_t bad = t.files.current()->generation;
  TEST_ASSERT_FALSE(t.files.fall_back(bad - 1));  // not those
  TEST_ASSERT_TRUE(t.files.fall_back(bad));
  TEST_ASSERT_EQUAL_STRING(pem("key1"), t.files.current()->key);
  TEST_ASSERT_TRUE(t.files.current()->generation > bad);
  TEST_ASSERT_FALSE(t.taken(3));  // not again until they change
  t.write(t.settings.cert, pem("cert2"));
  TEST_ASSERT_TRUE(t.taken(5));
  TEST_ASSERT_TRUE(t.files.fall_back(t.files.current()->generation));
  TEST_ASSERT_EQUAL_STRING(pem("key1"), t.files.current()->key);
}

void generations_go_on_from_those_of_other_files() {
  Three t;
  TEST_ASSERT_EQUAL_INT(1, t.files.current()->generation);
  TlsFiles next("etcd", t.settings, 7);
  TEST_ASSERT_EQUAL_INT(0, next.current()->generation);  // nothing was read so far
  TEST_ASSERT_TRUE(next.look(at(0)));
  TEST_ASSERT_EQUAL_INT(8, next.current()->generation);
}

void what_was_never_read_is_a_fault_that_ends_when_it_can_be() {
  fixture::Folder folder;
  const std::string path = folder.file("ca", "none yet");
  TlsSettings settings;
  settings.cacert = path;
  TlsFiles files("etcd", settings);
  TEST_ASSERT_TRUE(!files.current()->fault.empty());  // before the first look
  TEST_ASSERT_FALSE(files.look(at(0)));
  TEST_ASSERT_EQUAL_STRING(("cacert " + path + ": nothing in it begins with -----BEGIN").c_str(),
                           files.current()->fault);
  TEST_ASSERT_EQUAL_INT(0, files.current()->generation);
  TEST_ASSERT_EQUAL_STRING("", files.current()->cacert + files.current()->bundle);
  fixture::write(path, pem("ca1"));
  TEST_ASSERT_TRUE(files.look(at(1)));
  TEST_ASSERT_EQUAL_STRING("", files.current()->fault);
}

void a_change_of_mode_or_owner_is_a_change() {
  Three t;
  chmod(t.settings.key.c_str(), 0600);
  TEST_ASSERT_TRUE(t.taken(1));
}

// Whatever kept it from being read: no stat(2) need tell.
void what_could_not_be_read_is_tried_at_each_look() {
  Three t;
  const std::string aside = t.settings.key + ".aside";
  rename(t.settings.key.c_str(), aside.c_str());
  mkdir(t.settings.key.c_str(), 0700);
  TEST_ASSERT_FALSE(t.taken(1));
  TEST_ASSERT_EQUAL_STRING("w", warned);
  rmdir(t.settings.key.c_str());
  rename(aside.c_str(), t.settings.key.c_str());
  TEST_ASSERT_TRUE(t.taken(3));
}

void without_a_cacert_the_system_has_to_have_one() {
  fixture::Folder folder;
  const std::string there = folder.file("bundle", pem("all"));
  const std::array<const char*, 2> bundles = {"/nowhere/ca.crt", there.c_str()};
  TlsFiles files("etcd", {}, 0, bundles);
  TEST_ASSERT_TRUE(files.look(at(0)));
  TEST_ASSERT_EQUAL_STRING(there.c_str(), files.current()->bundle);
  TlsFiles lost("etcd", {}, 0, std::span(bundles).first(1));
  TEST_ASSERT_FALSE(lost.look(at(0)));
  TEST_ASSERT_EQUAL_STRING(
      "cacert is not configured, and no file of the system's authorities can be read "
      "(/nowhere/ca.crt)",
      lost.current()->fault);
  TlsSettings any;
  any.verifies = false;
  TlsFiles anybody("check a", any, 0, std::span(bundles).first(1));
  TEST_ASSERT_TRUE(anybody.look(at(0)));
  TEST_ASSERT_EQUAL_STRING("", anybody.current()->bundle + anybody.current()->fault);
}

}  // namespace

int main() {
  UNITY_BEGIN();
  RUN_TEST(files_are_read_at_once_and_when_they_change);
  RUN_TEST(looks_are_a_second_apart);
  RUN_TEST(files_that_still_change_are_left_alone);
  RUN_TEST(what_is_missing_or_no_pem_changes_nothing_and_is_said_once);
  RUN_TEST(what_cannot_be_used_gives_way_to_what_worked);
  RUN_TEST(generations_go_on_from_those_of_other_files);
  RUN_TEST(what_was_never_read_is_a_fault_that_ends_when_it_can_be);
  RUN_TEST(a_change_of_mode_or_owner_is_a_change);
  RUN_TEST(what_could_not_be_read_is_tried_at_each_look);
  RUN_TEST(without_a_cacert_the_system_has_to_have_one);
  return UNITY_END();
}
