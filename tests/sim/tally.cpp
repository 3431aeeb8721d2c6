#include "sim/tally.hpp"

#include <algorithm>
#include <cinttypes>

namespace sim {

namespace {

template <typename Array, typename Name>
void print_counts(FILE* out, const char* title, const Array& counts, Name name) {
  fprintf(out, "%s\n", title);
  for (size_t i = 0; i < counts.size(); i++) {
    fprintf(out, "  %-24s %12" PRIu64 "%s", name(i), counts[i], i % 3 == 2 ? "\n" : "");
  }
  if (counts.size() % 3 != 0) fprintf(out, "\n");
}

// A kind that no run exercised is a finding; a short batch says nothing of that.
constexpr int64_t kEnough = 100 * 3600 * INT64_C(1'000'000'000);

template <typename Array, typename Name>
void print_never(FILE* out, const char* title, const Array& counts, Name name) {
  for (size_t i = 0; i < counts.size(); i++) {
    if (counts[i] == 0) fprintf(out, "NEVER: %s %s\n", title, name(i));
  }
}

template <typename Array>
void add_up(Array* sum, const Array& other) {
  for (size_t i = 0; i < sum->size(); i++) (*sum)[i] += other[i];
}

}  // namespace

#define SIM_NAME(name) #name,
const char* name_of(Fault fault) {
  static const char* const kNames[] = {SIM_FAULTS(SIM_NAME)};
  return kNames[static_cast<size_t>(fault)];
}

const char* name_of(Rule rule) {
  static const char* const kNames[] = {SIM_RULES(SIM_NAME)};
  return kNames[static_cast<size_t>(rule)];
}

const char* name_of(vipd::ReportKind kind) {
  static const char* const kNames[] = {VIPD_REPORTS(SIM_NAME)};
  return kNames[static_cast<size_t>(kind)];
}
#undef SIM_NAME

const char* words_of(Excuse excuse) {
  static const char* const kWords[] = {"nothing",
                                       "a machine that was paused with its clocks",
                                       "a machine that was suspended",
                                       "a call that was held up",
                                       "a copy of a machine or of its state",
                                       "a copy of a machine whose heartbeats were reads",
                                       "somebody who removed the packet fence",
                                       "a copy of a machine whose grants may count",
                                       "an election by another cluster"};
  return kWords[static_cast<size_t>(excuse)];
}

void Tally::add(const Tally& other) {
  add_up(&faults, other.faults);
  add_up(&rules, other.rules);
  add_up(&reports, other.reports);
  for (size_t i = 0; i < kStates; i++) add_up(&transitions[i], other.transitions[i]);
  steps += other.steps;
  rounds += other.rounds;
  simulated += other.simulated;
  for (size_t i = 0; i < kExcuses; i++) {
    worst_overlap[i] = std::max(worst_overlap[i], other.worst_overlap[i]);
  }
  worst_liveness = std::max(worst_liveness, other.worst_liveness);
}

void Tally::print(FILE* out) const {
  const auto fault = [](size_t i) { return name_of(static_cast<Fault>(i)); };
  const auto rule = [](size_t i) { return name_of(static_cast<Rule>(i)); };
  const auto report = [](size_t i) { return name_of(static_cast<vipd::ReportKind>(i)); };
  print_counts(out, "faults", faults, fault);
  print_counts(out, "rules", rules, rule);
  print_counts(out, "reports", reports, report);
  fprintf(out, "transitions\n");
  for (size_t from = 0; from < kStates; from++) {
    for (size_t to = 0; to < kStates; to++) {
      if (from == to) continue;
      fprintf(out, "  %7s -> %-7s %10" PRIu64, vipd::name_of(vipd::VipState(from)).data(),
              vipd::name_of(vipd::VipState(to)).data(), transitions[from][to]);
    }
    fprintf(out, "\n");
  }
  fprintf(out, "longest wait for an owner after the last fault %.1f s\n",
          static_cast<double>(worst_liveness) / 1e9);
  for (size_t i = 1; i < kExcuses; i++) {
    fprintf(out, "longest overlap excused by %s %.3f s\n", words_of(static_cast<Excuse>(i)),
            static_cast<double>(worst_overlap[i]) / 1e9);
  }
  if (simulated < kEnough) return;
  print_never(out, "fault", faults, fault);
  print_never(out, "rule", rules, rule);
  print_never(out, "report", reports, report);
}

}  // namespace sim
