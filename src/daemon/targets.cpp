#include "daemon/targets.hpp"

#include <algorithm>
#include <cassert>

#include "net/station.hpp"
#include "vipd/log.hpp"

namespace vipd {

namespace {

constexpr int kMostQuestions = 3;
constexpr Duration kAnswerTime = Duration::seconds(1);
// Routers fail over, too: what one said is asked again.
constexpr Duration kAskAgain = Duration::seconds(30);
constexpr size_t kMostWaiting = 64;  // the others are told by their next announcement

}  // namespace

void Targets::open(net::PacketSocket* packet, net::ClaimListener* listener) {
  assert(packet_ == nullptr);
  packet_ = packet;
  listener_ = listener;
}

void Targets::take(const std::vector<std::string>& texts) {
  for (const net::ClaimListener::Id ear : ears_) listener_->forget(ear);
  ears_.clear();
  addresses_.clear();
  targets_.clear();
  said_.clear();
  texts_ = texts;
  for (const std::string& text : texts) {
    addresses_.push_back(Address::parse(text).value_or(Address()));
    assert(addresses_.back() != Address());
    ears_.push_back(listener_->also(addresses_.back(), [this](const auto& h) { heard(h); }));
  }
}

void Targets::announce(const net::Sender& sender, const Address& vip,
                       const AnnounceConfig& config) {
  if (config.targets != texts_) take(config.targets);
  form_ = config.form;
  for (const Address& address : addresses_) {
    if (address.is_v4() != vip.is_v4() || address == vip) continue;
    Target& target = targets_[{address, sender.link_index}];
    target.sender = sender;
    const bool is_known = target.mac != MacAddress{};
    if (is_known) {
      const net::Station to = {.address = address, .mac = target.mac};
      (void)packet_->announce(sender, vip, form_, &to);
    } else if (target.waiting.size() < kMostWaiting) {
      target.waiting.push_back(vip);
    }
    const bool is_stale = loop_.now() - target.asked_at >= kAskAgain;
    if (is_stale || (!is_known && target.asked == 0)) ask(address, &target);
  }
}

// From the unspecified address, so that no neighbour learns from the question.
void Targets::ask(const Address& address, Target* target) {
  target->asked++;
  target->asked_at = loop_.now();
  (void)packet_->probe(target->sender, address);
  look_within(kAnswerTime);
}

// Told in a turn of its own, when the core has looked whether the VIPs are still ours.
void Targets::heard(const net::ClaimListener::Heard& heard) {
  const auto found = targets_.find({heard.address, heard.link_index});
  if (found == targets_.end()) return;
  Target& target = found->second;
  target.mac = heard.mac;
  target.asked = 0;
  if (said_.erase(heard.address) != 0) {
    log::info("announce.targets: %s answers", heard.address.text().c_str());
  }
  if (!target.waiting.empty()) look_within(Duration());
}

void Targets::look_within(Duration wait) {
  const MonoTime at = loop_.now() + wait;
  if (at >= look_at_) return;
  loop_.cancel_timer(timer_);
  look_at_ = at;
  timer_ = loop_.add_timer(at, [this] { look(); });
}

void Targets::look() {
  look_at_ = MonoTime::never();
  for (auto& [key, target] : targets_) {
    if (target.asked == 0) {
      const net::Station to = {.address = key.first, .mac = target.mac};
      for (const Address& vip : target.waiting) {
        if (has_(vip)) (void)packet_->announce(target.sender, vip, form_, &to);
      }
      target.waiting.clear();
    } else if (loop_.now() - target.asked_at < kAnswerTime) {
      look_within(kAnswerTime);
    } else if (target.asked < kMostQuestions) {
      ask(key.first, &target);
    } else {
      give_up(key.first, &target);
    }
  }
}

// Another link may be the one where it is.
void Targets::give_up(const Address& address, Target* target) {
  target->mac = {};
  target->asked = 0;
  target->waiting.clear();
  const bool is_elsewhere = std::any_of(targets_.begin(), targets_.end(), [&](const auto& item) {
    return item.first.first == address && item.second.mac != MacAddress{};
  });
  if (is_elsewhere || !said_.insert(address).second) return;
  log::warn("announce.targets: %s does not answer; it gets only broadcasts",
            address.text().c_str());
}

}  // namespace vipd
