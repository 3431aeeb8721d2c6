#include "etcd/base64.hpp"

#include <cstddef>

#include "harness.hpp"

using vipd::etcd::base64_decode;
using vipd::etcd::base64_encode;

namespace {

struct Vector {
  std::string_view bytes;
  std::string_view text;
};
// RFC 4648, section 10.
constexpr Vector kVectors[] = {
    {"", ""},
    {"f", "Zg=="},
    {"fo", "Zm8="},
    {"foo", "Zm9v"},
    {"foob", "Zm9vYg=="},
    {"fooba", "Zm9vYmE="},
    {"foobar", "Zm9vYmFy"},
};

void the_vectors_of_the_rfc_hold_both_ways() {
  for (const Vector& v : kVectors) {
    TEST_ASSERT_EQUAL_STRING(v.text, base64_encode(v.bytes));
    const auto decoded = base64_decode(v.text);
    TEST_ASSERT_TRUE(decoded.has_value());
    TEST_ASSERT_EQUAL_STRING(v.bytes, *decoded);
  }
}

void every_byte_comes_back() {
  std::string all;
  for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
  for (size_t length = 0; length <= all.size(); ++length) {
    const std::string bytes = all.substr(all.size() - length);
    const auto decoded = base64_decode(base64_encode(bytes));
    TEST_ASSERT_TRUE(decoded.has_value() && *decoded == bytes);
  }
}

void both_characters_beside_letters_and_digits_are_known() {
  TEST_ASSERT_EQUAL_STRING("++//", base64_encode("\xfb\xef\xff"));
  TEST_ASSERT_FALSE(base64_decode("--__").has_value());  // the alphabet of URLs
}

void bad_text_is_refused() {
  for (const char* text : {"Z", "Zg", "Zg=", "Zg===", "=", "==", "====", "Z===", "Zg==Zg==", "Z=g=",
                           "Zm9v\n", "Zm9 ", "Zm9v====", "Zm\x80v", "@@@notb64"}) {
    TEST_ASSERT_MESSAGE(!base64_decode(text).has_value(), text);
  }
  TEST_ASSERT_FALSE(base64_decode(std::string_view("Zm\0v", 4)).has_value());
}

// 3.5: bits that the decoder would drop must be zero.
void left_over_bits_are_refused() {
  TEST_ASSERT_FALSE(base64_decode("Zh==").has_value());
  TEST_ASSERT_FALSE(base64_decode("Zm9=").has_value());
}

}  // namespace

int main() {
  UNITY_BEGIN();
  RUN_TEST(the_vectors_of_the_rfc_hold_both_ways);
  RUN_TEST(every_byte_comes_back);
  RUN_TEST(both_characters_beside_letters_and_digits_are_known);
  RUN_TEST(bad_text_is_refused);
  RUN_TEST(left_over_bits_are_refused);
  return UNITY_END();
}
