// The options of the built program, seen from outside: what it prints and how it ends.
#include <sys/wait.h>

#include "fixture.hpp"
#include "harness.hpp"

namespace {

struct Result {
  int status = -1;
  std::string out;
  std::string err;
};

// Runs build/NAME with these words, as a shell reads them.
Result run(const std::string& words, const std::string& name = "vipd") {
  fixture::Folder folder;
  const std::string out = folder.file("out", "");
  const std::string err = folder.file("err", "");
  const std::string command =
      "build/" + name + " " + words + " >" + out + " 2>" + err + " </dev/null";
  const int status = system(command.c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, fixture::read(out), fixture::read(err)};
}

const std::string kLeast = "-o vip.a.address=10.0.0.1 -o vip.a.link=eth0 -o node.name=n1 ";

void version_and_help() {
  const Result version = run("--version");
  TEST_ASSERT_EQUAL_INT(0, version.status);
  TEST_ASSERT_TRUE(version.out.starts_with("vipd ") && version.out.find('.') != std::string::npos);
  const Result help = run("-h");
  TEST_ASSERT_EQUAL_INT(0, help.status);
  TEST_ASSERT_TRUE(help.out.starts_with("usage: vipd "));
  TEST_ASSERT_EQUAL_STRING("", help.err);
}

void other_name_is_vipctl() {
  const Result version = run("--version", "vipctl");
  TEST_ASSERT_EQUAL_INT(0, version.status);
  TEST_ASSERT_TRUE(version.out.starts_with("vipctl "));
  TEST_ASSERT_EQUAL_INT(3, run("-s /nonexistent/sock status", "vipctl").status);
}

void good_configuration_is_ok() {
  const Result result = run("-n -c contrib/vipd.conf -o vip.api.link=lo");
  TEST_ASSERT_EQUAL_INT(0, result.status);
  TEST_ASSERT_EQUAL_STRING("configuration OK\n", result.out);
  TEST_ASSERT_EQUAL_STRING("", result.err);
  TEST_ASSERT_EQUAL_INT(0, run("-n --ready-fd 99 -c contrib/vipd.conf").status);  // as in a trial
}

void warnings_leave_the_configuration_ok() {
  const Result result = run("-n " + kLeast +
                            "-o vip.a.link=no-such-link -o vip.a.notify=/nonexistent/n"
                            " -o vip.b.address=10.0.0.2 -o vip.b.link=no-such-link"
                            " -o vip.c.address=10.0.0.3 -o vip.c.link=mac:00:00:00:00:00:00"
                            " -o check.u.link=no-such-either -o check.l.link=lo");
  TEST_ASSERT_EQUAL_INT(0, result.status);
  TEST_ASSERT_EQUAL_STRING("configuration OK\n", result.out);
  const std::vector<std::string> lines = fixture::lines(result.err);
  TEST_ASSERT_EQUAL_INT(3, lines.size());  // lo has that MAC
  TEST_ASSERT_EQUAL_STRING(
      "warning: command line:5: vip.a.notify: '/nonexistent/n' cannot be run: "
      "No such file or directory",
      lines[0]);
  TEST_ASSERT_MESSAGE(
      lines[1].starts_with("warning: vip.a.link: there is no link no-such-link (there are: lo"),
      lines[1]);
  TEST_ASSERT_MESSAGE(
      lines[2].starts_with("warning: check.u.link: there is no link no-such-either (there"),
      lines[2]);
}

void faults_of_the_configuration_end_with_2() {
  for (const char* task : {"-n", "--check", "--print-config"}) {
    const Result result = run(kLeast + "-o log.level=loud -o x=1 " + task);
    TEST_ASSERT_EQUAL_INT(2, result.status);
    TEST_ASSERT_EQUAL_STRING("", result.out);
    TEST_ASSERT_EQUAL_INT(2, fixture::lines(result.err).size());
    TEST_ASSERT_TRUE(result.err.starts_with("command line:4: log.level: 'loud' "));
  }
}

void printed_configuration_prints_the_same_again() {
  const Result first = run(kLeast + "--print-config --verbose");
  TEST_ASSERT_EQUAL_INT(0, first.status);
  TEST_ASSERT_TRUE(first.out.find("log.level = debug\n") != std::string::npos);
  fixture::Folder folder;
  const Result second = run("--print-config -c " + folder.file("printed.conf", first.out));
  TEST_ASSERT_EQUAL_STRING(first.out, second.out);
}

void bad_usage_ends_with_2() {
  for (const char* words : {"word", "--bogus", "-c", "-o", "--ready-fd x", "--ready-fd 99",
                            "--ready-fd -1", "-n -- word"}) {
    const Result result = run(words);
    TEST_ASSERT_MESSAGE(result.status == 2, words);
    TEST_ASSERT_EQUAL_STRING("", result.out);
    TEST_ASSERT_TRUE(result.err.ends_with("See vipd --help.\n"));
  }
}

void full_standard_output_is_an_error() {
  const int status = system("build/vipd --help >/dev/full 2>/dev/null");
  TEST_ASSERT_EQUAL_INT(1, WEXITSTATUS(status));
}

void closed_standard_descriptors_do_no_harm() {
  TEST_ASSERT_EQUAL_INT(0, WEXITSTATUS(system("build/vipd -n -c contrib/vipd.conf <&- >&- 2>&-")));
}

}  // namespace

int main() {
  UNITY_BEGIN();
  RUN_TEST(version_and_help);
  RUN_TEST(other_name_is_vipctl);
  RUN_TEST(good_configuration_is_ok);
  RUN_TEST(warnings_leave_the_configuration_ok);
  RUN_TEST(faults_of_the_configuration_end_with_2);
  RUN_TEST(printed_configuration_prints_the_same_again);
  RUN_TEST(bad_usage_ends_with_2);
  RUN_TEST(full_standard_output_is_an_error);
  RUN_TEST(closed_standard_descriptors_do_no_harm);
  return UNITY_END();
}
