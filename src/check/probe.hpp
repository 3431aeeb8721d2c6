// A single run of a check, repeated by the caller: a file for each kind. Never blocks; judges only
// the one run.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "vipd/config.hpp"
#include "vipd/loop.hpp"
#include "web/endpoint.hpp"

namespace vipd::net {
struct Link;
class ClaimListener;
class PacketSocket;
}  // namespace vipd::net
namespace vipd::run {
class Runner;
}
namespace vipd::web {
class Http;
class Resolver;
}  // namespace vipd::web

namespace vipd::check {

class Probe {
 public:
  // Why it is bad, in words; empty: good.
  using DoneHandler = std::function<void(const std::string& fault)>;

  Probe() = default;
  virtual ~Probe() = default;  // ends a look that is under way; its handler is not called
  Probe(const Probe&) = delete;
  Probe& operator=(const Probe&) = delete;

  // `done` is called once, within the timeout or right after it, never from inside this call; for
  // a key of etcd not before etcd has answered.
  // REQUIRES: no other look is under way.
  virtual void look(Duration timeout, DoneHandler done) = 0;
};

// A key of etcd, as etcd has answered; nullptr: there is no such key.
using KeyRead = std::function<void(const std::string* value)>;

// What probes work with; shared by them.
struct Tools {
  Loop& loop;
  web::Http* http = nullptr;
  web::Resolver* names = nullptr;  // keeps the names of all targets resolved
  run::Runner* runner = nullptr;   // nullptr: there was nothing to run at the start
  std::vector<std::string> environment;
  // For ARP and neighbour discovery: what they are sent by and heard by, and the link of the check
  // of that name; nullptr: it is not there.
  net::PacketSocket* packet = nullptr;
  net::ClaimListener* claims = nullptr;
  std::function<const net::Link*(const std::string& check)> link_of;
  // Any link of this host, as vip.NAME.link calls it; nullptr: it is not there.
  std::function<const net::Link*(const std::string& link)> link_named = nullptr;
  // For keys of etcd: what the value is compared with by default; and a linearizable read, whose
  // `failed` is called instead of `read` where etcd did not answer. Neither from inside the call.
  std::string node = {};
  std::function<void(const std::string& key, KeyRead read, std::function<void()> failed)> read_key =
      nullptr;
};

std::unique_ptr<Probe> make_http(const Tools& tools, const CheckConfig& config);
std::unique_ptr<Probe> make_tcp(const Tools& tools, const CheckConfig& config);
std::unique_ptr<Probe> make_exec(const Tools& tools, const CheckConfig& config);
std::unique_ptr<Probe> make_file(const Tools& tools, const CheckConfig& config);
std::unique_ptr<Probe> make_arp(const Tools& tools, const CheckConfig& config);
std::unique_ptr<Probe> make_etcd(const Tools& tools, const CheckConfig& config);
std::unique_ptr<Probe> make_link(const Tools& tools, const CheckConfig& config);

// Where a target is. REQUIRES: "HOST:PORT", or a URL that has a port, as vipd::conf writes them.
[[nodiscard]] web::Authority place_of(const std::string& target);
// The addresses of the place as far as they are known; fault says why there are none.
[[nodiscard]] std::vector<Address> addresses_of(const Tools& tools, const web::Authority& place,
                                                std::string* fault);

}  // namespace vipd::check
