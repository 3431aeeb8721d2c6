// A file that exists: a switch for people and scripts.
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "check/probe.hpp"

namespace vipd::check {
namespace {

class FileProbe final : public Probe {
 public:
  FileProbe(const Tools& tools, const CheckConfig& config)
      : loop_(tools.loop), path_(config.target) {}
  ~FileProbe() override { loop_.cancel_timer(timer_); }

  void look(Duration, DoneHandler done) override {
    const std::string fault =
        access(path_.c_str(), F_OK) == 0 ? "" : path_ + ": " + strerror(errno);
    timer_ = loop_.add_timer(loop_.now(), [done = std::move(done), fault] { done(fault); });
  }

 private:
  Loop& loop_;
  std::string path_;
  Loop::Timer timer_ = Loop::Timer::None;
};

}  // namespace

std::unique_ptr<Probe> make_file(const Tools& tools, const CheckConfig& config) {
  return std::make_unique<FileProbe>(tools, config);
}

}  // namespace vipd::check
