#include "sys/user.hpp"

#include <algorithm>
#include <cstdint>

#include "sys/file.hpp"
#include "sys/number.hpp"

namespace vipd::sys {
namespace {

constexpr size_t kFileLimit = 1U << 20;

using Fields = std::vector<std::string_view>;

Fields split(std::string_view text, char by) {
  Fields out;
  while (true) {
    const size_t end = text.find(by);
    out.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return out;
    text.remove_prefix(end + 1);
  }
}

// All bits set means "leave it as it is" to setresuid(2).
bool parse_id(std::string_view text, uint32_t* out) {
  *out = parse_number<uint32_t>(text).value_or(UINT32_MAX);
  return *out != UINT32_MAX;
}

// NAME:PASSWORD:UID:GID:...
bool find_name(std::string_view name, std::string_view passwd, User* user) {
  for (const std::string_view line : split(passwd, '\n')) {
    const Fields fields = split(line, ':');
    if (fields.size() < 4 || fields[0] != name) continue;
    return parse_id(fields[2], &user->uid) && parse_id(fields[3], &user->gid);
  }
  return false;
}

// NAME:PASSWORD:GID:MEMBER,MEMBER...
void find_groups(std::string_view name, std::string_view group, User* user) {
  for (const std::string_view line : split(group, '\n')) {
    const Fields fields = split(line, ':');
    gid_t gid = 0;
    if (fields.size() < 4 || !parse_id(fields[2], &gid)) continue;
    const Fields members = split(fields[3], ',');
    const bool is_member = std::find(members.begin(), members.end(), name) != members.end();
    if (is_member) user->groups.push_back(gid);
  }
}

}  // namespace

bool find_user(std::string_view text, User* user, std::string* reason, const std::string& folder) {
  *user = User{};
  const Fields numbers = split(text, ':');
  if (numbers.size() <= 2 && parse_id(numbers.front(), &user->uid) &&
      parse_id(numbers.back(), &user->gid)) {
    return true;
  }
  std::string content;
  if (!read_bounded(folder + "/passwd", kFileLimit, &content, reason)) return false;
  if (!find_name(text, content, user)) {
    *reason = "there is no such user in " + folder + "/passwd; create it, or write UID:GID";
    return false;
  }
  if (read_bounded(folder + "/group", kFileLimit, &content, reason)) {
    find_groups(text, content, user);
  }
  return true;
}

}  // namespace vipd::sys
