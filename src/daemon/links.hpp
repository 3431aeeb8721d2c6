// The network links that the configuration names: reports to the core when they appear, vanish or
// change, and listens on them for foreign claims of our addresses. Part of the network.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "vipd/event.hpp"
#include "vipd/loop.hpp"

namespace vipd::net {
class AddressBook;
class ClaimListener;
struct Link;
}  // namespace vipd::net

namespace vipd {

class AutoLinks;
class Vips;

class Links {
 public:
  struct Handlers {
    std::function<void(const Event&)> feed;
    std::function<void(Duration)> look_within;  // the kernel's lists are to be read again by then
  };

  Links(Loop& loop, const Vips& vips, Handlers handlers);
  ~Links();
  Links(const Links&) = delete;
  Links& operator=(const Links&) = delete;

  // Takes what the kernel shows, without telling the core.
  void set(std::vector<net::Link> links);
  void changed(const net::Link& link);
  void removed(int index);
  // Finds what each `link = auto` is now.
  void find_auto(const net::AddressBook& book, const std::function<int(bool is_v6)>& default_link);
  // Links that no VIP is for any more are forgotten.
  void reconfigured();

  // Feeds what has changed since the core was last told.
  void tell();
  // The core takes the link for gone: it is told what the next look shows, changed or not.
  void doubt(const std::string& name);
  // Opens what claims are heard by. False and a reason when the kernel refuses. REQUIRES: once,
  // before listen() and hear().
  [[nodiscard]] bool open(std::string* reason);
  // For claims of the VIPs as they are configured.
  void listen();
  // Feeds the claims that wait in the sockets. To be called at the start of a turn, before anything
  // is decided.
  void hear();
  [[nodiscard]] net::ClaimListener* listener() const { return listener_.get(); }

  [[nodiscard]] const std::map<int, net::Link>& all() const { return links_; }
  // By name, alternative name, "mac:..." or "auto (...)"; nullptr: there is none.
  [[nodiscard]] const net::Link* named(const std::string& text) const;
  // What people are told: the name of what "auto (...)" is, else the text.
  [[nodiscard]] std::string shown(const std::string& text) const;
  // Why there is no link for `link = auto`; empty: there is, or the name is another.
  [[nodiscard]] std::string auto_fault(const std::string& text) const;
  // Those that are there, by name, for a message: a few are enough.
  [[nodiscard]] std::string names() const;
  // Whether a VIP is for that link, as the core was last told of it.
  [[nodiscard]] bool is_of_vip(int index) const;
  // The number of the link as the core was last told of it; 0: there is none.
  [[nodiscard]] int told_index(const std::string& text) const;

 private:
  // A link that the configuration names, as the core was told of it. index 0: there is none.
  struct Told {
    int index = 0;
    bool up = false;
    MacAddress mac;
    bool operator==(const Told&) const = default;
  };
  void claimed(int link_index, const Address& address, const MacAddress& mac);
  void say_missing(const std::string& name) const;
  void list() const;

  Loop& loop_;
  const Vips& vips_;
  Handlers handlers_;
  std::map<int, net::Link> links_;
  // What the configuration may call them; empty: to be listed anew.
  mutable std::unordered_map<std::string, int> by_text_;
  std::unique_ptr<AutoLinks> auto_;
  std::map<std::string, Told> told_;  // by what the configuration calls them
  std::unique_ptr<net::ClaimListener> listener_;
  std::map<Address, MonoTime> claimed_at_;
};

}  // namespace vipd
