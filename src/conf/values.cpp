#include "conf/values.hpp"

#include <limits.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "conf/duration.hpp"
#include "conf/hints.hpp"
#include "sys/number.hpp"
#include "sys/user.hpp"
#include "vipd/auto_link.hpp"

namespace vipd::conf {
namespace {

constexpr size_t kLongestNode = 64;  // as Linux has it for host names; musl's HOST_NAME_MAX is 255
constexpr size_t kLongestPrefix = 255;
constexpr size_t kLongestVipName = 63;
constexpr size_t kLongestAltname = 127;  // ALTIFNAMSIZ of linux/if.h, less the NUL
constexpr size_t kLongestQuote = 80;
constexpr size_t kLongestSocketPath = sizeof(sockaddr_un::sun_path) - 1;

bool accept(std::string_view text, std::string* out) {
  out->assign(text);
  return true;
}

bool is_graphic(char c) {
  return c > ' ' && c <= '~';
}

uint32_t host_order(const Address& address) {
  const uint8_t* bytes = address.data();
  return uint32_t{bytes[0]} << 24 | uint32_t{bytes[1]} << 16 | uint32_t{bytes[2]} << 8 | bytes[3];
}

// Why no host can have this address; nullptr when one can.
const char* unusable_v4(const Address& vip, unsigned length) {
  const uint32_t address = host_order(vip);
  if (address == 0) return "is the unspecified address; write the address to be shared";
  if (address >> 24 == 0) return "is in 0.0.0.0/8, which no host can have";
  if (address >> 24 == 127) return "is a loopback address, which other hosts cannot reach";
  if (address >> 28 == 14) return "is a multicast address, which no single host owns";
  if (address == UINT32_MAX) return "is the broadcast address, which no single host owns";
  if (length >= 31) return nullptr;  // RFC 3021: both addresses of a /31 are hosts
  const uint32_t host_bits = UINT32_MAX >> length;
  if ((address & host_bits) == 0)
    return "is the address of the network itself, not of a host in it";
  if ((address & host_bits) == host_bits) return "is the broadcast address of its network";
  return nullptr;
}

// True when all bits after the first `length` are zero.
bool ends_in_zeros(const uint8_t* bytes, unsigned length) {
  for (unsigned bit = length; bit < 128; ++bit) {
    if ((bytes[bit / 8] >> (7 - bit % 8) & 1) != 0) return false;
  }
  return true;
}

const char* unusable_v6(const Address& vip, unsigned length) {
  const uint8_t* bytes = vip.data();
  const auto zeros = [bytes](int count) {
    return std::all_of(bytes, bytes + count, [](uint8_t byte) { return byte == 0; });
  };
  if (zeros(16)) return "is the unspecified address; write the address to be shared";
  if (zeros(15) && bytes[15] == 1) return "is the loopback address, which other hosts cannot reach";
  if (bytes[0] == 0xff) return "is a multicast address, which no single host owns";
  if (zeros(10) && bytes[10] == 0xff && bytes[11] == 0xff)
    return "is an IPv4-mapped IPv6 address; write it as IPv4";
  // RFC 6164: both addresses of a /127 are hosts.
  if (length < 127 && ends_in_zeros(bytes, length)) {
    return "is the anycast address of all routers of its network (RFC 4291), not of one host";
  }
  return nullptr;
}

const char* unusable(const Address& vip, unsigned length) {
  return vip.is_v4() ? unusable_v4(vip, length) : unusable_v6(vip, length);
}

std::optional<unsigned> parse_length(std::string_view text, unsigned longest) {
  const std::optional<unsigned> length = sys::parse_number<unsigned>(text);
  if (!length || text.size() > 3 || text.front() == '0' || *length > longest) return std::nullopt;
  return length;
}

std::optional<MacAddress> parse_mac(std::string_view text) {
  MacAddress mac;
  if (text.size() != 3 * mac.bytes.size() - 1) return std::nullopt;
  for (size_t i = 0; i < mac.bytes.size(); ++i) {
    const char* const begin = text.data() + 3 * i;
    const auto parsed = std::from_chars(begin, begin + 2, mac.bytes[i], 16);
    if (parsed.ec != std::errc() || parsed.ptr != begin + 2) return std::nullopt;
    if (i + 1 < mac.bytes.size() && begin[2] != ':') return std::nullopt;
  }
  return mac;
}

bool parse_mac_link(std::string_view text, std::string* out, std::string* reason) {
  const std::optional<MacAddress> mac = parse_mac(text.substr(4));
  if (!mac) return fail(reason, text, "is not a hardware address; write mac:aa:bb:cc:dd:ee:ff");
  if ((mac->bytes[0] & 1) != 0) return fail(reason, text, "is a group address, not that of a link");
  return accept("mac:" + mac->text(), out);
}

// "http://***@host" for "http://root:secret@host": messages go to logs.
std::string without_user(std::string_view text) {
  std::string out(text);
  const size_t at = out.rfind('@');
  const size_t scheme = out.find("://");
  if (at == std::string::npos || out.find(':') > at) return out;  // a name alone, as in a@b
  const size_t begin = scheme < at ? scheme + 3 : 0;
  return out.replace(begin, at - begin, "***");
}

}  // namespace

std::string quoted(std::string_view text) {
  const std::string plain = without_user(text);
  text = plain;
  std::string shown(text.substr(0, kLongestQuote));
  for (char& c : shown) {
    if (c < ' ' || c > '~') c = '?';
  }
  if (shown.size() < text.size()) shown += "...";
  return "'" + shown + "'";
}

std::string quoted_key(std::string_view text) {
  constexpr std::string_view kKeyBytes =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
  const std::string_view key = text.substr(0, text.find_first_not_of(kKeyBytes));
  return quoted(key.size() == text.size() ? std::string(key) : std::string(key) + "...");
}

bool fail(std::string* reason, std::string_view text, std::string_view words) {
  *reason = quoted(text) + " " + std::string(words);
  return false;
}

bool is_vip_name(std::string_view name) {
  return !name.empty() && name.size() <= kLongestVipName &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '_' || c == '-';
         });
}

