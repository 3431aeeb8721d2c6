// What the page is made of. In a browser it is tried by `make check-page`.
#include "ctl/page.hpp"

#include "fixture.hpp"
#include "harness.hpp"

using namespace vipd;
using namespace vipd::ctl;

namespace {

Status hostile() {
  Status status;
  status.node = "</pre></noscript><script>alert(1)</script>";
  return status;
}

size_t count(const std::string& text, const std::string& part) {
  size_t found = 0;
  for (size_t at = 0; (at = text.find(part, at)) != std::string::npos; at += part.size()) ++found;
  return found;
}

void names_of_other_nodes_stay_text() {
  const std::string page = status_page(hostile(), false, "abc");
  TEST_ASSERT_EQUAL_INT(1, count(page, "<script"));
  TEST_ASSERT_EQUAL_INT(1, count(page, "</noscript>"));
  TEST_ASSERT_EQUAL_INT(1, count(page, "&lt;/pre&gt;&lt;/noscript&gt;&lt;script&gt;alert(1)"));
  for (const char* danger :
       {"innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval("}) {
    TEST_ASSERT_MESSAGE(page.find(danger) == std::string::npos, danger);
  }
}

void page_asks_for_nothing_but_the_status() {
  const std::string page = status_page(Status{}, false, "abc");
  TEST_ASSERT_EQUAL_INT(0, count(page, "://"));
  TEST_ASSERT_EQUAL_INT(0, count(page, "src="));
  TEST_ASSERT_EQUAL_INT(0, count(page, "@import"));
  TEST_ASSERT_EQUAL_INT(1, count(page, "href="));  // of no icon
  TEST_ASSERT_EQUAL_INT(1, count(page, "fetch('v1/status'"));
  TEST_ASSERT_TRUE(page.size() < 16'000);
}

// Each name of the status that says what somebody has to mend.
void no_trouble_is_left_out() {
  const std::string page = status_page(Status{}, false, "abc");
  for (const char* trouble : {".nodes_differ", ".cluster_problem", ".mismatch", ".last_error",
                              ".fence.reason", ".peer_lease.holds", ".reason"}) {
    TEST_ASSERT_MESSAGE(page.find(trouble) != std::string::npos, trouble);
  }
}

// What a browser without scripts shows.
void table_names_nodes_that_differ() {
  Status status;
  status.nodes_differ = "n2 has a session.timeout of 6.0 s, this node of 5.0 s";
  TEST_ASSERT_EQUAL_INT(1, count(status_page(status, false, "abc"), status.nodes_differ));
}

void only_what_carries_the_nonce_may_run() {
  const std::string page = status_page(Status{}, false, "abc");
  TEST_ASSERT_EQUAL_INT(1, count(page, "<script nonce=\"abc\">"));
  TEST_ASSERT_EQUAL_INT(1, count(page, "<style nonce=\"abc\">"));
  TEST_ASSERT_EQUAL_INT(0, count(page, "style="));
  const std::string fields = page_fields("abc");
  TEST_ASSERT_TRUE(fields.starts_with("Content-Security-Policy: default-src 'none'; "));
  TEST_ASSERT_TRUE(fields.find("script-src 'nonce-abc';") != std::string::npos);
  TEST_ASSERT_TRUE(fields.find("unsafe") == std::string::npos);
  for (const std::string& line : fixture::lines(fields)) TEST_ASSERT_TRUE(line.ends_with('\r'));
}

}  // namespace

int main() {
  UNITY_BEGIN();
  RUN_TEST(names_of_other_nodes_stay_text);
  RUN_TEST(page_asks_for_nothing_but_the_status);
  RUN_TEST(no_trouble_is_left_out);
  RUN_TEST(table_names_nodes_that_differ);
  RUN_TEST(only_what_carries_the_nonce_may_run);
  return UNITY_END();
}
