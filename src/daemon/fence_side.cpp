#include "daemon/fence_side.hpp"

#include <net/if.h>

#include <algorithm>
#include <cassert>
#include <utility>

#include "daemon/network.hpp"
#include "net/fence.hpp"
#include "net/netlink.hpp"
#include "vipd/log.hpp"

namespace vipd {

namespace {

constexpr Duration kLookEvery = Duration::seconds(1);
constexpr Duration kLastBackoff = Duration::seconds(60);
// Inherited addresses live for some seconds, and nothing renews them meanwhile.
constexpr Duration kAtStart = Duration::milliseconds(500);
// Of addresses that may be protected: a reload may bring more VIPs.
constexpr size_t kLeastRoom = 256;
// In parts of a million. Terms allow for clocks that differ by 1 in 1,000, all in all.
constexpr int64_t kMostSlew = 400;
constexpr Duration kClocksOnTrial = Duration::seconds(10);

bool is_link(int index) {
  char name[IF_NAMESIZE];
  return if_indextoname(static_cast<unsigned>(index), name) != nullptr;
}

// "bypassed on eth0 by another filter", "removed on eth0", "tcx: ... on eth0".
std::string on_link(const std::string& what, const std::string& link) {
  constexpr std::string_view kBypassed = "bypassed";
  if (!what.starts_with(kBypassed)) return what + " on " + link;
  return std::string(kBypassed) + " on " + link + what.substr(kBypassed.size());
}

}  // namespace

FenceSide::FenceSide(Loop& loop, const Network& network, Handlers handlers)
    : loop_(loop), network_(network), handlers_(std::move(handlers)), removal_(loop) {}

FenceSide::~FenceSide() = default;

// --- the life of a fence

void FenceSide::open(const Config& config, const Descriptors& inherited) {
  assert(hooks_ == nullptr);
  hooks_ = net::FenceHooks::open(net::FenceHooks::best_place(), config.state_dir, &missing_);
  if (hooks_ == nullptr) return;
  const net::Fence::Descriptors handed = {inherited[0], inherited[1], inherited[2]};
  const auto changed = [this](int link_index) { look(link_index); };
  if (config.fence == FenceChoice::None) {
    missing_ = "switched off";
    for (const int fd : inherited) sys::Fd(fd).reset();
  } else if (inherited[0] >= 0) {
    fence_ = net::Fence::adopt(loop_, *hooks_, handed, changed, &missing_);
  } else {
    const size_t room = std::max(2 * config.vips.size(), kLeastRoom);
    fence_ = net::Fence::open(loop_, *hooks_, room, changed, &missing_);
    // Open: what a former process left stays in force behind it.
    if (fence_) fence_->memory().set_deadline(MonoTime::never(), loop_.suspended());
  }
  if (fence_ != nullptr) missing_.clear();
}

bool FenceSide::is_in_the_way() const {
  return fence_ == nullptr && hooks_ != nullptr && hooks_->has_former();
}

void FenceSide::start() {
  assert(!is_started_);
  is_started_ = true;
  clocks_at_ = started_ = loop_.now();
  clocks_ = loop_.slew();
  for (const Address& address : network_.inherited()) (void)protect(address);
  links_seen();
  tell();
  if (is_in_the_way()) remove_former();
}

void FenceSide::stop(const Loop::Handler& done) {
  if (fence_ == nullptr || !std::exchange(is_started_, false)) return done();
  if (network_.owns_anything()) {
    log::warn("the packet fence stays closed: an address could not be removed");
    fence_->memory().close();
    return done();
  }
  const auto some = [this] { return detach_next() || remove_next_former(); };
  const auto end = [this, done] {
    if (is_detached_) hooks_->forget_own();
    done();
  };
  if (removal_.start(some, end)) end();
}

// A link at a time: at tcx each takes the kernel 50 ms. False: none is left. Notices of a link that
// has no guard any more are of our own removal.
bool FenceSide::detach_next() {
  if (guards_.empty()) return false;
  const int index = guards_.begin()->first;
  guards_.erase(guards_.begin());
  is_detached_ &= fence_->detach(index);
  return true;
}

// [safety] Not before this process has authority and has stored its deadline, or has removed the
// addresses; and not while something may still be there that no configuration names any more.
void FenceSide::remove_former() {
  if (!may_remove_former() || removal_.is_busy()) return;
  (void)removal_.start([this] { return remove_next_former(); }, nullptr);
}

bool FenceSide::may_remove_former() const {
  return hooks_ != nullptr && hooks_->has_former() && loop_.now() >= network_.strangers_until();
}

// As detach_next(). No packets of a VIP pass before its link is clear, and what is below it.
bool FenceSide::remove_next_former() {
  if (!may_remove_former()) return false;
  if (!to_clear_) {
    to_clear_ = links_of_vips_last();
    is_clear_ = true;
  }
  if (!to_clear_->empty()) {
    is_clear_ &= hooks_->remove_former(to_clear_->back());
    to_clear_->pop_back();
    return true;
  }
  if (is_clear_) hooks_->forget_former();
  to_clear_.reset();
  return false;
}

// What is below a VIP's link drops its packets as well: next to last are all but those of
// containers.
std::vector<int> FenceSide::links_of_vips_last() const {
  const std::map<int, net::Link>& all = network_.links().all();
  const auto rank = [this](const net::Link& link) {
    if (network_.links().is_of_vip(link.index)) return 2;
    return link.is_fleeting ? 0 : 1;
  };
  std::vector<int> links;
  for (int wanted = 0; wanted <= 2; wanted++) {
    for (auto link = all.rbegin(); link != all.rend(); ++link) {
      if (rank(link->second) == wanted) links.push_back(link->first);
    }
  }
  return links;
}

// --- links

void FenceSide::links_seen() {
  if (fence_ == nullptr || !is_started_) return;
  const std::map<int, net::Link>& links = network_.links().all();
  std::erase_if(guards_, [&](const auto& item) {
    const auto link = links.find(item.first);
    return link == links.end() || !link->second.has_arp;
  });
  for (const auto& [index, link] : links) {
    if (!link.has_arp) continue;
    const auto [place, is_new] = guards_.try_emplace(index);
    if (is_new) guard_new(link, &place->second);
  }
  tell();
}

// Many that appear at once, or are there at the start, would be one long turn where each takes the
// kernel 50 ms. Those that wait cost the term, not the VIP.
void FenceSide::guard_new(const net::Link& link, Guard* one) {
  const bool is_slow = hooks_->is_tcx_shared() || !link.is_fleeting;
  const bool is_late = is_told_ ? loop_.budget_is_spent() : loop_.now() - started_ > kAtStart;
  if (!is_slow || !is_late) return guard(link, one);
  one->fault = on_link("not there yet", link.name);
  is_looking_ = true;
}

// A link that has just gone is no fault: its notice is on the way. Where another program takes the
// first place again and again, the backoff grows.
void FenceSide::guard(const net::Link& link, Guard* guard) {
  const MonoTime now = loop_.now();
  if (now < guard->try_at) return;
  const bool is_again = now < guard->try_at + kLastBackoff;
  guard->backoff = is_again ? std::min(guard->backoff * 2, kLastBackoff) : kLookEvery;
  guard->try_at = now + guard->backoff;
  std::string reason = "no fence (not Ethernet)";
  const bool is_done = link.is_ethernet && fence_->attach(link.index, link.is_fleeting, &reason);
  guard->fault = is_done || !is_link(link.index) ? "" : on_link(reason, link.name);
}

// [safety] A program before ours may let packets of a VIP through along with our own frames. The
// core is told even where that is mended at once, since packets may have passed meanwhile.
bool FenceSide::is_first(int link_index) {
  const auto found = guards_.find(link_index);
  const auto link = network_.links().all().find(link_index);
  if (found == guards_.end() || link == network_.links().all().end()) return true;
  std::string reason;
  const bool is_fine = !found->second.fault.empty() || fence_->is_first(link_index, &reason);
  if (is_fine || !is_link(link_index)) return true;
  found->second.fault = on_link(reason, link->second.name);
  tell();
  return false;
}

void FenceSide::look(int link_index) {
  if (link_index == 0) {
    if (!is_looking_) looked_at_ = 0;  // else a stream of notices would keep it from ever ending
    is_looking_ = true;
  } else if (!is_first(link_index) && !is_looking_) {
    mend();
  }
}

// [safety] The core is not told that all is well before all have been looked at: what bypasses one
// often bypasses many.
void FenceSide::look_at_some() {
  for (;;) {
    const auto next = guards_.upper_bound(looked_at_);
    if (next == guards_.end()) return mend();
    looked_at_ = next->first;
    (void)is_first(looked_at_);
    if (loop_.budget_is_spent()) return;
  }
}

// One link a turn at least: at tcx each takes the kernel 50 ms.
void FenceSide::mend() {
  is_looking_ = true;
  for (auto& [index, one] : guards_) {
    const auto link = network_.links().all().find(index);
    if (link == network_.links().all().end()) continue;
    const bool is_to_move = hooks_->is_tcx_shared() && link->second.is_fleeting && !one.is_moved;
    if (one.fault.empty() && !is_to_move) continue;
    if (one.fault.empty() && is_first(index)) {
      std::string reason;
      one.is_moved = fence_->attach(index, true, &reason);
    } else {
      guard(link->second, &one);
    }
    if (loop_.budget_is_spent()) return;
  }
  is_looking_ = false;
  tell();
}

void FenceSide::begin_turn() {
  if (!is_started_ || hooks_ == nullptr) return;
  if (loop_.now() >= look_at_) look_after();
  if (is_looking_) look_at_some();
  if (is_looking_) (void)loop_.add_timer(loop_.now(), [] {});  // the next turn comes at once
}

void FenceSide::look_after() {
  look_at_ = loop_.now() + kLookEvery;
  if (is_set_) remove_former();
  if (fence_ == nullptr) return;
  links_seen();
  is_looking_ = true;
  if (guards_.upper_bound(looked_at_) == guards_.end()) looked_at_ = 0;
  look_at_clocks();
  tell();
}

// Grants are counted by two clocks, the owner's and the grantor's.
bool FenceSide::is_slewed(const Loop::Slew& before, const Loop::Slew& now, Duration span) {
  const int64_t moved = std::abs((now.total - before.total).ns());
  const int64_t error = (now.error + before.error).ns();
  return moved > span.ns() / 1'000'000 * kMostSlew + error;
}

void FenceSide::look_at_clocks() {
  const MonoTime now = loop_.now();
  const Duration span = now - clocks_at_;
  if (span < kLookEvery) return;
  const Loop::Slew slew = loop_.slew();
  if (is_slewed(clocks_, slew, span)) clocks_ran_wrong_ = now;
  clocks_at_ = now;
  clocks_ = slew;
  const bool is_wrong = now - clocks_ran_wrong_ < kClocksOnTrial;
  clock_fault_ = is_wrong ? "the clock is being slewed by more than 400 parts in a million" : "";
}

// --- what is told

std::string FenceSide::fault() const {
  if (fence_ == nullptr) return missing_;
  for (const auto& [index, guard] : guards_) {
    if (!guard.fault.empty()) return guard.fault;
  }
  return room_fault_.empty() ? clock_fault_ : room_fault_;
}

void FenceSide::tell() {
  std::string now = fault();
  if (!is_started_ || (is_told_ && now == told_)) return;
  is_told_ = true;
  told_ = std::move(now);
  const bool is_off = missing_ == "switched off";
  const std::string text =
      told_.empty() ? std::string("packet fence in force: ") + kind() : "no packet fence: " + told_;
  if (told_.empty() || is_off) {
    log::info("%s", text.c_str());
  } else {
    log::warn("%s", text.c_str());
  }
  handlers_.note(text);
  handlers_.feed(event::FenceChanged{.in_force = told_.empty(), .reason = told_});
}

const char* FenceSide::kind() const {
  return fence_ == nullptr ? "none" : hooks_->kind();
}

FenceSide::Descriptors FenceSide::descriptors() const {
  if (fence_ == nullptr) return kNone;
  const net::Fence::Descriptors all = fence_->descriptors();
  return {all.map, all.ingress, all.egress};
}

// --- what the core wants

void FenceSide::perform(const action::SetFence& a) {
  is_set_ = true;
  if (fence_ != nullptr) {
    if (a.deadline <= loop_.now()) {
      fence_->memory().close();
    } else {
      fence_->memory().set_deadline(a.deadline, a.suspended);
    }
  }
  remove_former();
}

// Once the core knows that there is no room it takes no VIP under a term.
bool FenceSide::protect(const Address& address) {
  if (fence_ == nullptr || fence_->memory().protect(address) || !room_fault_.empty()) return true;
  room_fault_ = "there are more addresses than it has room for; restart the daemon";
  tell();
  return false;
}

void FenceSide::unprotect(const Address& address) {
  if (fence_ != nullptr) fence_->memory().unprotect(address);
}

void FenceSide::expect(int link_index, uint64_t nonce) {
  if (fence_ != nullptr) fence_->memory().expect(link_index, nonce);
}

FenceSide::Sight FenceSide::sight(int link_index, uint64_t nonce) {
  if (fence_ == nullptr) return Sight::Unknown;
  switch (fence_->memory().sight(link_index, nonce)) {
    case net::FenceMemory::Sight::Unknown:
      return Sight::Unknown;
    case net::FenceMemory::Sight::Missed:
      look(link_index);
      return Sight::Missed;
    case net::FenceMemory::Sight::Whole:
      return Sight::Whole;
  }
  return Sight::Unknown;
}

}  // namespace vipd
