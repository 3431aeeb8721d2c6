#include "conf/conf.hpp"
#include "conf/duration.hpp"
#include "conf/endpoint.hpp"
#include "conf/nearest.hpp"
#include "conf/programs.hpp"
#include "conf/values.hpp"
#include "fixture.hpp"
#include "harness.hpp"
#ifndef VIPD_WITHOUT_MANUAL
#include "manual.hpp"
#endif

using namespace vipd;
using namespace vipd::conf;

namespace {

int64_t parsed_ms(const char* text) {
  const std::optional<Duration> duration = parse_duration(text);
  return duration ? duration->ms() : -1;
}

void durations_are_read() {
  TEST_ASSERT_EQUAL_INT(250, parsed_ms("250ms"));
  TEST_ASSERT_EQUAL_INT(4000, parsed_ms("4s"));
  TEST_ASSERT_EQUAL_INT(60000, parsed_ms("1m"));
  TEST_ASSERT_EQUAL_INT(3600000, parsed_ms("1h"));
  TEST_ASSERT_EQUAL_INT(0, parsed_ms("0s"));
  TEST_ASSERT_EQUAL_INT(5000, parsed_ms("005s"));
  TEST_ASSERT_EQUAL_INT(5000, parsed_ms("5 s"));
  TEST_ASSERT_EQUAL_INT(90000, parsed_ms("1m30s"));
  TEST_ASSERT_EQUAL_INT(3900250, parsed_ms("1 h 5m\t250 ms"));
  TEST_ASSERT_EQUAL_INT(0, parsed_ms("0m 0s"));
  TEST_ASSERT_EQUAL_INT(366LL * 24 * 3600000, parsed_ms("8783h 60m"));
}

void what_is_no_duration_is_refused() {
  for (const char* text : {"",
                           "5",
                           "s",
                           " 5s",
                           "5s ",
                           "-5s",
                           "-0s",
                           "+5s",
                           "5S",
                           "5sec",
                           "1.5s",
                           "1e3s",
                           "0x5s",
                           "5us",
                           "30s1m",
                           "1m1m",
                           "1m 30",
                           "1m -5s",
                           "1m,5s",
                           "5 ",
                           "8783h 60m 1ms",
                           "367000h",
                           "9223372036854775807h",
                           "9223372036854775808ms",
                           "1h 18446744073709551615ms"}) {
    TEST_ASSERT_MESSAGE(parsed_ms(text) == -1, text);
  }
}

void durations_are_written_in_the_shortest_form() {
  TEST_ASSERT_EQUAL_STRING("0s", duration_text(Duration()));
  TEST_ASSERT_EQUAL_STRING("1001ms", duration_text(Duration::milliseconds(1001)));
  TEST_ASSERT_EQUAL_STRING("90s", duration_text(Duration::seconds(90)));
  TEST_ASSERT_EQUAL_STRING("2m", duration_text(Duration::seconds(120)));
  TEST_ASSERT_EQUAL_STRING("1h", duration_text(Duration::seconds(3600)));
}

void endpoints_become_canonical() {
  const std::pair<const char*, const char*> cases[] = {
      {"http://a", "http://a:2379"},
      {"http://a:1", "http://a:1"},
      {"http://a.b-c_d.example.:65535", "http://a.b-c_d.example.:65535"},
      {"http://a..", ""},
      {"http://etcd-0.etcd.svc:65535", "http://etcd-0.etcd.svc:65535"},
      {"http://127.0.0.1", "http://127.0.0.1:2379"},
      {"http://[::1]", "http://[::1]:2379"},
      {"http://[0:0::1]:80", "http://[::1]:80"},
      {"http://[::1]x", ""},
      {"http://[::1]x:80", ""},
      {"http://x[::1]:80", ""},
      {"http://[]:80", ""},
      {"https://a", "https://a:2379"},
      {"https://[0::1]:1", "https://[::1]:1"},
      {"unix:/run/etcd:1", "unix:/run/etcd:1"},
      {"unix:///run/etcd", "unix:/run/etcd"},
      {"unix://run/etcd", ""},
      {"unix:", ""},
      {"HTTP://a", ""},
      {"http:/a", ""},
      {"", ""},
  };
  for (const auto& [text, expected] : cases) {
    std::string out;
    std::string reason;
    TEST_ASSERT_MESSAGE(parse_endpoint(text, &out, &reason) == (*expected != '\0'), text);
    TEST_ASSERT_EQUAL_STRING(expected, out);
  }
}

void edit_distance_is_that_of_levenshtein() {
  TEST_ASSERT_EQUAL_INT(0, edit_distance("", ""));
  TEST_ASSERT_EQUAL_INT(3, edit_distance("", "abc"));
  TEST_ASSERT_EQUAL_INT(3, edit_distance("abc", ""));
  TEST_ASSERT_EQUAL_INT(3, edit_distance("kitten", "sitting"));
  TEST_ASSERT_EQUAL_INT(3, edit_distance("saturday", "sunday"));
  TEST_ASSERT_EQUAL_INT(2, edit_distance("ab", "ba"));
}

void nearest_prefers_the_first_of_equals() {
  TEST_ASSERT_EQUAL_STRING("bb", nearest("ab", {"ccc", "bb", "aa"}));
}

void quoted_text_is_short_and_harmless() {
  TEST_ASSERT_EQUAL_STRING("'a?[2Jb?'", quoted("a\033[2Jb\xff"));
  TEST_ASSERT_EQUAL_INT(80 + 2 + 3, quoted(std::string(500, 'x')).size());
}

// An executable file with this text.
std::string fault_of_program(const std::string& text) {
  fixture::Folder folder;
  const std::string path = folder.file("program", text);
  (void)chmod(path.c_str(), 0755);
  return program_fault(path);
}

void programs_that_can_be_run_have_no_fault() {
  TEST_ASSERT_EQUAL_STRING("", program_fault("/bin/true"));
  const std::string payload = std::string("\0\r\n", 3) + std::string(300, 'x');
  for (const std::string& text :
       {std::string("#!/bin/sh\n"), std::string("#!/bin/sh"),
        std::string("#! \t/bin/sh -e\ntrue\r\n"), "#!/bin/sh\n" + payload, "MZ" + payload}) {
    TEST_ASSERT_EQUAL_STRING("", fault_of_program(text));
  }
}

void scripts_that_cannot_be_run_are_found() {
  const std::string none = "it has no #! line";
  for (const char* text : {"", "#", "true\n", "# a script\n#!/bin/sh\n", " #!/bin/sh\n"}) {
    TEST_ASSERT_EQUAL_STRING(none, fault_of_program(text));
  }
  const std::string ends = "its #! line ends with CR; save it with line ends of Unix";
  TEST_ASSERT_EQUAL_STRING(ends, fault_of_program("#!/bin/sh\r\ntrue\r\n"));
  TEST_ASSERT_EQUAL_STRING(ends, fault_of_program("#!/usr/bin/env sh\r\n"));
  const std::string relative = "its #! line has no full path of an interpreter";
  TEST_ASSERT_EQUAL_STRING(relative, fault_of_program("#!sh\n"));
  TEST_ASSERT_EQUAL_STRING(relative, fault_of_program("#!\n/bin/sh\n"));
  TEST_ASSERT_EQUAL_STRING("its interpreter /nonexistent/sh: No such file or directory",
                           fault_of_program("#!/nonexistent/sh -e\n"));
  TEST_ASSERT_EQUAL_STRING("its interpreter /etc: not a regular file",
                           fault_of_program("#!/etc\n"));
  TEST_ASSERT_EQUAL_STRING("its interpreter /etc/passwd: Permission denied",
                           fault_of_program("#!/etc/passwd\n"));
}

// The static daemon has no words for it.
#ifdef VIPD_WITHOUT_MANUAL
void manual_page_has_the_keys_of_the_table() {}
void examples_of_the_manual_page_are_taken() {}
#else
// The page has between two markers just what keys() says; VIPD_REWRITE=1 puts it there.
void manual_page_has_the_keys_of_the_table() {
  const std::string path = "contrib/man/vipd.conf.5";
  const std::string begin =
      ".\\\" keys: begin, made from the rows in src/conf/keys.cpp and check_keys.cpp\n";
  const std::string end = ".\\\" keys: end\n";
  const std::string page = fixture::read(path);
  const size_t from = page.find(begin);
  const size_t to = page.find(end);
  TEST_ASSERT_TRUE(from != std::string::npos && to != std::string::npos && from < to);
  const size_t start = from + begin.size();
  const std::string keys = manual::keys();
  const std::string wanted = page.substr(0, start) + keys + page.substr(to);
  fixture::golden(path, wanted);
  TEST_ASSERT_EQUAL_STRING(keys, fixture::read(path).substr(start, keys.size()));
  TEST_ASSERT_EQUAL_STRING(wanted, fixture::read(path));
}

// All of them together are one configuration; only the files that it names are not here.
void examples_of_the_manual_page_are_taken() {
  std::string all;
  for (const manual::Task& task : manual::kTasks) all += task.example;
  fixture::Folder folder;
  const std::string path = folder.file("vipd.conf", all);
  for (const std::string& error : load({.paths = {path}, .overrides = {}}).errors) {
    TEST_ASSERT_MESSAGE(error.find("No such file") != std::string::npos, error.c_str());
  }
}
#endif

}  // namespace

int main() {
  UNITY_BEGIN();
  RUN_TEST(durations_are_read);
  RUN_TEST(what_is_no_duration_is_refused);
  RUN_TEST(durations_are_written_in_the_shortest_form);
  RUN_TEST(endpoints_become_canonical);
  RUN_TEST(edit_distance_is_that_of_levenshtein);
  RUN_TEST(nearest_prefers_the_first_of_equals);
  RUN_TEST(quoted_text_is_short_and_harmless);
  RUN_TEST(programs_that_can_be_run_have_no_fault);
  RUN_TEST(scripts_that_cannot_be_run_are_found);
  RUN_TEST(manual_page_has_the_keys_of_the_table);
  RUN_TEST(examples_of_the_manual_page_are_taken);
  return UNITY_END();
}
