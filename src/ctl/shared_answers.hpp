// Answers that are costly because there are many VIPs. They are rendered once for all clients that
// had asked by then, one at a time over all servers, and not again until three times the rendering
// time has passed. So clients that poll as fast as they can cost a quarter of a processor.
//
// One that takes longer than a turn may is rendered over several. It is consistent in this: each
// VIP is shown as of one moment, the node as of when the rendering began, and nothing is older than
// the request. Two VIPs may be shown as of moments that lie some turns apart. Where the
// configuration changes meanwhile the rendering begins anew, so no VIP is left out or shown twice.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "ctl/server.hpp"
#include "vipd/in_turns.hpp"
#include "vipd/loop.hpp"

namespace vipd::ctl {

class SharedAnswers {
 public:
  explicit SharedAnswers(Loop& loop) : loop_(loop), work_(loop) {}
  ~SharedAnswers() { loop_.cancel_timer(drop_); }
  SharedAnswers(const SharedAnswers&) = delete;
  SharedAnswers& operator=(const SharedAnswers&) = delete;

  // Renders a part, well below a millisecond; false: the response is whole.
  using Render = std::function<bool(Response*)>;
  // What was rendered since `request` was complete, or is rendered now by what begin() gives; or
  // when to ask again. A short one is kept only if it took more than a turn. `what` names the
  // answer, `group` those who share the limit on what waits to be read.
  [[nodiscard]] Response answer(const std::string& group, const std::string& what,
                                const Request& request, const std::function<Render()>& begin);
  // What is being rendered is of no use any more; whoever waits for it has it rendered anew.
  void begin_anew() { work_.stop(); }

 private:
  struct Kept {
    MonoTime began;
    Response response;
  };

  [[nodiscard]] bool is_too_much(const std::string& group);
  [[nodiscard]] bool render_some(const Render& render);
  const Response& keep(const std::string& group, const std::string& what);
  void keep_until(MonoTime at);

  Loop& loop_;
  std::map<std::string, Kept> kept_;
  // By group: those that somebody still reads.
  std::map<std::string, std::vector<std::weak_ptr<const std::string>>> unread_;
  // What is being rendered.
  InTurns work_;
  Response response_;
  MonoTime began_;
  Duration took_;
  MonoTime next_at_ = MonoTime::long_ago();
  Loop::Timer drop_ = Loop::Timer::None;
};

}  // namespace vipd::ctl
