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
    tools_.claims->hear();  // what came before is no answer
    if (ear_ == net::ClaimListener::Id::None) {
      ear_ = tools_.claims->also(address_, [this](const net::ClaimListener::Heard& heard) {
        if (heard.link_index == asked_on_ && done_) finish("");
      });
    }
    if (ear_ == net::ClaimListener::Id::None) {
      fault_ = "the kernel refuses the filter for answers";
      return false;
    }
    asked_on_ = link.index;
    const int error = tools_.packet->probe({.link_index = link.index, .mac = link.mac}, address_);
    if (error != 0) fault_ = link.name + ": " + strerror(error);
    return error == 0;
  }

  // The listener may be what calls: the next look is not begun from inside it.
  void finish(const std::string& fault) {
    tools_.loop.cancel_timer(timer_);
    tools_.loop.cancel_timer(again_);
    asked_on_ = 0;
    timer_ = tools_.loop.add_timer(tools_.loop.now(), [this, fault] {
      const DoneHandler done = std::exchange(done_, nullptr);
      done(fault);
    });
  }

  void stop() {
    tools_.loop.cancel_timer(timer_);
    tools_.loop.cancel_timer(again_);
    tools_.claims->forget(ear_);
  }

  const Tools& tools_;
  std::string name_;
  Address address_;
  net::ClaimListener::Id ear_ = net::ClaimListener::Id::None;
  int asked_on_ = 0;  // the number of the link; 0: no answer is awaited
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
