// A network interface that has carrier. Netlink's notices say when to look.
#include "check/probe.hpp"
#include "net/netlink.hpp"

namespace vipd::check {
namespace {

class LinkProbe final : public Probe {
 public:
  LinkProbe(const Tools& tools, const CheckConfig& config) : tools_(tools), link_(config.target) {}
  ~LinkProbe() override { tools_.loop.cancel_timer(timer_); }

  void look(Duration, DoneHandler done) override {
    timer_ =
        tools_.loop.add_timer(tools_.loop.now(), [this, done = std::move(done)] { done(fault()); });
  }

 private:
  [[nodiscard]] std::string fault() const {
    const net::Link* link = tools_.link_named(link_);
    if (link == nullptr) return "there is no link " + link_;
    if (!link->up) return link->name + " is down";
    return link->carrier ? "" : link->name + " has no carrier";
  }

  const Tools& tools_;
  std::string link_;
  Loop::Timer timer_ = Loop::Timer::None;
};

}  // namespace

std::unique_ptr<Probe> make_link(const Tools& tools, const CheckConfig& config) {
  return std::make_unique<LinkProbe>(tools, config);
}

}  // namespace vipd::check
