#include "web/resolver.hpp"

#include <ares.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "vipd/log.hpp"

namespace vipd::web {
namespace {

constexpr Duration kRefresh = Duration::seconds(60);
constexpr Duration kFirstRetry = Duration::seconds(1);
constexpr Duration kLongestRetry = Duration::seconds(8);
constexpr int kTimeout_ms = 1000;
constexpr int kTries = 2;
constexpr size_t kAddressLimit = 16;

Address address_of(const sockaddr* sa) {
  if (sa->sa_family == AF_INET) {
    sockaddr_in v4{};
    memcpy(&v4, sa, sizeof v4);
    return Address::v4(ntohl(v4.sin_addr.s_addr));
  }
  sockaddr_in6 v6{};
  memcpy(&v6, sa, sizeof v6);
  std::array<uint8_t, 16> bytes{};
  memcpy(bytes.data(), v6.sin6_addr.s6_addr, bytes.size());
  return Address::v6(bytes);
}

std::vector<Address> addresses_of(const ares_addrinfo* result) {
  std::vector<Address> out;
  for (const ares_addrinfo_node* node = result->nodes; node != nullptr; node = node->ai_next) {
    if (node->ai_family != AF_INET && node->ai_family != AF_INET6) continue;
    const Address address = address_of(node->ai_addr);
    const bool known = std::find(out.begin(), out.end(), address) != out.end();
    if (!known && out.size() < kAddressLimit) out.push_back(address);
  }
  return out;
}

std::string text_of(const std::vector<Address>& addresses) {
  std::string text;
  for (const Address& address : addresses) text += (text.empty() ? "" : ", ") + address.text();
  return text;
}

bool same_set(std::vector<Address> a, std::vector<Address> b) {
  std::sort(a.begin(), a.end());
  std::sort(b.begin(), b.end());
  return a == b;
}

}  // namespace

struct Resolver::Impl {
  struct Name {
    std::vector<Address> addresses;
    std::string problem = "not resolved yet";
    Duration retry;
    MonoTime failing_since = MonoTime::never();
    bool asked = false;  // a look-up is under way
    MonoTime asked_at = MonoTime::long_ago();
    Loop::Timer next = Loop::Timer::None;
  };
  struct Query {  // owned by c-ares until it calls back
    Impl* resolver;
    std::string name;
  };

  Impl(std::string w, Loop& l, std::function<void()> c)
      : whose(std::move(w)), loop(l), changed(std::move(c)) {}
  ~Impl();

  void look_up(const std::string& name);
  bool open_channel();
  void settle();
  void watch_socket(ares_socket_t fd, bool in, bool out);
  void process(ares_socket_t in, ares_socket_t out);
  void resolved(const std::string& name, int status, const ares_addrinfo* result);
  void again(const std::string& name, Name& entry, Duration after);
  [[nodiscard]] Duration pause(const Name& entry, Duration usual) const;

  static void on_socket(void* user, ares_socket_t fd, int in, int out);
  static void on_result(void* user, int status, int timeouts, ares_addrinfo* result);

