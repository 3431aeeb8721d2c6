// The metrics of vipd(8), in the text format of Prometheus. Made bit by bit, since thousands of
// VIPs have many samples; whatever is changed meanwhile, it shows the figures that it was given.
// Pure.
#pragma once

#include <cstddef>
#include <string>
#include <utility>

#include "vipd/metrics.hpp"

namespace vipd::ctl {

class MetricsText {
 public:
  explicit MetricsText(Metrics metrics) : metrics_(std::move(metrics)) {}

  // Adds a family, or some of its VIPs. False: the text is whole.
  [[nodiscard]] bool add_some();
  // REQUIRES: it is whole.
  [[nodiscard]] std::string text() && { return std::move(text_); }

 private:
  Metrics metrics_;
  std::string text_;
  size_t family_ = 0;  // the next one
  size_t vip_ = 0;     // of that
};

}  // namespace vipd::ctl
