#include "conf/secrets.hpp"

namespace vipd::conf {

std::string secret_fault(const Key& key, std::string_view value) {
  const std::string head = "the value, which is not shown here, ";
  if (key.names_secret && !value.starts_with('/')) {
    const bool is_quoted = value.starts_with('"') || value.starts_with('\'');
    return head + "is not a full path; write the path of a file with the secret in it" +
           (is_quoted ? ", without quotes" : "");
  }
  // etcdctl takes root:secret, and divides it at the first ':'.
  if (key.name == "etcd.user" && value.find(':') != std::string_view::npos) {
    return head +
           "has a password after the name; write it into a file, and the file's path into "
           "etcd.password_file";
  }
  return "";
}

}  // namespace vipd::conf
