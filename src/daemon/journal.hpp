// The history: the last changes, and the figures that explain them (vipctl history, GET
// /v1/events). Remembers nothing that a restart would need.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "vipd/action.hpp"
#include "vipd/event.hpp"
#include "vipd/in_turns.hpp"
#include "vipd/loop.hpp"
#include "vipd/status.hpp"

namespace vipd {

class Vips;

class Journal {
 public:
  // What explains a change.
  struct Figures {
    LeaseId session = LeaseId::None;
    MonoTime deadline = MonoTime::long_ago();   // of the authority
    MonoTime confirmed = MonoTime::long_ago();  // when the last heartbeat that counts was sent
    Revision revision = 0;
  };
  struct Sources {
    // Who owns a VIP as far as this node knows, and how the last head of its queue went.
    std::function<std::string(const Address&)> owner;
    std::function<std::string(const Address&)> how;
    std::function<std::string()> endpoint;
    // Each entry as one line of JSON, while anybody hears them.
    std::function<bool()> is_heard;
    std::function<void(std::string_view line)> publish;
  };

  Journal(Loop& loop, const Vips& vips, Sources sources);

  // To be called before each step: a session that the step loses has no figures afterwards.
  void before_step(const Figures& figures) { before_ = figures; }
  // To be called after the step for what the watch or a snapshot has shown: notes who owns a VIP
  // elsewhere, of thousands over several turns.
  void after(const event::WatchAdvanced& shown);
  void after(const event::PrefixRead& read);

  void note(const std::string& what);
  void note(const action::Report& report);
  void note(const action::ReportState& change);

  // The last ctl::kMostHistory of them, oldest first.
  [[nodiscard]] const std::deque<HistoryEntry>& entries() const { return entries_; }

 private:
  void add(HistoryEntry entry);
  void note_owners();
  void note_owner(const Address& address);

  const Loop& loop_;
  const Vips& vips_;
  Sources sources_;
  Figures before_;
  std::map<Address, std::string> owners_;  // as last noted
  std::deque<Address> shown_;              // and not looked at yet
  InTurns work_;
  std::deque<HistoryEntry> entries_;
};

}  // namespace vipd
