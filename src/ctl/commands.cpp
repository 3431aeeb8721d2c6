#include "ctl/commands.hpp"

#include <poll.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <optional>
#include <utility>

#include "ctl/history.hpp"
#include "ctl/http_client.hpp"
#include "ctl/json_text.hpp"
#include "ctl/status_read.hpp"
#include "ctl/table.hpp"
#include "vipd/types.hpp"

namespace vipd::ctl {
namespace {

constexpr int kRefreshMs = 1000;
constexpr int kPollMs = 50;
constexpr int64_t kPatienceMs = 5000;
constexpr int kLastGoodStatus = 299;

int complain(int status, const std::string& words) {
  size_t begin = 0;
  while (begin <= words.size()) {
    const size_t end = std::min(words.find('\n', begin), words.size());
    fprintf(stderr, "vipctl: %s\n", harmless(words.substr(begin, end - begin)).c_str());
    begin = end + 1;
  }
  return status;
}

int say(const std::string& text) {
  const bool is_written = fputs(text.c_str(), stdout) >= 0 && fflush(stdout) == 0;
  return is_written ? kDone : complain(kRefused, "cannot write to the standard output");
}

int judge(const Answer& answer) {
  if (answer.status == 0) return complain(kNoDaemon, answer.reason);
  if (answer.status <= kLastGoodStatus) return kDone;
  const std::string error = read_error(answer.body);
  if (!error.empty()) return complain(kRefused, error);
  return complain(kRefused, "the daemon answered with status " + std::to_string(answer.status));
}

int fetch(HttpClient& client, std::string* body, Status* status) {
  Answer answer = client.get("/v1/status");
  const int verdict = judge(answer);
  if (verdict != kDone) return verdict;
  std::optional<Status> parsed = read_status(answer.body);
  if (!parsed) return complain(kRefused, "the daemon's status cannot be read");
  *status = std::move(*parsed);
  if (!answer.body.ends_with('\n')) answer.body += '\n';
  *body = std::move(answer.body);
  return kDone;
}

bool is_colourful() {
  const char* const no_color = getenv("NO_COLOR");  // no-color.org: set and not empty
  return isatty(STDOUT_FILENO) == 1 && (no_color == nullptr || *no_color == '\0');
}

bool names(const std::vector<std::string>& wanted, const VipStatus& vip) {
  if (wanted.empty()) return true;
  return std::any_of(wanted.begin(), wanted.end(), [&vip](const std::string& text) {
    const std::optional<Address> address = Address::parse(text);
    return text == vip.name || (address && address->text() == vip.address);
  });
}

const VipStatus* find(const Status& status, const std::string& name) {
  const auto found = std::find_if(status.vips.begin(), status.vips.end(),
                                  [&name](const VipStatus& vip) { return vip.name == name; });
  return found == status.vips.end() ? nullptr : &*found;
}

// The first VIP that has been owner all the time since `before`; a node that is alone in the queue
// may own again at once, and its count of transitions shows that it had let go.
std::string still_owned(const Status& before, const Status& now,
                        const std::vector<std::string>& wanted) {
  for (const VipStatus& vip : now.vips) {
    const VipStatus* const old = find(before, vip.name);
    if (old == nullptr || !names(wanted, vip) || vip.state != "owner") continue;
    if (old->state == "owner" && old->transitions == vip.transitions) return vip.name;
  }
  return "";
}

// Scripts may rely on what a command says: it ends when what was asked for has happened.
struct Progress {
  std::string missing;   // in words; empty: all done
  std::string failed{};  // it will never be done
};
using Look = std::function<Progress(const Status& now)>;

int wait_until_done(HttpClient& client, const Look& look, int64_t patience_ms = kPatienceMs) {
  Progress progress;
  for (int64_t ms = 0; ms < patience_ms; ms += kPollMs) {
    std::string body;
    Status now;
    const int verdict = fetch(client, &body, &now);
    if (verdict != kDone) return verdict;
    progress = look(now);
    if (!progress.failed.empty()) return complain(kRefused, progress.failed);
    if (progress.missing.empty()) return kDone;
    poll(nullptr, 0, kPollMs);
  }
  return complain(kRefused, "accepted, but after " + std::to_string(patience_ms / 1000) + " s " +
                                progress.missing);
}

class Screen {
 public:
  explicit Screen(const CommandLine& line)
      : is_json_(line.is_json), is_terminal_(isatty(STDOUT_FILENO) == 1) {}

