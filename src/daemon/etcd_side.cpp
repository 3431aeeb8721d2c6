#include "daemon/etcd_side.hpp"

#include <algorithm>
#include <cassert>
#include <list>
#include <optional>
#include <utility>

#include "daemon/etcd_options.hpp"
#include "daemon/store.hpp"
#include "etcd/client.hpp"
#include "etcd/compaction.hpp"
#include "vipd/in_turns.hpp"
#include "vipd/log.hpp"

namespace vipd {

namespace {

constexpr size_t kAtOnce = 64;  // keys: well below a millisecond

void log_failure(const char* what, const etcd::Error& error) {
  log::debug("etcd: %s: %s", what, error.said().c_str());
}

}  // namespace

struct EtcdSide::Impl {
  Impl(Loop& loop, std::string prefix, std::function<void(const Event&)> feed)
      : loop(loop), store(std::move(prefix)), feed(std::move(feed)), work(loop) {}
  ~Impl() { loop.cancel_timer(telling); }

  // A read of all keys that was answered, as far as the core has not been told of it.
  struct Reading {
    RequestId request;
    Header header;
    std::vector<etcd::KeyValue> kvs;
    size_t told = 0;
  };

  void failed(RequestId request, const etcd::Error& error);
  void tell_next();
  [[nodiscard]] bool tell_part();
  void tell_last();
  [[nodiscard]] event::PrefixRead next_part();
  void look_at_compaction();
  void look_again_in_an_hour();