bool parse_node_name(std::string_view text, std::string* out, std::string* reason) {
  if (text.size() > kLongestNode) {
    return fail(reason, text, "is too long; a node's name has at most 64 characters");
  }
  if (!std::all_of(text.begin(), text.end(), is_graphic)) {
    return fail(reason, text,
                "has characters other than visible ASCII; write a name such as node1");
  }
  return accept(text, out);
}

bool parse_user(std::string_view text, std::string* out, std::string* reason) {
  constexpr size_t kLongestUser = 255;
  if (text.size() <= kLongestUser) return accept(text, out);
  return fail(reason, text, "is longer than 255 characters");
}

bool parse_account(std::string_view text, std::string* out, std::string* reason) {
  sys::User user;
  if (sys::find_user(text, &user, reason)) return accept(text, out);
  return fail(reason, text, "cannot be used: " + *reason);
}

bool parse_cluster(std::string_view text, std::string* out, std::string* reason) {
  if (text == "auto") return accept(text, out);
  const std::optional<uint64_t> id = cluster_from_hex(text);
  if (!id) {
    return fail(reason, text,
                "is not the id of a cluster; write it in hexadecimal, as vipctl status shows it, "
                "or auto");
  }
  return accept(cluster_hex(*id), out);
}

bool parse_prefix(std::string_view text, std::string* out, std::string* reason) {
  if (!text.starts_with('/')) return fail(reason, text, "does not start with '/'; write /vipd");
  if (text.ends_with('/')) return fail(reason, text, "ends with '/'; write a name such as /vipd");
  if (text.find("//") != std::string_view::npos) return fail(reason, text, "has an empty part");
  if (!std::all_of(text.begin(), text.end(), is_graphic)) {
    return fail(reason, text,
                "has characters other than visible ASCII; write a name such as /vipd");
  }
  if (text.size() > kLongestPrefix) return fail(reason, text, "is longer than 255 characters");
  return accept(text, out);
}

bool parse_path(std::string_view text, std::string* out, std::string* reason) {
  if (!text.starts_with('/')) return fail(reason, text, "is not a full path; start it with '/'");
  if (text.ends_with('/')) return fail(reason, text, "ends with '/'; leave that out");
  if (text.size() >= PATH_MAX) return fail(reason, text, "is too long for a path");
  return accept(text, out);
}

bool parse_socket_path(std::string_view text, std::string* out, std::string* reason) {
  if (text.size() > kLongestSocketPath) {
    return fail(reason, text, "is too long; the path of a socket has at most 107 bytes (unix(7))");
  }
  return parse_path(text, out, reason);
}