  // A terminal is drawn anew each time; what is read by programs gets one piece for each change.
  int show(const std::string& body, const Status& status, bool has_changed) {
    const bool redraws = is_terminal_ && !is_json_;
    if (!has_changed && !redraws) return kDone;
    if (is_json_) return say(body);
    const std::string table = status_table(status, is_colourful());
    return say(redraws ? "\033[H\033[J" + table : table + "\n");
  }

 private:
  bool is_json_;
  bool is_terminal_;
};

int show_status(const CommandLine& line) {
  HttpClient client(line.socket);
  std::string body;
  Status status;
  const int verdict = fetch(client, &body, &status);
  if (verdict != kDone) return verdict;
  return say(line.is_json ? body : status_table(status, is_colourful()));
}

int watch_status(const CommandLine& line) {
  HttpClient client(line.socket);
  EventStream stream(line.socket);
  Screen screen(line);
  while (true) {
    const EventStream::News news = stream.wait(kRefreshMs);
    if (stream.status() > kLastGoodStatus) return judge(Answer{stream.status(), "", ""});
    if (news == EventStream::News::Ended) {
      // Whether nobody is there or somebody went away: the next request says it in its own words.
      if (stream.status() == 0) return show_status(line) == kNoDaemon ? kNoDaemon : kRefused;
      return complain(kNoDaemon, "the daemon at " + line.socket + " went away");
    }
    if (stream.status() == 0) continue;
    std::string body;
    Status status;
    int verdict = fetch(client, &body, &status);
    if (verdict == kDone) {
      verdict = screen.show(body, status, news == EventStream::News::Changed);
    }
    if (verdict != kDone) return verdict;
  }
}

int resign(const CommandLine& line) {
  HttpClient client(line.socket);
  std::string body;
  Status before;
  int verdict = fetch(client, &body, &before);
  if (verdict == kDone) verdict = judge(client.post("/v1/resign", list_json("vips", line.words)));
  if (verdict != kDone) return verdict;
  return wait_until_done(client, [&](const Status& now) {
    const std::string name = still_owned(before, now, line.words);
    return Progress{name.empty() ? "" : "this node still owns VIP '" + name + "'"};
  });
}

// It has happened once that node is the first in the queue, which is when it may take the address.
Progress transfer_progress(const VipStatus& vip, const Status& now, const std::string& node) {
  if (!vip.queue.empty() && (vip.queue[0].node == node || vip.queue[0].session == node)) return {};
  if (!vip.transfer_failed.empty()) return {"", vip.transfer_failed};
  const bool elsewhere = vip.state != "owner" && !vip.owner.empty() && vip.owner != now.node;
  if (elsewhere) return {"", vip.owner + " has VIP '" + vip.name + "' now"};
  return {"VIP '" + vip.name + "' has not been handed over"};
}

int transfer(const CommandLine& line) {
  if (line.words.size() != 2) return complain(kUsage, "transfer needs a VIP and a node");
  HttpClient client(line.socket);
  std::string body;
  Status before;
  int verdict = fetch(client, &body, &before);
  if (verdict == kDone) {
    const std::string request = object_json({{"vip", line.words[0]}, {"node", line.words[1]}});
    verdict = judge(client.post("/v1/transfer", request));
  }
  if (verdict != kDone) return verdict;
  const auto look = [&](const Status& now) {
    for (const VipStatus& vip : now.vips) {
      if (names({line.words[0]}, vip)) return transfer_progress(vip, now, line.words[1]);
    }
    return Progress{"", "the VIP is no longer configured"};
  };
  // The daemon itself gives up after a session timeout.
  return wait_until_done(client, look, kPatienceMs + before.timeout_ms);
}

// Free of former owners; who takes it then is another matter.
int take(const CommandLine& line) {
  if (line.words.size() != 1) return complain(kUsage, "take needs a VIP");
  return judge(HttpClient(line.socket).post("/v1/take", object_json({{"vip", line.words[0]}})));
}

int set_log_level(const CommandLine& line) {
  if (line.words.size() != 1) return complain(kUsage, "log-level needs error, warn, info or debug");
  return judge(
      HttpClient(line.socket).post("/v1/log-level", object_json({{"level", line.words[0]}})));
}

int pause_node(const CommandLine& line) {
  HttpClient client(line.socket);
  const int verdict =
      judge(client.post("/v1/pause", line.is_persistent ? R"({"persist":true})" : "{}"));
  if (verdict != kDone) return verdict;
  return wait_until_done(client, [](const Status& now) {
    if (now.state != "paused") return Progress{"this node is still " + now.state};
    for (const VipStatus& vip : now.vips) {
      if (vip.state == "owner") return Progress{"this node still owns VIP '" + vip.name + "'"};
    }
    return Progress{};
  });
}

int override_check(const CommandLine& line) {
  const bool is_known =
      line.words.size() == 2 &&
      (line.words[1] == "up" || line.words[1] == "down" || line.words[1] == "auto");
  if (!is_known) return complain(kUsage, "write: vipctl check NAME up|down|auto");
  const std::string request = object_json({{"name", line.words[0]}, {"state", line.words[1]}});
  return judge(HttpClient(line.socket).post("/v1/check", request));
}

int resume_node(const CommandLine& line) {
  return judge(HttpClient(line.socket).post("/v1/resume", "{}"));
}

// What a configuration warns of does not make it a bad one: it is in force.
int reload(const CommandLine& line) {
  const Answer answer = HttpClient(line.socket).post("/v1/reload", "{}");
  const int verdict = judge(answer);
  if (verdict != kDone) return verdict;
  for (const std::string& warning : read_warnings(answer.body)) {
    fprintf(stderr, "warning: %s\n", harmless(warning).c_str());
  }
  return kDone;
}

int show_history(const CommandLine& line) {
  const Answer answer = HttpClient(line.socket).get("/v1/history");
  const int verdict = judge(answer);
  if (verdict != kDone) return verdict;
  if (line.is_json) return say(answer.body + "\n");
  const auto history = read_history(answer.body);
  if (!history) return complain(kRefused, "the daemon's history cannot be read");
  std::string text;
  for (const HistoryEntry& entry : *history) text += history_line(entry) + "\n";
  return say(text);
}

int show_metrics(const CommandLine& line) {
  const Answer answer = HttpClient(line.socket).get("/metrics");
  const int verdict = judge(answer);
  return verdict == kDone ? say(answer.body) : verdict;
}

int show_version(const CommandLine& line) {
  int verdict = say("vipctl " VIPD_VERSION "\n");
  HttpClient client(line.socket);
  std::string body;
  Status status;
  if (verdict == kDone) verdict = fetch(client, &body, &status);
  return verdict == kDone ? say("vipd " + harmless(status.version) + "\n") : verdict;
}

int status(const CommandLine& line) {
  return line.is_watch ? watch_status(line) : show_status(line);
}

// What else a new one needs: ARCHITECTURE.md, "Where to add what".
constexpr Command kCommands[] = {
    {"status", "[--json] [--watch]", "what this node knows", status},
    {"resign", "[VIP...]", "release VIPs (all of them) to the next in the queue", resign},
    {"transfer", "VIP NODE", "hand a VIP over to that node", transfer},
    {"take", "VIP", "say that whoever may still have it is off", take},
    {"pause", "[--persist]", "release all VIPs and stay out of every election", pause_node},
    {"resume", "", "take part again", resume_node},
    {"check", "NAME up|down|auto", "override a health check, or let it judge again",
     override_check},
    {"reload", "", "read the configuration again", reload},
    {"log-level", "LEVEL", "error, warn, info or debug, until it is changed again", set_log_level},
    {"history", "[--json]", "what changed last, and why", show_history},
    {"metrics", "", "what the daemon counts, as Prometheus reads it", show_metrics},
    {"version", "", "the versions of vipctl and of the daemon", show_version},
};

}  // namespace

std::span<const Command> commands() {
  return kCommands;
}

}  // namespace vipd::ctl
