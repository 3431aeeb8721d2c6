#include "daemon/online.hpp"

#include <algorithm>
#include <memory>
#include <optional>
#include <string_view>

#include "daemon/etcd_options.hpp"
#include "vipd/log.hpp"
#include "vipd/loop.hpp"

namespace vipd {
namespace {

constexpr Duration kPatience = Duration::seconds(3);
constexpr std::string_view kSilent = "no answer within";
constexpr const char* kLook = ": check its name, routes and firewalls";
constexpr Duration kPause = Duration::milliseconds(100);

// One endpoint, by a client of its own, so that its errors are those of this endpoint.
class Question {
 public:
  Question(Loop& loop, const Config& config, const Store& store, const std::string& endpoint)
      : loop_(loop),
        store_(store),
        endpoint_(endpoint),
        client_(loop, options(config, store, endpoint)) {
    client_.on_named([this](const etcd::Named& named) { on_named(named); });
  }

  [[nodiscard]] bool is_over() const;
  [[nodiscard]] uint64_t cluster() const { return cluster_; }
  [[nodiscard]] EndpointReport report(uint64_t wanted) const;

 private:
  static etcd::Options options(const Config& config, const Store& store, const std::string& url) {
    etcd::Options options = etcd_options(config, store);
    options.endpoints = {url};
    options.discover = false;
    return options;
  }
  void on_named(const etcd::Named& named);
  void ask();
  [[nodiscard]] std::string fault() const;

  Loop& loop_;
  const Store& store_;
  std::string endpoint_;
  etcd::Client client_;
  uint64_t cluster_ = 0;
  bool agreed_ = true;
  bool is_answered_ = false;
  std::string refused_;
};

void Question::on_named(const etcd::Named& named) {
  agreed_ = named.agreed;
  if (cluster_ != 0) return;
  cluster_ = named.cluster;
  client_.use_cluster(cluster_);
  ask();
}

// Whether the keys may be read. One answer may be late, or etcd without a leader for a moment.
void Question::ask() {
  client_.range_at(store_.begin(), 0, [this](const etcd::RangeAnswer*, const etcd::Error* error) {
    is_answered_ = error == nullptr;
    refused_ = is_answered_ ? "" : error->text;
    if (!is_answered_) (void)loop_.add_timer(loop_.now() + kPause, [this] { ask(); });
  });
}

// Another try would not find another port or certificate.
bool Question::is_over() const {
  const std::optional<etcd::LastError> last = client_.last_error();
  return is_answered_ || (last && last->error.code == etcd::Error::kSetup);
}

std::string Question::fault() const {
  if (!agreed_) return "its addresses lead to two clusters";
  if (!refused_.empty() || is_answered_) return refused_;
  const std::optional<etcd::LastError> last = client_.last_error();
  const std::string text = last ? last->error.text : std::string(kSilent) + " 3 s";
  return text + (text.starts_with(kSilent) ? kLook : "");
}

EndpointReport Question::report(uint64_t wanted) const {
  EndpointReport report = {.endpoint = endpoint_,
                           .cluster = cluster_ == 0 ? "" : cluster_hex(cluster_),
                           .fault = fault()};
  if (cluster_ != 0 && cluster_ != wanted) {
    report.fault = "it belongs to cluster " + report.cluster + ", not to " + cluster_hex(wanted);
  }
  return report;
}

using Questions = std::vector<std::unique_ptr<Question>>;

// What the daemon will be bound to: etcd.cluster, or what most of them name, the first of equals.
uint64_t wanted_cluster(const Config& config, const Questions& questions) {
  if (const auto fixed = cluster_from_hex(config.etcd.cluster)) return *fixed;
  const auto votes = [&questions](uint64_t cluster) {
    const auto is_for = [cluster](const auto& each) { return each->cluster() == cluster; };
    return cluster == 0 ? 0 : std::count_if(questions.begin(), questions.end(), is_for);
  };
  const auto most = std::max_element(
      questions.begin(), questions.end(),
      [&votes](const auto& a, const auto& b) { return votes(a->cluster()) < votes(b->cluster()); });
  return (*most)->cluster();
}

}  // namespace

std::vector<EndpointReport> ask_endpoints(const Config& config) {
  log::open(log::Target::Stderr, log::Level::Error);  // the report says what went wrong
  Loop loop;
  const Store store(config.etcd.prefix);
  Questions questions;
  for (const std::string& url : config.etcd.endpoints) {
    questions.push_back(std::make_unique<Question>(loop, config, store, url));
  }
  const MonoTime deadline = loop.now() + kPatience;
  const auto is_over = [](const auto& each) { return each->is_over(); };
  while (loop.now() < deadline && !std::all_of(questions.begin(), questions.end(), is_over)) {
    loop.run_once(std::min(Duration::milliseconds(100), deadline - loop.now()));
  }
  const uint64_t wanted = wanted_cluster(config, questions);
  std::vector<EndpointReport> reports;
  for (const auto& each : questions) reports.push_back(each->report(wanted));
  return reports;
}

}  // namespace vipd
