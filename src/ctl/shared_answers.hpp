// Answers that cost much because there are many VIPs: rendered once for all who had asked by then,
// one at a time over all servers, and not again before three times as long has passed. So clients
// that poll as fast as they can cost a quarter of a processor, and one rendering of a turn.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "ctl/server.hpp"
#include "vipd/loop.hpp"

namespace vipd::ctl {

class SharedAnswers {
 public:
  explicit SharedAnswers(Loop& loop) : loop_(loop) {}
  ~SharedAnswers() { loop_.cancel_timer(drop_); }
  SharedAnswers(const SharedAnswers&) = delete;
  SharedAnswers& operator=(const SharedAnswers&) = delete;

  using Render = std::function<Response()>;
  // What was rendered since `request` was complete, or is rendered now; or when to ask again. A
  // short one is not kept. `what` names the answer, `group` those who share the limit on what
  // waits to be read.
  [[nodiscard]] Response answer(const std::string& group, const std::string& what,
                                const Request& request, const Render& render);

 private:
  struct Kept {
    MonoTime began;
    Response response;
  };

  [[nodiscard]] bool is_too_much(const std::string& group);
  void keep_until(MonoTime at);

  Loop& loop_;
  std::map<std::string, Kept> kept_;
  // By group: those that somebody still reads.
  std::map<std::string, std::vector<std::weak_ptr<const std::string>>> unread_;
  MonoTime next_at_ = MonoTime::long_ago();
  Loop::Timer drop_ = Loop::Timer::None;
};

}  // namespace vipd::ctl
