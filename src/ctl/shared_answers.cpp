#include "ctl/shared_answers.hpp"

#include <algorithm>
#include <utility>

namespace vipd::ctl {
namespace {

constexpr size_t kShort = 16 << 10;       // bytes: sixty of them are rendered in a few milliseconds
constexpr size_t kMostUnread = 32 << 20;  // bytes
constexpr Duration kLongestPause = Duration::milliseconds(300);  // on a host that is busy
constexpr Duration kUnreadPause = Duration::milliseconds(100);
constexpr Duration kWhileRendered = Duration::milliseconds(5);  // until those who wait ask again

}  // namespace

Response SharedAnswers::answer(const std::string& group, const std::string& what,
                               const Request& request, const std::function<Render()>& begin) {
  const auto kept = kept_.find(group + what);
  if (kept != kept_.end() && kept->second.began >= request.since) return kept->second.response;
  const MonoTime now = loop_.now();
  const auto later = [](MonoTime at) {
    Response response;
    response.not_before = at;
    return response;
  };
  if (work_.is_busy()) return later(now + kWhileRendered);
  if (now < next_at_) return later(next_at_);
  if (is_too_much(group)) return later(now + kUnreadPause);
  began_ = now;
  took_ = Duration();
  response_ = {};
  const bool is_whole = work_.start([this, render = begin()] { return render_some(render); },
                                    [this, group, what] { static_cast<void>(keep(group, what)); });
  if (!is_whole) return later(now + kWhileRendered);
  if (response_.body.size() < kShort) return std::move(response_);
  return keep(group, what);
}

bool SharedAnswers::render_some(const Render& render) {
  const MonoTime from = loop_.now();
  const bool goes_on = render(&response_);
  took_ = took_ + (loop_.now() - from);
  return goes_on;
}

const Response& SharedAnswers::keep(const std::string& group, const std::string& what) {
  response_.shared = std::make_shared<const std::string>(std::exchange(response_.body, {}));
  unread_[group].push_back(response_.shared);
  keep_until(loop_.now() + std::min(took_ * 3, kLongestPause));
  Kept& kept = kept_[group + what];
  kept = {.began = began_, .response = std::exchange(response_, {})};
  return kept.response;
}

bool SharedAnswers::is_too_much(const std::string& group) {
  size_t size = 0;
  std::erase_if(unread_[group], [&](const std::weak_ptr<const std::string>& each) {
    const std::shared_ptr<const std::string> text = each.lock();
    if (text != nullptr) size += text->size();
    return text == nullptr;
  });
  return size > kMostUnread;
}

// Until then nobody else can have it rendered anew, so nobody can need what is kept.
void SharedAnswers::keep_until(MonoTime at) {
  next_at_ = at;
  loop_.cancel_timer(drop_);
  // After those who wait for that moment: the first of them renders for all.
  drop_ = loop_.add_timer(at + Duration::milliseconds(100), [this] { kept_.clear(); });
}

}  // namespace vipd::ctl