bool parse_vip_address(std::string_view text, VipConfig* vip, std::string* reason) {
  if (text.find(',') != std::string_view::npos) {
    return fail(reason, text,
                "is more than one address, and each VIP has one; configure a VIP for each");
  }
  const size_t slash = text.find('/');
  const std::optional<Address> address = Address::parse(text.substr(0, slash));
  const std::string hint = address_hint(text);
  if (!hint.empty()) return fail(reason, text, hint);
  if (!address) {
    return fail(reason, text,
                "is not an address; write it as 192.168.0.15, 192.168.0.15/24 or 2001:db8::15");
  }
  const unsigned longest = address->is_v4() ? 32 : 128;
  std::optional<unsigned> length = longest;
  if (slash != std::string_view::npos) length = parse_length(text.substr(slash + 1), longest);
  if (!length) {
    return fail(reason, text,
                "has no valid prefix length; write /1 to /" + std::to_string(longest));
  }
  const char* const words = unusable(*address, *length);
  if (words != nullptr) return fail(reason, text, words);
  vip->address = *address;
  vip->prefix_length = *length;
  return true;
}

std::string vip_address_text(const VipConfig& vip) {
  return vip.address.text() + "/" + std::to_string(vip.prefix_length);
}

bool parse_neighbour(std::string_view text, std::string* out, std::string* reason) {
  const std::string hint = address_hint(text);
  if (!hint.empty()) return fail(reason, text, hint);
  const std::optional<Address> address = Address::parse(text);
  if (!address) {
    return fail(reason, text, "is not an address; write it as 192.168.0.1 or 2001:db8::1");
  }
  const char* const words = unusable(*address, address->is_v4() ? 32 : 128);
  return words == nullptr ? accept(address->text(), out) : fail(reason, text, words);
}

bool parse_yes_no(std::string_view text, bool* out, std::string* reason) {
  constexpr std::string_view kNoYes[] = {"no", "yes"};
  const size_t place = chosen(text, kNoYes);
  *out = place == 1;
  return place < std::size(kNoYes) || fail(reason, text, "is neither yes nor no");
}

bool parse_priority(std::string_view text, VipConfig* vip, std::string* reason) {
  constexpr int kHighest = 255;
  if (text == "auto") {
    vip->priority.reset();
    return true;
  }
  const std::optional<int> number = sys::parse_number<int>(text);
  if (!number || *number < 0 || *number > kHighest) {
    return fail(reason, text, "is not a priority; write a number from 0 to 255, or auto");
  }
  vip->priority = *number;
  return true;
}

bool parse_preempt_delay(std::string_view text, VipConfig* vip, std::string* reason) {
  constexpr Duration kLongest = Duration::seconds(3600);
  const std::optional<Duration> delay = parse_duration(text);
  if (!delay) return fail(reason, text, duration_hint(text, true));
  if (*delay > kLongest) return fail(reason, text, "is out of range; write 0s to 1h");
  vip->preempt_delay = *delay;
  return true;
}

// As the kernel's dev_valid_name() has it: no '/', no ':', no white space.
bool parse_vip_link(std::string_view text, VipConfig* vip, std::string* reason) {
  if (text.starts_with("mac:")) return parse_mac_link(text, &vip->link, reason);
  if (text.find(':') != std::string_view::npos) {
    return fail(reason, text,
                "is not a link; write its name without ':', or mac:aa:bb:cc:dd:ee:ff");
  }
  if (text == "." || text == ".." || text.find_first_of("/ \t\v\f") != std::string_view::npos) {
    return fail(reason, text, "is not a link; a link's name has no '/' and no blank");
  }
  if (text.size() > kLongestAltname) {
    return fail(reason, text, "is too long; a link's name has at most 127 bytes");
  }
  return accept(text, &vip->link);
}

void settle_vip_link(VipConfig* vip) {
  if (vip->link != "auto" || vip->address.size() == 0) return;
  vip->link = auto_link(vip->address, vip->prefix_length);
}

std::string vip_link_text(const VipConfig& vip) {
  return is_auto_link(vip.link) ? "auto" : vip.link;
}

std::string default_node_name() {
  constexpr std::string_view kMarks = "#$%'\"`~@<{";  // as value_fault() and comments have them
  char name[kLongestNode + 1] = "";
  if (gethostname(name, sizeof name) < 0) name[0] = '\0';
  name[kLongestNode] = '\0';
  std::string text = name;
  for (char& c : text) {
    if (!is_graphic(c) || kMarks.find(c) != std::string_view::npos) c = '-';
  }
  return text.empty() ? "localhost" : text;
}

}  // namespace vipd::conf
