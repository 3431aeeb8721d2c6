#include "ctl/shared_answers.hpp"

#include <algorithm>
#include <utility>

namespace vipd::ctl {
namespace {

constexpr size_t kShort = 64 << 10;       // bytes: rendered in well below a millisecond
constexpr size_t kMostUnread = 32 << 20;  // bytes
constexpr Duration kLongestPause = Duration::milliseconds(300);  // on a host that is busy
constexpr Duration kUnreadPause = Duration::milliseconds(100);

}  // namespace

Response SharedAnswers::answer(const std::string& group, const std::string& what,
                               const Request& request, const Render& render) {
  const auto kept = kept_.find(group + what);
  if (kept != kept_.end() && kept->second.began >= request.since) return kept->second.response;
  const MonoTime began = loop_.now();
  Response later;
  later.not_before = next_at_;
  if (began < next_at_) return later;
  later.not_before = began + kUnreadPause;
  if (is_too_much(group)) return later;
  Response response = render();
  if (response.body.size() < kShort) return response;
  response.shared = std::make_shared<const std::string>(std::exchange(response.body, {}));
  unread_[group].push_back(response.shared);
  kept_.insert_or_assign(group + what, Kept{.began = began, .response = response});
  const MonoTime ended = loop_.now();
  keep_until(ended + std::min((ended - began) * 3, kLongestPause));
  return response;
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
