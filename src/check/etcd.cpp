// A key of etcd that has a value. An etcd that does not answer says nothing of the service: it is
// asked again until it does, and the check stays as it is.
#include <utility>

#include "check/probe.hpp"

namespace vipd::check {
namespace {

constexpr Duration kAgain = Duration::seconds(1);
constexpr std::string_view kEquals = " = ";
constexpr size_t kShown = 64;  // of a value, in a reason

class EtcdProbe final : public Probe {
 public:
  EtcdProbe(const Tools& tools, const CheckConfig& config)
      : tools_(tools),
        key_(config.target.substr(0, config.target.find(kEquals))),
        value_(key_ == config.target ? tools.node
                                     : config.target.substr(key_.size() + kEquals.size())) {}
  ~EtcdProbe() override { tools_.loop.cancel_timer(timer_); }

  void look(Duration, DoneHandler done) override {
    done_ = std::move(done);
    ask();
  }

 private:
  // The answer may come when there is no probe any more.
  void ask() {
    const std::weak_ptr<EtcdProbe*> self = self_;
    tools_.read_key(
        key_,
        [self](const std::string* value) {
          if (const auto probe = self.lock()) (*probe)->take(value);
        },
        [self] {
          if (const auto probe = self.lock()) (*probe)->ask_again();
        });
  }

  void ask_again() {
    timer_ = tools_.loop.add_timer(tools_.loop.now() + kAgain, [this] { ask(); });
  }

  void take(const std::string* value) {
    const DoneHandler done = std::exchange(done_, nullptr);
    done(fault_of(value));
  }

  [[nodiscard]] std::string fault_of(const std::string* value) const {
    if (value == nullptr) return "there is no key " + key_;
    return *value == value_ ? "" : key_ + " is " + visible(*value) + ", not " + value_;
  }

  static std::string visible(const std::string& value) {
    std::string text = value.substr(0, kShown);
    for (char& c : text) {
      if (c < ' ' || c > '~') c = '?';
    }
    return text;
  }

  const Tools& tools_;
  std::string key_;
  std::string value_;
  DoneHandler done_;
  Loop::Timer timer_ = Loop::Timer::None;
  std::shared_ptr<EtcdProbe*> self_ = std::make_shared<EtcdProbe*>(this);
};

}  // namespace

std::unique_ptr<Probe> make_etcd(const Tools& tools, const CheckConfig& config) {
  return std::make_unique<EtcdProbe>(tools, config);
}

}  // namespace vipd::check
