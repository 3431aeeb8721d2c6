// A URL that answers 2xx.
#include "web/http.hpp"
#include "check/probe.hpp"
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
    if (addresses.empty()) {
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

  static std::string fault_of(const web::HttpAnswer& answer) {
    if (answer.status >= 200 && answer.status <= 299 && (answer.complete || answer.too_large)) {
      return "";
    }
    if (!answer.problem.empty() && !answer.too_large) return answer.problem;
    return "status " + std::to_string(answer.status);
  }

  const Tools& tools_;
  CheckConfig config_;
  web::Authority place_;
  std::unique_ptr<web::TlsFiles> files_;
  web::Http::Id request_ = web::Http::Id::None;
  Loop::Timer timer_ = Loop::Timer::None;
};

}  // namespace

std::unique_ptr<Probe> make_http(const Tools& tools, const CheckConfig& config) {
  return std::make_unique<HttpProbe>(tools, config);
}

}  // namespace vipd::check
