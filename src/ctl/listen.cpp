#include "ctl/listen.hpp"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>

#include "sys/errno_text.hpp"
#include "sys/file.hpp"
#include "sys/number.hpp"
#include "vipd/types.hpp"

namespace vipd::ctl {
namespace {

constexpr int kBacklog = 64;
constexpr mode_t kNoAccessForOthers = 0117;

struct SocketAddress {
  sockaddr_un address{};

  bool set(const std::string& path, std::string* reason) {
    address.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof address.sun_path) {
      *reason = path + ": too long for the path of a socket";
      return false;
    }
    memcpy(address.sun_path, path.c_str(), path.size() + 1);
    return true;
  }
  [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&address); }
};

struct InternetAddress {
  sockaddr_in v4{};
  sockaddr_in6 v6{};
  bool is_v6 = false;

  bool set(const std::string& where, std::string* reason) {
    const size_t colon = where.rfind(':');
    std::string host = where.substr(0, colon);
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    const std::optional<Address> address = Address::parse(host);
    const std::optional<uint16_t> port =
        sys::parse_number<uint16_t>(colon == std::string::npos ? "" : where.substr(colon + 1));
    if (!address || !port) {
      *reason = where + ": no ADDRESS:PORT";
      return false;
    }
    is_v6 = address->is_v6();
    v4.sin_family = AF_INET;
    v6.sin6_family = AF_INET6;
    v4.sin_port = v6.sin6_port = htons(*port);
    void* const to = is_v6 ? static_cast<void*>(&v6.sin6_addr) : &v4.sin_addr;
    memcpy(to, address->data(), address->size());
    return true;
  }
  [[nodiscard]] const sockaddr* get() const {
    return is_v6 ? reinterpret_cast<const sockaddr*>(&v6) : reinterpret_cast<const sockaddr*>(&v4);
  }
  [[nodiscard]] socklen_t size() const { return is_v6 ? sizeof v6 : sizeof v4; }
};

sys::Fd new_socket(int family) {
  return sys::Fd(socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

// The mode is that of the moment of bind(2): a chmod(2) afterwards would leave a gap.
bool bind_with_mode(int fd, const SocketAddress& address) {
  const mode_t before = umask(kNoAccessForOthers);
  const int result = bind(fd, address.get(), sizeof address.address);
  const int error = errno;
  umask(before);
  errno = error;
  return result == 0;
}

// Whether what is at the path may be removed: a socket on which nobody listens.
bool is_stale(const std::string& path, const SocketAddress& address, std::string* reason) {
  struct stat info {};
  if (lstat(path.c_str(), &info) == 0 && !S_ISSOCK(info.st_mode)) {
    *reason = path + ": it exists and is not a socket";
    return false;
  }
  const sys::Fd fd = new_socket(AF_UNIX);
  if (connect(fd.get(), address.get(), sizeof address.address) < 0 && errno == ECONNREFUSED) {
    return true;
  }
  *reason = path + ": another process listens there";
  return false;
}

sys::Fd fail(const std::string& path, std::string* reason) {
  *reason = sys::errno_text(path);
  return sys::Fd();
}

bool make_folder_of(const std::string& path, std::string* reason) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos || slash == 0) return true;
  return sys::make_folder(path.substr(0, slash), reason);
}

}  // namespace

sys::Fd listen_at_path(const std::string& path, std::string* reason) {
  SocketAddress address;
  if (!address.set(path, reason) || !make_folder_of(path, reason)) return sys::Fd();
  sys::Fd fd = new_socket(AF_UNIX);
  if (!fd.is_open()) return fail(path, reason);
  if (!bind_with_mode(fd.get(), address)) {
    if (errno != EADDRINUSE) return fail(path, reason);
    if (!is_stale(path, address, reason)) return sys::Fd();
    unlink(path.c_str());
    if (!bind_with_mode(fd.get(), address)) return fail(path, reason);
  }
  if (listen(fd.get(), kBacklog) < 0) return fail(path, reason);
  return fd;
}

sys::Fd listen_at_address(const std::string& where, std::string* reason) {
  InternetAddress address;
  if (!address.set(where, reason)) return sys::Fd();
  sys::Fd fd = new_socket(address.is_v6 ? AF_INET6 : AF_INET);
  if (!fd.is_open()) return fail(where, reason);
  // Connections of a former process that still linger hold the port for a minute otherwise.
  const int on = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(fd.get(), address.get(), address.size()) < 0) return fail(where, reason);
  if (listen(fd.get(), kBacklog) < 0) return fail(where, reason);
  return fd;
}

}  // namespace vipd::ctl
