// A port that accepts. All addresses of a name are tried at once: one that takes a connection is
// enough, and one that does not answer holds up no other.
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

#include "check/probe.hpp"
#include "sys/fd.hpp"

namespace vipd::check {
namespace {

constexpr size_t kMostAddresses = 8;

class TcpProbe final : public Probe {
 public:
  TcpProbe(const Tools& tools, const CheckConfig& config)
      : tools_(tools), place_(place_of(config.target)) {
    std::from_chars(place_.port.data(), place_.port.data() + place_.port.size(), port_);
  }
  ~TcpProbe() override { stop(); }

  void look(Duration timeout, DoneHandler done) override {
    done_ = std::move(done);
    fault_ = "no answer within " + std::to_string(timeout.ms()) + " ms";
    std::vector<Address> addresses = addresses_of(tools_, place_, &fault_);
    if (addresses.size() > kMostAddresses) addresses.resize(kMostAddresses);
    for (const Address& address : addresses) try_address(address);
    const MonoTime end = tools_.loop.now() + (tries_.empty() ? Duration() : timeout);
    timer_ = tools_.loop.add_timer(end, [this] { finish(std::exchange(fault_, "")); });
  }

 private:
  struct Try {
    sys::Fd fd;
    Loop::FdWatch watch = Loop::FdWatch::None;
  };

  int connect_to(int fd, const Address& address) const {
    if (address.is_v4()) {
      sockaddr_in to{};
      to.sin_family = AF_INET;
      to.sin_port = htons(port_);
      memcpy(&to.sin_addr, address.data(), address.size());
      return connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to);
    }
    sockaddr_in6 to{};
    to.sin6_family = AF_INET6;
    to.sin6_port = htons(port_);
    memcpy(&to.sin6_addr, address.data(), address.size());
    return connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to);
  }

  void try_address(const Address& address) {
    const int family = address.is_v4() ? AF_INET : AF_INET6;
    sys::Fd fd(socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd.is_open() || (connect_to(fd.get(), address) < 0 && errno != EINPROGRESS)) {
      fault_ = strerror(errno);
      return;
    }
    // Closed without a goodbye: no TIME_WAIT, each second, on either side.
    const linger abrupt{.l_onoff = 1, .l_linger = 0};
    setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &abrupt, sizeof abrupt);
    const int number = fd.get();
    Try& one = tries_.emplace_back();
    one.fd = std::move(fd);
    one.watch = tools_.loop.add_fd(number, EPOLLOUT, [this, number](uint32_t) { ready(number); });
  }

  void ready(int number) {
    int error = 0;
    socklen_t size = sizeof error;
    if (getsockopt(number, SOL_SOCKET, SO_ERROR, &error, &size) < 0) error = errno;
    if (error == 0) return finish("");
    fault_ = strerror(error);
    std::erase_if(tries_, [&](const Try& one) {
      if (one.fd.get() != number) return false;
      tools_.loop.remove_fd(one.watch);
      return true;
    });
    if (tries_.empty()) finish(std::exchange(fault_, ""));
  }

  // Not fault_ itself: the handler may be the end of this probe.
  void finish(const std::string& fault) {
    stop();
    const DoneHandler done = std::move(done_);
    done(fault);
  }

  void stop() {
    for (const Try& one : tries_) tools_.loop.remove_fd(one.watch);
    tries_.clear();
    tools_.loop.cancel_timer(timer_);
    timer_ = Loop::Timer::None;
  }

  const Tools& tools_;
  web::Authority place_;
  uint16_t port_ = 0;
  std::vector<Try> tries_;
  Loop::Timer timer_ = Loop::Timer::None;
  std::string fault_;
  DoneHandler done_;
};

}  // namespace

std::unique_ptr<Probe> make_tcp(const Tools& tools, const CheckConfig& config) {
  return std::make_unique<TcpProbe>(tools, config);
}

}  // namespace vipd::check
