// A program that ends with status 0, run by the helper.
#include <algorithm>
#include <cassert>

#include "check/probe.hpp"
#include "run/runner.hpp"

namespace vipd::check {
namespace {

std::vector<std::string> words_of(const std::string& text) {
  std::vector<std::string> words;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find(' ', begin), text.size());
    words.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return words;
}

class ExecProbe final : public Probe {
 public:
  ExecProbe(const Tools& tools, const CheckConfig& config)
      : tools_(tools), words_(words_of(config.target)), environment_(tools.environment) {
    environment_.push_back("VIPD_CHECK=" + config.name);
  }
  ~ExecProbe() override { tools_.runner->cancel(run_); }

  void look(Duration timeout, DoneHandler done) override {
    assert(tools_.runner != nullptr);
    run_ = tools_.runner->run({words_, environment_, timeout},
                              [this, done = std::move(done)](const run::Ended& ended) {
                                run_ = run::Runner::Id::None;
                                done(ended.fault());
                              });
  }

 private:
  const Tools& tools_;
  std::vector<std::string> words_;
  std::vector<std::string> environment_;
  run::Runner::Id run_ = run::Runner::Id::None;
};

}  // namespace

std::unique_ptr<Probe> make_exec(const Tools& tools, const CheckConfig& config) {
  return std::make_unique<ExecProbe>(tools, config);
}

}  // namespace vipd::check
