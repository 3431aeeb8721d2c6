// Whether an address answers on a link: asked from nobody's address, as RFC 5227 and RFC 4862 do,
// so that it leaves no trace at those who hear it.
#include <cstring>
#include <span>
#include <utility>

#include "check/probe.hpp"
#include "net/claims.hpp"
#include "net/netlink.hpp"
#include "net/packet.hpp"

namespace vipd::check {
namespace {

class ArpProbe final : public Probe {
 public:
  ArpProbe(const Tools& tools, const CheckConfig& config)
      : tools_(tools),
        name_(config.name),
        address_(Address::parse(config.target).value_or(Address())) {}
  ~ArpProbe() override { stop(); }

  void look(Duration timeout, DoneHandler done) override {
    done_ = std::move(done);
    const net::Link* link = tools_.link_of(name_);
    std::string fault = link == nullptr ? "the link is not there" : "";
    if (link != nullptr && !ask(*link)) fault = fault_;
    if (!fault.empty()) {
      timer_ = tools_.loop.add_timer(tools_.loop.now(), [this, fault] { finish(fault); });
      return;
    }
    fault = "no answer within " + std::to_string(timeout.ms()) + " ms";
    timer_ = tools_.loop.add_timer(tools_.loop.now() + timeout, [this, fault] { finish(fault); });
    // One packet may be lost.
    again_ = tools_.loop.add_timer(tools_.loop.now() + timeout / 2, [this] {
      if (const net::Link* there = tools_.link_of(name_)) (void)ask(*there);
    });
  }

 private:
  bool ask(const net::Link& link) {
    if (ear_ == nullptr) {
      ear_ = net::ClaimListener::open(
          tools_.loop, link.index, std::span(&address_, 1),
          [this](const Address& address, const MacAddress&) {
            if (address == address_ && done_) finish("");
          },
          &fault_);
    }
    if (ear_ == nullptr) return false;
    const int error = tools_.packet->probe({.link_index = link.index, .mac = link.mac}, address_);
    if (error != 0) fault_ = link.name + ": " + strerror(error);
    return error == 0;
  }

  // The listener may be what calls: it goes in another turn, with the timer.
  void finish(const std::string& fault) {
    tools_.loop.cancel_timer(timer_);
    tools_.loop.cancel_timer(again_);
    timer_ = tools_.loop.add_timer(tools_.loop.now(), [this, fault] {
      ear_.reset();
      const DoneHandler done = std::exchange(done_, nullptr);
      done(fault);
    });
  }

  void stop() {
    tools_.loop.cancel_timer(timer_);
    tools_.loop.cancel_timer(again_);
    ear_.reset();
  }

  const Tools& tools_;
  std::string name_;
  Address address_;
  std::unique_ptr<net::ClaimListener> ear_;
  Loop::Timer timer_ = Loop::Timer::None;
  Loop::Timer again_ = Loop::Timer::None;
  std::string fault_;
  DoneHandler done_;
};

}  // namespace

std::unique_ptr<Probe> make_arp(const Tools& tools, const CheckConfig& config) {
  return std::make_unique<ArpProbe>(tools, config);
}

}  // namespace vipd::check