  std::string whose;
  Loop& loop;
  std::function<void()> changed;
  ares_channel channel = nullptr;
  int pending = 0;
  std::map<std::string, Name> names;
  std::map<ares_socket_t, Loop::FdWatch> sockets;
  Loop::Timer timer = Loop::Timer::None;
};

Resolver::Impl::~Impl() {
  for (auto& [name, entry] : names) loop.cancel_timer(entry.next);
  names.clear();
  if (channel != nullptr) ares_destroy(channel);
  loop.cancel_timer(timer);
}

// The channel lives as long as there are queries: so each round reads resolv.conf and hosts as they
// are then, and nothing wakes the process in between.
bool Resolver::Impl::open_channel() {
  if (channel != nullptr) return true;
  ares_options options{};
  options.timeout = kTimeout_ms;
  options.tries = kTries;
  options.sock_state_cb = on_socket;
  options.sock_state_cb_data = this;
  constexpr int kMask = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB;
  if (ares_init_options(&channel, &options, kMask) == ARES_SUCCESS) return true;
  channel = nullptr;
  return false;
}

void Resolver::Impl::look_up(const std::string& name) {
  Name& entry = names.at(name);
  entry.asked = true;
  entry.asked_at = loop.now();
  if (!open_channel()) return resolved(name, ARES_ENOTINITIALIZED, nullptr);
  ares_addrinfo_hints hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  ++pending;
  auto* query = new Query{this, name};
  ares_getaddrinfo(channel, name.c_str(), nullptr, &hints, on_result, query);
}

// Not from inside c-ares: a channel must not be destroyed there.
void Resolver::Impl::settle() {
  loop.cancel_timer(timer);
  timer = Loop::Timer::None;
  if (channel == nullptr) return;
  if (pending == 0) {
    ares_destroy(channel);
    channel = nullptr;
    return;
  }
  timeval left{};
  if (ares_timeout(channel, nullptr, &left) == nullptr) return;
  const Duration wait = Duration::seconds(left.tv_sec) + Duration::microseconds(left.tv_usec);
  timer = loop.add_timer(loop.now() + wait, [this] { process(ARES_SOCKET_BAD, ARES_SOCKET_BAD); });
}

void Resolver::Impl::process(ares_socket_t in, ares_socket_t out) {
  ares_process_fd(channel, in, out);
  settle();
}

void Resolver::Impl::on_socket(void* user, ares_socket_t fd, int in, int out) {
  static_cast<Impl*>(user)->watch_socket(fd, in != 0, out != 0);
}

void Resolver::Impl::watch_socket(ares_socket_t fd, bool in, bool out) {
  const auto found = sockets.find(fd);
  if (found != sockets.end() && !in && !out) {
    loop.remove_fd(found->second);
    sockets.erase(found);
    return;
  }
  const uint32_t events = (in ? EPOLLIN : 0U) | (out ? EPOLLOUT : 0U);
  if (found != sockets.end()) return loop.modify_fd(found->second, events);
  if (!in && !out) return;
  sockets[fd] = loop.add_fd(fd, events, [this, fd](uint32_t ready) {
    const bool broken = (ready & (EPOLLERR | EPOLLHUP)) != 0;
    process((ready & EPOLLIN) != 0 || broken ? fd : ARES_SOCKET_BAD,
            (ready & EPOLLOUT) != 0 ? fd : ARES_SOCKET_BAD);
  });
}

void Resolver::Impl::on_result(void* user, int status, int, ares_addrinfo* result) {
  const std::unique_ptr<Query> query(static_cast<Query*>(user));
  --query->resolver->pending;
  query->resolver->resolved(query->name, status, result);
  if (result != nullptr) ares_freeaddrinfo(result);
}

void Resolver::Impl::resolved(const std::string& name, int status, const ares_addrinfo* result) {
  const auto found = names.find(name);
  if (found == names.end()) return;  // no longer wanted, or everything ends
  Name& entry = found->second;
  entry.asked = false;
  const std::vector<Address> fresh =
      status == ARES_SUCCESS && result != nullptr ? addresses_of(result) : std::vector<Address>();
  if (fresh.empty()) {
    std::string problem = status == ARES_SUCCESS ? "no address" : ares_strerror(status);
    if (entry.retry == Duration())
      log::warn("%s: %s: %s", whose.c_str(), name.c_str(), problem.c_str());
    entry.problem = std::move(problem);
    entry.retry = std::clamp(entry.retry * 2, kFirstRetry, kLongestRetry);
    return again(name, entry, entry.retry);
  }
  entry.retry = Duration();
  again(name, entry, kRefresh);
  if (same_set(fresh, entry.addresses)) return;
  if (!entry.addresses.empty()) {
    log::info("%s: %s is at %s now", whose.c_str(), name.c_str(), text_of(fresh).c_str());
  }
  entry.addresses = fresh;
  changed();
}

Duration Resolver::Impl::pause(const Name& entry, Duration usual) const {
  if (entry.failing_since.is_never()) return usual;
  const Duration quarter = (loop.now() - entry.failing_since) / 4;
  return std::min(usual, std::clamp(quarter, kFirstRetry, kRefresh));
}

void Resolver::Impl::again(const std::string& name, Name& entry, Duration after) {
  loop.cancel_timer(entry.next);
  entry.next = loop.add_timer(loop.now() + pause(entry, after), [this, name] {
    look_up(name);
    settle();
  });
}

Resolver::Resolver(std::string whose, Loop& loop, std::function<void()> changed)
    : impl_(std::make_unique<Impl>(std::move(whose), loop, std::move(changed))) {}
Resolver::~Resolver() = default;

void Resolver::set_names(const std::vector<std::string>& names) {
  const auto wanted = [&](const std::string& name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  for (auto it = impl_->names.begin(); it != impl_->names.end();) {
    if (wanted(it->first)) {
      ++it;
      continue;
    }
    impl_->loop.cancel_timer(it->second.next);
    it = impl_->names.erase(it);
  }
  for (const std::string& name : names) {
    if (impl_->names.try_emplace(name).second) impl_->look_up(name);
  }
  impl_->settle();
}

void Resolver::set_failing(const std::string& name, bool failing) {
  const auto found = impl_->names.find(name);
  if (found == impl_->names.end()) return;
  Impl::Name& entry = found->second;
  if (failing == !entry.failing_since.is_never()) return;
  entry.failing_since = failing ? impl_->loop.now() : MonoTime::never();
  if (entry.asked) return;
  if (!failing)
    return impl_->again(name, entry, entry.retry == Duration() ? kRefresh : entry.retry);
  const Duration since = impl_->loop.now() - entry.asked_at;
  impl_->again(name, entry, std::max(Duration(), kFirstRetry - since));
}

const std::vector<Address>& Resolver::addresses(const std::string& name) const {
  static const std::vector<Address> kNone;
  const auto found = impl_->names.find(name);
  return found == impl_->names.end() ? kNone : found->second.addresses;
}

std::string Resolver::problem(const std::string& name) const {
  const auto found = impl_->names.find(name);
  return found == impl_->names.end() ? "unknown" : found->second.problem;
}

}  // namespace vipd::web