  Loop& loop;
  Store store;
  std::function<void(const Event&)> feed;
  std::unique_ptr<etcd::Client> client;
  etcd::Compaction compaction;
  size_t txns_under_way = 0;
  std::list<Reading> readings;
  InTurns work;  // on the first of them
  Loop::Timer telling = Loop::Timer::None;
};

EtcdSide::EtcdSide(Loop& loop, std::string prefix, std::function<void(const Event&)> feed)
    : impl_(std::make_unique<Impl>(loop, std::move(prefix), std::move(feed))) {}

EtcdSide::~EtcdSide() = default;

void EtcdSide::start(const Config& config) {
  assert(impl_->client == nullptr);
  impl_->client = std::make_unique<etcd::Client>(impl_->loop, etcd_options(config, impl_->store));
  impl_->client->on_named([this](const etcd::Named& named) {
    impl_->feed(event::EndpointNamed{.endpoint = named.endpoint,
                                     .cluster = named.cluster,
                                     .member = named.member,
                                     .agreed = named.agreed,
                                     .asked = named.asked});
  });
  impl_->look_again_in_an_hour();
}

void EtcdSide::reconfigure(const Config& config) {
  assert(impl_->client != nullptr);
  impl_->client->reconfigure(etcd_options(config, impl_->store));
}

// --- requests

void EtcdSide::perform(const action::UseCluster& a) {
  impl_->client->use_cluster(a.cluster);
}

void EtcdSide::Impl::failed(RequestId request, const etcd::Error& error) {
  log_failure("request failed", error);
  feed(event::RequestFailed{
      .request = request, .reason = error.said(), .no_space = error.no_space()});
}

void EtcdSide::perform(const action::GrantLease& a) {
  Impl& self = *impl_;
  const auto done = [&self, request = a.request](const etcd::Granted* granted,
                                                 const etcd::Error* error) {
    if (granted == nullptr) return self.failed(request, *error);
    self.feed(event::LeaseGranted{.request = request,
                                  .header = Store::header(granted->header),
                                  .lease = static_cast<LeaseId>(granted->lease)});
  };
  self.client->grant(a.ttl / Duration::seconds(1), done);
}

void EtcdSide::perform(const action::KeepLease& a) {
  Impl& self = *impl_;
  const auto done = [&self, lease = a.lease](const etcd::KeptAlive* kept,
                                             const etcd::Error* error) {
    // The next keepalive comes long before the lease ends.
    if (kept == nullptr) return log_failure("keepalive", *error);
    self.feed(event::LeaseKept{.lease = lease, .alive = kept->ttl_s > 0});
  };
  self.client->keep_alive(static_cast<int64_t>(a.lease), done);
}

void EtcdSide::perform(const action::RevokeLease& a) {
  Impl& self = *impl_;
  const auto done = [&self, request = a.request](const etcd::Header* header,
                                                 const etcd::Error* error) {
    if (header == nullptr) return self.failed(request, *error);
    self.feed(event::LeaseRevoked{.request = request});
  };
  self.client->revoke(static_cast<int64_t>(a.lease), done);
}

void EtcdSide::perform(const action::SendTxn& a) {
  Impl& self = *impl_;
  self.txns_under_way++;
  const auto done = [&self, request = a.request](const etcd::TxnAnswer* answer,
                                                 const etcd::Error* error) {
    assert(self.txns_under_way > 0);
    self.txns_under_way--;
    if (answer == nullptr) return self.failed(request, *error);
    self.feed(event::TxnAnswered{.request = request,
                                 .header = Store::header(answer->header),
                                 .succeeded = answer->succeeded,
                                 .entries = self.store.entries(answer->kvs)});
  };
  self.client->txn(self.store.request(a.txn), a.group, done);
}

void EtcdSide::perform(const action::ReadPrefix& a) {
  Impl& self = *impl_;
  const auto done = [&self, request = a.request](etcd::RangeAnswer* answer,
                                                 const etcd::Error* error) {
    if (answer == nullptr) return self.failed(request, *error);
    self.readings.push_back({.request = request,
                             .header = Store::header(answer->header),
                             .kvs = std::move(answer->kvs)});
    if (self.readings.size() == 1) self.tell_next();
  };
  self.client->snapshot(self.store.ranges(), done);
}

void EtcdSide::Impl::tell_next() {
  telling = Loop::Timer::None;
  (void)work.start([this] { return tell_part(); }, nullptr);
}

// All of thousands at once would be a long turn. The core acts on the last part, in a turn that
// does none of this.
bool EtcdSide::Impl::tell_part() {
  const Reading& reading = readings.front();
  const bool is_last = reading.kvs.size() - reading.told <= kAtOnce;
  if (is_last) {
    telling = loop.add_timer(loop.now(), [this] { tell_last(); });
  } else {
    feed(next_part());
  }
  return !is_last;
}

void EtcdSide::Impl::tell_last() {
  telling = Loop::Timer::None;
  const event::PrefixRead last = next_part();
  readings.pop_front();
  feed(last);
  if (!readings.empty()) telling = loop.add_timer(loop.now(), [this] { tell_next(); });
}

// What was told is forgotten bit by bit, too.
event::PrefixRead EtcdSide::Impl::next_part() {
  Reading& reading = readings.front();
  const size_t end = std::min(reading.told + kAtOnce, reading.kvs.size());
  event::PrefixRead part = {.request = reading.request,
                            .header = reading.header,
                            .entries = {},
                            .goes_on = end < reading.kvs.size()};
  for (; reading.told < end; reading.told++) {
    etcd::KeyValue& kv = reading.kvs[reading.told];
    store.decode(kv, &part.entries);
    kv = etcd::KeyValue();
  }
  return part;
}

void EtcdSide::perform(const action::OpenWatch& a) {
  Impl& self = *impl_;
  etcd::WatchHandlers handlers;
  handlers.created = [&self](const etcd::Header& header) {
    self.feed(event::WatchCreated{Store::header(header)});
  };
  handlers.events = [&self](const etcd::Header& header,
                            const std::vector<etcd::WatchEvent>& events) {
    self.feed(event::WatchAdvanced{.header = Store::header(header),
                                   .changes = self.store.changes(events)});
  };
  handlers.ended = [&self](const etcd::Error& error, int64_t compacted) {
    log_failure("watch ended", error);
    self.feed(event::WatchEnded{.compacted = compacted > 0, .reason = error.text});
  };
  self.client->watch(self.store.watched(), a.from, a.avoid_current, std::move(handlers));
}

void EtcdSide::read(const std::string& key, std::function<void(const std::string* value)> read,
                    std::function<void()> failed) {
  const auto done = [read = std::move(read), failed = std::move(failed)](
                        const etcd::RangeAnswer* answer, const etcd::Error* error) {
    if (answer == nullptr) {
      log_failure("read", *error);
      return failed();
    }
    read(answer->kvs.empty() ? nullptr : &answer->kvs.front().value);
  };
  impl_->client->read(key, done);
}

// --- compaction: looked at by one read in an hour; nothing but a line in the log follows

void EtcdSide::Impl::look_at_compaction() {
  const auto done = [this](const etcd::RangeAnswer* answer, const etcd::Error* error) {
    if (error != nullptr && error->compacted()) compaction.compacted();
    if (answer == nullptr) return;
    const std::string text = compaction.answered(loop.now(), answer->header.revision);
    if (!text.empty()) log::warn("%s", text.c_str());
  };
  client->range_at(store.begin(), compaction.asks(), done);
  look_again_in_an_hour();
}

void EtcdSide::Impl::look_again_in_an_hour() {
  (void)loop.add_timer(loop.now() + etcd::Compaction::kInterval, [this] { look_at_compaction(); });
}

// --- for people

size_t EtcdSide::txns_under_way() const {
  return impl_->txns_under_way;
}

bool EtcdSide::is_connected() const {
  return impl_->client->connected();
}

std::string EtcdSide::endpoint() const {
  return impl_->client->endpoint();
}

void EtcdSide::fill_in(Status* status) const {
  const etcd::Client& client = *impl_->client;
  status->etcd_connected = client.connected();
  status->etcd_endpoint = client.endpoint();
  status->etcd_version = client.version();
  for (const etcd::MemberView& member : client.members()) {
    status->etcd_endpoints.push_back(
        {.endpoint = member.endpoint,
         .cluster_id = member.cluster == 0 ? "" : cluster_hex(member.cluster),
         .mismatch = member.stranger,
         .members = member.members});
  }
  if (const std::optional<etcd::LastError> last = client.last_error()) {
    status->etcd_error = last->error.text;
    status->etcd_error_endpoint = last->error.endpoint;
    status->etcd_error_age_ms = last->age.ms();
    status->etcd_error_matters = last->matters;
  }
}

Revision EtcdSide::uncompacted() const {
  return impl_->compaction.uncompacted();
}

std::vector<RequestCounts> EtcdSide::requests() const {
  std::vector<RequestCounts> requests;
  for (const auto& [key, counts] : impl_->client->tally().counts()) {
    for (size_t i = 0; i < counts.size(); i++) {
      requests.push_back({.endpoint = key.first,
                          .operation = key.second,
                          .result = etcd::Tally::kResults[i],
                          .count = counts[i]});
    }
  }
  return requests;
}

}  // namespace vipd
