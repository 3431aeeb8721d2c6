// Who has which address, by what the hosts answer. Each host is asked on its own cable, by its own
// MAC address: so also one that the others cannot hear, and one that still lists the address while
// the packet fence drops its packets. What a host sends to itself is out of sight.
//
// Two owners: two hosts answered in the same round, and no more than kRound lies between the first
// question and the later answer. Whoever hands over or takes over needs a commit of etcd between
// the two, which takes longer. So no lawful move is ever counted, and no overlap of two rounds
// passes unseen.
#pragma once

#include <linux/filter.h>

#include <bit>

#include "witness_common.hpp"
#include "witness_question.hpp"

namespace witness {

constexpr int64_t kRound = kMs;
constexpr uint32_t kPatience = 4;  // rounds without an answer: the host has ceased

class Wire {
 public:
  explicit Wire(const Options& options) : options_(options) {
    for (const Ip& ip : options.vips) targets_.emplace_back(ip, options.hosts.size());
    for (const Ip& ip : options.own) targets_.emplace_back(ip, options.hosts.size());
    for (size_t i = 0; i < options.hosts.size(); i++) cables_.push_back(open_cable(i));
  }

  void run() {
    int64_t next = now_ns();
    for (uint32_t turn = 0; !g_quit; turn++) {
      sleep_until(next);
      next = std::max(next + options_.wire, now_ns() + options_.wire / 2);  // others run, too
      for (size_t host = 0; host < cables_.size(); host++) drain(host);
      ask(next_target(turn));
    }
  }

 private:
  struct Round {
    uint32_t number = 0;
    int64_t sent = 0;      // before the first host was asked
    uint32_t in_time = 0;  // who answered within kRound, as bits
  };
  struct Standing {  // of one host
    bool answers = false;
    Round last;  // that it answered
  };
  struct Series {  // of one kind of question
    uint32_t number = 0;
    std::array<Round, kSenders> rounds;
    std::vector<Standing> hosts;
  };
  struct Target {
    Target(const Ip& address, size_t hosts) : ip(address) {
      for (Series& one : series) one.hosts.resize(hosts);
    }
    Series& of(Kind kind) { return series[static_cast<size_t>(kind)]; }
    Ip ip;
    std::array<Series, 2> series;
    Kind next = Kind::Neighbour;
  };

  // Hears all protocols, because such a socket gets its copy before the bridge judges the frame;
  // the filter passes what goes to the MAC address from which the host is asked.
  [[nodiscard]] int open_cable(size_t host) const {
    const int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) die("packet socket");
    const Mac mac = asking_mac(host);
    const uint32_t front = uint32_t{mac[0]} << 24 | mac[1] << 16 | mac[2] << 8 | mac[3];
    const uint32_t back = uint32_t{mac[4]} << 8 | mac[5];
    sock_filter code[] = {
        {BPF_LD | BPF_W | BPF_ABS, 0, 0, 0}, {BPF_JMP | BPF_JEQ | BPF_K, 0, 3, front},
        {BPF_LD | BPF_H | BPF_ABS, 0, 0, 4}, {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, back},
        {BPF_RET | BPF_K, 0, 0, 256},        {BPF_RET | BPF_K, 0, 0, 0}};
    const sock_fprog program{sizeof code / sizeof *code, code};
    setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
    hear(fd, options_.hosts[host].name, ETH_P_ALL);
    return fd;
  }

  // Every fourth question is for a host's own address: who answers it has heard the others, too.
  Target& next_target(uint32_t turn) {
    const size_t vips = options_.vips.size(), own = options_.own.size();
    if (turn % 4 == 3 && own > 0) return targets_[vips + turn / 4 % own];
    return targets_[(turn - turn / 4) % vips];
  }

  void ask(Target& target) {
    const Kind kind = target.next;
    target.next = kind == Kind::Echo ? Kind::Neighbour : Kind::Echo;
    Series& series = target.of(kind);
    for (size_t host = 0; host < cables_.size(); host++) note_silence(target, kind, host);
    const uint32_t number = ++series.number;
    g_rounds++;
    series.rounds[number % kSenders] = {number, now_ns(), 0};
    for (size_t host = 0; host < cables_.size(); host++) {
      const Frame frame = encode({kind, target.ip, number, host}, options_.hosts[host].mac);
      // A cable that is out is a question without an answer, like any other.
      (void)!send(cables_[host], frame.bytes().data(), frame.bytes().size(), 0);
    }
  }

  void drain(size_t host) {
    std::array<uint8_t, 128> frame;
    int64_t at = 0;
    for (ssize_t length; (length = receive(cables_[host], frame, &at)) > 0;) {
      const auto answer = decode({frame.data(), static_cast<size_t>(length)}, host);
      if (!answer) continue;
      for (Target& target : targets_)
        if (target.ip == answer->target) note_answer(target, *answer, host, at);
    }
  }

  void note_answer(Target& target, const Answer& answer, size_t host, int64_t at) {
    Series& series = target.of(answer.kind);
    Round& round = series.rounds[answer.round % kSenders];
    const bool late = answer.kind == Kind::Echo && uint16_t(round.number) != answer.round;
    if (round.number == 0 || late) return;
    Standing& standing = series.hosts[host];
    if (!standing.answers) say(target, answer.kind, host, true, round.sent);
    standing = {true, round};
    if (at - round.sent > kRound) return;
    round.in_time |= 1U << host;
    if (std::popcount(round.in_time) > 1) say_two(target, answer.kind, round);
  }

  void note_silence(Target& target, Kind kind, size_t host) {
    Series& series = target.of(kind);
    Standing& standing = series.hosts[host];
    if (!standing.answers || series.number - standing.last.number < kPatience) return;
    standing.answers = false;
    say(target, kind, host, false, standing.last.sent);
  }

  // Times are those of questions: the first and the last that it answered.
  void say(const Target& target, Kind kind, size_t host, bool answers, int64_t when) const {
    emit(R"({"ev":"wire","t":%.6f,"vip":"%s","host":"%s","kind":"%s","answers":%s})", seconds(when),
         text(target.ip).c_str(), options_.hosts[host].name.c_str(),
         name_of(kind, target.ip.family), answers ? "true" : "false");
  }

  void say_two(const Target& target, Kind kind, const Round& round) const {
    std::string hosts;
    for (size_t i = 0; i < cables_.size(); i++)
      if (round.in_time >> i & 1)
        hosts += (hosts.empty() ? "\"" : ",\"") + options_.hosts[i].name + "\"";
    emit(R"({"ev":"both","t":%.6f,"vip":"%s","hosts":[%s],"kind":"%s"})", seconds(round.sent),
         text(target.ip).c_str(), hosts.c_str(), name_of(kind, target.ip.family));
  }

  const Options& options_;
  std::vector<Target> targets_;
  std::vector<int> cables_;
};

}  // namespace witness
