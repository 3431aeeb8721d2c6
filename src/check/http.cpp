// A URL that answers with a status that is good.
#include "web/http.hpp"

#include <algorithm>

#include "check/probe.hpp"
#include "vipd/log.hpp"
#include "web/headers.hpp"
#include "web/tls_files.hpp"

namespace vipd::check {
namespace {

constexpr size_t kAnswerLimit = 64 * 1024;  // more of it is not read, and not needed

class HttpProbe final : public Probe {
 public:
  HttpProbe(const Tools& tools, const CheckConfig& config)
      : tools_(tools), config_(config), place_(place_of(config.target)) {
    if (!config.target.starts_with("https://")) return;
    files_ = std::make_unique<web::TlsFiles>("check " + config.name,
                                             web::TlsSettings{.cacert = config.cacert,
                                                              .cert = config.cert,
                                                              .key = config.key,
                                                              .servername = "",
                                                              .verifies = !config.insecure});
  }
  ~HttpProbe() override {
    tools_.http->cancel(request_);
    tools_.loop.cancel_timer(timer_);
  }

  void look(Duration timeout, DoneHandler done) override {
    std::string fault;
    const std::vector<Address> addresses = addresses_of(tools_, place_, &fault);
    if (addresses.empty() || !look_at_headers(&fault)) {
      timer_ = tools_.loop.add_timer(tools_.loop.now(),
                                     [done = std::move(done), fault] { done(fault); });
      return;
    }
    request_ = tools_.http->request(request(addresses, timeout),
                                    [this, done = std::move(done)](web::HttpAnswer& answer) {
                                      request_ = web::Http::Id::None;
                                      done(fault_of(answer));
                                    });
  }

 private:
  web::HttpRequest request(const std::vector<Address>& addresses, Duration timeout) {
    web::HttpRequest request;
    request.url = config_.target;
    request.headers = {"User-Agent: vipd", "Accept: */*"};
    web::add_headers(headers_, &request.headers);
    request.timeout = timeout;
    request.answer_limit = kAnswerLimit;
    request.once = true;
    request.insecure = config_.insecure;
    if (place_.named) {
      request.resolve = place_.host + ":" + place_.port + ":";
      for (const Address& address : addresses) {
        request.resolve += request.resolve.ends_with(':') ? "" : ",";
        request.resolve += web::bracketed(address.text());
      }
    }
    if (files_ != nullptr) {
      files_->look(tools_.loop.now());
      request.tls = files_->current();
    }
    return request;
  }

  // In each run: a token is replaced while it is in use. False and a fault: it could never be read.
  bool look_at_headers(std::string* fault) {
    if (config_.header_file.empty()) return true;
    std::string reason;
    if (!web::read_headers(config_.header_file, &headers_, &reason) && reason != header_fault_) {
      log::warn("check %s: header_file: %s%s", config_.name.c_str(), reason.c_str(),
                headers_.empty() ? "" : "; what was read before is sent");
    }
    header_fault_ = reason;
    if (headers_.empty()) *fault = "header_file: " + reason;
    return !headers_.empty();
  }

  [[nodiscard]] std::string fault_of(const web::HttpAnswer& answer) const {
    const bool is_good = std::any_of(
        config_.statuses.begin(), config_.statuses.end(), [&](const StatusRange& range) {
          return answer.status >= range.first && answer.status <= range.last;
        });
    if (is_good && (answer.complete || answer.too_large)) return "";
    if (!answer.problem.empty() && !answer.too_large) return answer.problem;
    return "status " + std::to_string(answer.status);
  }

  const Tools& tools_;
  CheckConfig config_;
  web::Authority place_;
  std::unique_ptr<web::TlsFiles> files_;
  std::vector<std::string> headers_;  // of the header file, as they were last read
  std::string header_fault_;          // of the last reading
  web::Http::Id request_ = web::Http::Id::None;
  Loop::Timer timer_ = Loop::Timer::None;
};

}  // namespace

std::unique_ptr<Probe> make_http(const Tools& tools, const CheckConfig& config) {
  return std::make_unique<HttpProbe>(tools, config);
}

}  // namespace vipd::check
