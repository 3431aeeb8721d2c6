// build/vipd-sim: runs simulated clusters from seeds and judges them. A run is a seed.
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <new>
#include <string>
#include <vector>

#include "sim/world.hpp"

#ifndef VIPD_COMMIT
#define VIPD_COMMIT "unknown"
#endif

namespace {

using sim::kS;

struct Seed {
  uint64_t seed = 0;
  double hours = 0;
  bool peers = false;  // with the peer lease
  bool hold = false;   // and holding on without etcd
  bool groups = false;
};

struct Arguments {
  uint64_t runs = 200;
  uint64_t seed = 1;
  double hours = 0.25;
  bool story = false;
  bool go_on = false;
  bool report = true;
  std::string replay;
};

// What outlives a run that stops itself: a page shared with the process that started it.
struct Progress {
  size_t next = 0;
  uint64_t failed = 0;
  bool enough = false;
  sim::Tally sum;
};

uint64_t without = 0;
bool peers = false;
bool hold = false;
bool groups = false;
std::string only;
sim::Broken broken = sim::Broken::Nothing;

// For the handler of a failed assertion.
sim::World* world_now = nullptr;
Seed seed_now;

void print_failure(const Seed& seed, const char* checker, const char* text) {
  const auto number = static_cast<unsigned long long>(seed.seed);
  printf("sim: FAIL %s: %s\n", checker, text);
  printf("sim: seed %llu, commit %s; to see it: %s --seed %llu --hours %g --runs 1 --story%s%s\n",
         number, VIPD_COMMIT, "build/vipd-sim", number, seed.hours,
         seed.hold    ? " --hold"
         : seed.peers ? " --peers"
                      : "",
         seed.groups ? " --groups" : "");
}

// The core asserts. A run that was not told as a story is run again as one, by another process.
void aborted(int) {
  signal(SIGABRT, SIG_DFL);
  if (world_now != nullptr && world_now->story().on()) {
    world_now->story().print_last(stdout);
    print_failure(seed_now, "assert", "the core stopped itself");
    fflush(stdout);
  }
  _exit(1);
}

bool run_one(const Seed& seed, bool print, bool tail, sim::Tally* sum) {
  sim::Options options;
  options.without = without;
  options.peers = seed.peers || seed.hold;
  options.hold = seed.hold;
  options.groups = seed.groups;
  options.only = only;
  options.broken = broken;
  options.seed = seed.seed;
  options.duration = static_cast<int64_t>(seed.hours * 3600) * kS;
  options.story = print || tail;
  options.print = print;
  sim::World world(options);
  world_now = &world;
  seed_now = seed;
  world.run();
  world_now = nullptr;
  sum->add(world.tally());
  if (!world.failure().failed) return true;
  if (!print && !tail) {  // once more, with words
    sim::Tally again;
    return run_one(seed, false, true, &again);
  }
  if (!print) world.story().print_last(stdout);
  print_failure(seed, world.failure().checker.c_str(), world.failure().text.c_str());
  fflush(stdout);  // a later run may stop this process
  return false;
}

int usage() {
  fprintf(stderr,
          "usage: vipd-sim [--runs N] [--seed S] [--hours H] [--story] [--keep-going]\n"
          "                [--replay FILE] [--quick] [--without FAULT]...\n"
          "                [--peers] [--hold] [--groups] [--only CHECKER] [--break CHECKER]\n");
  return 2;
}

// Something is done wrong that the checker of that name must see, and that one judges.
bool break_for(const char* checker) {
  static const char* const kNames[] = {"",      "ownership", "fencing", "liveness", "cache",
                                       "quiet", "livelock",  "chain",   "groups"};
  for (uint8_t i = 1; i < std::size(kNames); i++) {
    if (strcmp(checker, kNames[i]) != 0) continue;
    broken = static_cast<sim::Broken>(i);
    only = checker;
    groups = groups || broken == sim::Broken::Groups;
    return true;
  }
  return false;
}

bool name_fault(const char* name) {
  for (size_t i = 0; i < sim::kFaults; i++) {
    if (strcmp(name, sim::name_of(static_cast<sim::Fault>(i))) != 0) continue;
    without |= uint64_t{1} << i;
    return true;
  }
  return false;
}

bool parse(int count, char** words, Arguments* out) {
  for (int i = 1; i < count; i++) {
    const std::string word = words[i];
    const char* value = i + 1 < count ? words[i + 1] : nullptr;
    if (word == "--peers") {
      peers = true;
    } else if (word == "--hold") {
      hold = true;
    } else if (word == "--groups") {
      groups = true;
    } else if (word == "--story") {
      out->story = true;
    } else if (word == "--keep-going") {
      out->go_on = true;
    } else if (word == "--quick") {
      out->runs = 60;
      out->report = false;
    } else if (value == nullptr) {
      return false;
    } else if (word == "--runs") {
      out->runs = strtoull(value, nullptr, 10), i++;
    } else if (word == "--seed") {
      out->seed = strtoull(value, nullptr, 10), i++;
    } else if (word == "--hours") {
      out->hours = strtod(value, nullptr), i++;
    } else if (word == "--without") {
      if (!name_fault(value)) return false;
      i++;
    } else if (word == "--replay") {
      out->replay = value, i++;
    } else if (word == "--only") {
      only = value, i++;
    } else if (word == "--break") {
      if (!break_for(value)) return false;
      i++;
    } else {
      return false;
    }
  }
  return true;
}

// "SEED HOURS [WORLD] # why" a line; the world is peers, hold or groups, or two as hold+groups.
std::vector<Seed> seeds_of(const Arguments& arguments) {
  std::vector<Seed> seeds;
  if (arguments.replay.empty()) {
    for (uint64_t i = 0; i < arguments.runs; i++) {
      seeds.push_back({arguments.seed + i, arguments.hours, peers, hold, groups});
    }
    return seeds;
  }
  FILE* file = fopen(arguments.replay.c_str(), "r");
  if (file == nullptr) {
    fprintf(stderr, "vipd-sim: %s: %s\n", arguments.replay.c_str(), strerror(errno));
    exit(2);
  }
  char line[256];
  while (fgets(line, sizeof line, file) != nullptr) {
    unsigned long long seed = 0;
    double hours = 0;
    char word[16] = "";
    if (line[0] != '#' && sscanf(line, "%llu %lf %15s", &seed, &hours, word) >= 2) {
      const auto is = [&word](const char* what) { return strstr(word, what) != nullptr; };
      seeds.push_back({seed, hours, is("peers"), is("hold"), is("groups")});
    }
  }
  fclose(file);
  return seeds;
}

void work(const Arguments& arguments, const std::vector<Seed>& seeds, Progress* progress) {
  for (; progress->next < seeds.size() && !progress->enough; progress->next++) {
    if (run_one(seeds[progress->next], arguments.story, false, &progress->sum)) continue;
    progress->failed++;
    progress->enough = !arguments.go_on;
  }
}

// The core asserts, and a failed assertion ends the process: so a child runs the seeds, and one
// that does not come back is run once more, with words.
void run_all(const Arguments& arguments, const std::vector<Seed>& seeds, Progress* progress) {
  while (progress->next < seeds.size() && !progress->enough) {
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
      work(arguments, seeds, progress);
      fflush(stdout);
      _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    if (status == 0) return;
    progress->failed++;
    progress->enough = !arguments.go_on;
    child = fork();
    if (child == 0) {
      sim::Tally again;
      (void)run_one(seeds[progress->next], false, true, &again);
      _exit(0);
    }
    waitpid(child, nullptr, 0);
    progress->next++;
  }
}

double seconds_used() {
  rusage used{};
  getrusage(RUSAGE_CHILDREN, &used);
  return static_cast<double>(used.ru_utime.tv_sec) +
         static_cast<double>(used.ru_utime.tv_usec) / 1e6;
}

}  // namespace

int main(int count, char** words) {
  Arguments arguments;
  if (!parse(count, words, &arguments)) return usage();
  signal(SIGABRT, aborted);
  void* page =
      mmap(nullptr, sizeof(Progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return 2;
  auto* progress = new (page) Progress();
  const std::vector<Seed> seeds = seeds_of(arguments);
  run_all(arguments, seeds, progress);

  if (arguments.report && !arguments.story) progress->sum.print(stdout);
  const double hours = static_cast<double>(progress->sum.simulated) / 1e9 / 3600;
  const double used = seconds_used();
  printf("sim: %s: %zu runs, %llu failed, %.1f simulated hours, %.1f hours per second, commit %s\n",
         progress->failed == 0 ? "PASS" : "FAIL", progress->next,
         static_cast<unsigned long long>(progress->failed), hours, used > 0 ? hours / used : 0,
         VIPD_COMMIT);
  return progress->failed == 0 ? 0 : 1;
}
