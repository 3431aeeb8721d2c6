#include "daemon/reach.hpp"

#include <cassert>

#include "net/next_hop.hpp"
#include "vipd/log.hpp"

namespace vipd {

namespace {

constexpr Duration kRound = Duration::milliseconds(500);
constexpr int kRounds = 4;        // so many frames in a row are not lost by chance
constexpr int kFewestOthers = 2;  // answers, or the neighbour is silent itself
constexpr Duration kAgain = Duration::seconds(55);  // with the next announcement, each minute
constexpr Duration kSoon = Duration::seconds(10);   // where nothing was found out
constexpr int kMostLooks = 20;                      // in a second

}  // namespace

void Reach::open(net::PacketSocket* packet, net::ClaimListener* listener) {
  assert(packet_ == nullptr);
  packet_ = packet;
  listener_ = listener;
}

// Thousands of VIPs take turns.
bool Reach::may_look() {
  if (loop_.now() - second_ >= Duration::seconds(1)) {
    second_ = loop_.now();
    left_ = kMostLooks;
  }
  return left_-- > 0;
}

// A gateway that is a VIP of ours is this host.
bool Reach::choose(Look* look, const Address& vip, const std::vector<std::string>& targets) const {
  const int link = look->sender.link_index;
  std::optional<net::NextHop> hop = net::default_next_hop_by(link, vip.is_v4());
  Address neighbour = hop && hop->gateway ? *hop->gateway : Address();
  for (size_t i = 0; i < targets.size() && neighbour == Address(); i++) {
    const Address target = Address::parse(targets[i]).value_or(Address());
    if (target.is_v4() != vip.is_v4()) continue;
    hop = net::next_hop_by(link, target);
    if (hop && !hop->gateway) neighbour = target;
  }
  if (neighbour == Address() || handlers_.is_vip(neighbour)) return false;
  const Address source = hop->source.value_or(Address());
  look->neighbour = neighbour;
  look->self = handlers_.is_vip(source) ? Address() : source;
  return true;
}

void Reach::announced(const net::Sender& sender, const Address& vip, const std::string& name,
                      const std::vector<std::string>& targets) {
  Look& look = looks_[vip];
  if (look.rounds != 0 || loop_.now() < look.next || !may_look()) return;
  look.name = name;
  look.sender = sender;
  look.next = loop_.now() + kAgain;
  if (!choose(&look, vip, targets)) return;
  if (!ears_.contains(look.neighbour)) {
    ears_[look.neighbour] = listener_->also(look.neighbour, [this](const auto& h) { heard(h); });
  }
  look.others = 0;
  look.is_heard = false;
  under_way_.insert(vip);
  ask(vip, &look);
  if (timer_ != Loop::Timer::None) return;
  timer_ = loop_.add_timer(loop_.now() + kRound, [this] { go_on(); });
}

// In the host's own name only where it matters.
void Reach::ask(const Address& vip, Look* look) {
  (void)packet_->ask(look->sender, vip, look->neighbour);
  if (look->rounds++ == 0) return;
  if (look->self == Address()) {
    (void)packet_->probe(look->sender, look->neighbour);
  } else {
    (void)packet_->ask(look->sender, look->self, look->neighbour);
  }
}

void Reach::heard(const net::ClaimListener::Heard& heard) {
  for (const Address& vip : under_way_) {
    Look& look = looks_[vip];
    if (look.neighbour != heard.address || look.sender.link_index != heard.link_index) continue;
    if (heard.to == vip) {
      look.is_heard = true;
    } else if (heard.to != Address()) {
      look.others++;
    }
  }
}

void Reach::go_on() {
  timer_ = Loop::Timer::None;
  for (auto it = under_way_.begin(); it != under_way_.end();) {
    const Address vip = *it;
    Look& look = looks_[vip];
    const bool is_over = look.is_heard || look.rounds == kRounds || !handlers_.has(vip);
    it = is_over ? under_way_.erase(it) : std::next(it);
    if (!is_over) {
      ask(vip, &look);
      continue;
    }
    look.rounds = 0;
    if (handlers_.has(vip)) judge(vip, &look);
  }
  if (under_way_.empty()) return;
  timer_ = loop_.add_timer(loop_.now() + kRound, [this] { go_on(); });
}

void Reach::judge(const Address& vip, Look* look) {
  if (!look->is_heard && look->others < kFewestOthers) {
    look->next = loop_.now() + kSoon;
    return;
  }
  handlers_.found(vip, look->is_heard);
  if (look->is_silent == !look->is_heard) return;
  look->is_silent = !look->is_heard;
  if (look->is_heard) {
    log::info("vip %s: the network passes its frames again", look->name.c_str());
    return;
  }
  log::warn(
      "vip %s: %s answers this host, but not %s: the port or the hypervisor may drop frames of "
      "addresses that it does not know (port security, anti-spoofing, allowed address pairs)",
      look->name.c_str(), look->neighbour.text().c_str(), vip.text().c_str());
}

void Reach::forget(const Address& vip) {
  looks_.erase(vip);
  under_way_.erase(vip);
}

}  // namespace vipd
