#include "web/headers.hpp"

#include <sys/stat.h>

#include "fixture.hpp"
#include "harness.hpp"

using vipd::web::add_headers;
using vipd::web::read_headers;

namespace {

// The lines that are read of such a file, or the reason why it is refused.
std::string read(const std::string& text) {
  fixture::Folder folder;
  const std::string path = folder.file("headers", text);
  chmod(path.c_str(), 0600);
  std::vector<std::string> lines;
  std::string reason;
  if (read_headers(path, &lines, &reason)) return fixture::joined(lines);
  return fixture::replaced(reason, path, "FILE");
}

void lines_are_read() {
  TEST_ASSERT_EQUAL_STRING("Authorization: Bearer a.b-c==\nX-A: b c\n",
                           read("Authorization:Bearer a.b-c==\r\n\n  \nX-A:  b c \t\n"));
  TEST_ASSERT_EQUAL_STRING("A: 1\n", read("A: 1"));
}

void what_is_no_header_is_refused_without_showing_it() {
  for (const char* text : {"token", "A: 1\ntoken\n", ": x", "A b: x", "A:", "A:  \n", "A: x\x01y",
                           "A: x\ry: z", "A\xc3\xa4: x"}) {
    const std::string said = read(text);
    TEST_ASSERT_MESSAGE(said.ends_with(" is not NAME: VALUE") && said.starts_with("FILE: line "),
                        said);
  }
  TEST_ASSERT_EQUAL_STRING("FILE: line 2 is not NAME: VALUE", read("A: 1\ntoken\n"));
  TEST_ASSERT_EQUAL_STRING("FILE: has no line NAME: VALUE", read("\n\n"));
  TEST_ASSERT_EQUAL_STRING("FILE: has no line NAME: VALUE", read(""));
}

void there_is_a_limit() {
  std::string text;
  for (int i = 0; i < 32; ++i) text += "A: 1\n";
  TEST_ASSERT_TRUE(read(text).starts_with("A: 1"));
  TEST_ASSERT_EQUAL_STRING("FILE: line 33 is one more than 32", read(text + "A: 1\n"));
  TEST_ASSERT_EQUAL_STRING("FILE: more than 16384 bytes", read("A: " + std::string(20'000, 'x')));
}

void a_file_that_others_can_read_is_refused() {
  fixture::Folder folder;
  const std::string path = folder.file("headers", "A: 1\n");
  chmod(path.c_str(), 0640);
  std::vector<std::string> lines;
  std::string reason;
  TEST_ASSERT_FALSE(read_headers(path, &lines, &reason));
  TEST_ASSERT_TRUE(lines.empty());
}

void what_is_named_again_goes() {
  std::vector<std::string> headers = {"User-Agent: vipd", "Accept: */*"};
  add_headers({"accept: text/plain", "Accept: text/html", "Accepted: 1"}, &headers);
  TEST_ASSERT_EQUAL_STRING("User-Agent: vipd\naccept: text/plain\nAccept: text/html\nAccepted: 1\n",
                           fixture::joined(headers));
}

}  // namespace

int main() {
  UNITY_BEGIN();
  RUN_TEST(lines_are_read);
  RUN_TEST(what_is_no_header_is_refused_without_showing_it);
  RUN_TEST(there_is_a_limit);
  RUN_TEST(a_file_that_others_can_read_is_refused);
  RUN_TEST(what_is_named_again_goes);
  return UNITY_END();
}
