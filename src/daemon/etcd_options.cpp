#include "daemon/etcd_options.hpp"

#include "core/timing.hpp"

namespace vipd {

etcd::Options etcd_options(const Config& config, const Store& store) {
  etcd::Options options;
  options.endpoints = config.etcd.endpoints;
  options.discover = config.etcd.discover;
  options.tls = {.cacert = config.etcd.cacert,
                 .cert = config.etcd.cert,
                 .key = config.etcd.key,
                 .servername = config.etcd.servername};
  options.user = config.etcd.user;
  options.password_file = config.etcd.password_file;
  options.needs = "readwrite from " + store.begin() + " to " + store.end() +
                  " (etcdctl role grant-permission ROLE readwrite --prefix " + store.begin() + ")";
  options.wanted = [&store](std::string_view key) { return store.is_ours(key); };
  options.room = etcd::kRoomBase + config.vips.size() * etcd::kRoomForVip;
  options.request_timeout = timing::request_timeout(config.session_timeout);
  options.ask_every = timing::ask_every(config.session_timeout);
  options.key = store.begin();
  return options;
}

}  // namespace vipd
