// The kernel's lists of links and addresses: watched by its notices, and read anew whenever these
// are not enough.
#include "daemon/impl.hpp"
#include "vipd/log.hpp"

namespace vipd {

namespace {

// Whatever a notice may have missed is found by then.
constexpr Duration kPeriodicLook = Duration::seconds(60);
constexpr Duration kLookRetry = Duration::seconds(1);

}  // namespace

bool Daemon::open_kernel(std::string* reason) {
  net::Netlink::Handlers handlers;
  handlers.link_changed = [this](const net::Link& link) { link_changed(link); };
  handlers.link_removed = [this](int index) { link_removed(index); };
  handlers.address_added = [this](const net::AddressInfo& info) { address_added(info); };
  handlers.address_removed = [this](const net::AddressInfo& info) { address_removed(info); };
  handlers.overrun = [this] {
    log::warn("netlink messages were lost; looking at every link and address anew");
    look_again();
  };
  netlink_ = net::Netlink::open(loop_, std::move(handlers), reason);
  if (netlink_ == nullptr) return false;
  packet_ = net::PacketSocket::open(reason);
  if (packet_ == nullptr) return false;
  if (look_at_kernel(true)) return true;
  *reason = "the kernel would not list links and addresses";
  return false;
}

bool Daemon::look_at_kernel(bool first) {
  std::vector<net::Link> links;
  std::vector<net::AddressInfo> addresses;
  if (!netlink_->dump(&links, &addresses)) return false;
  links_.clear();
  for (net::Link& link : links) links_.emplace(link.index, std::move(link));
  const net::AddressBook book(links_, addresses);
  if (first) {
    meet_leftovers(book);
    return true;
  }
  tell_links();
  listen_for_claims();  // a link may have been made anew, under its number and unnoticed
  find_lost(book);
  find_strays(book);
  judge_addresses(book);
  return true;
}

// Under constant change no dump is whole; what is known stays in force until one is.
void Daemon::look_again() {
  loop_.cancel_timer(look_timer_);
  look_at_ = MonoTime::never();
  const bool whole = look_at_kernel(false);
  if (!whole) log::debug("the kernel's lists kept changing; looking again in a second");
  look_within(whole ? kPeriodicLook : kLookRetry);
}

// Many notices, one look.
void Daemon::look_within(Duration wait) {
  const MonoTime at = loop_.now() + wait;
  if (at >= look_at_) return;
  loop_.cancel_timer(look_timer_);
  look_at_ = at;
  look_timer_ = loop_.add_timer(at, [this] { look_again(); });
}

}  // namespace vipd
