#include "etcd/failure.hpp"

namespace vipd::etcd {

bool blames_member(int code) {
  switch (code) {
    case Error::kTransport:
    case Error::kBadAnswer:
    case 1:   // Cancelled
    case 2:   // Unknown: raft's own errors
    case 4:   // DeadlineExceeded
    case 12:  // Unimplemented
    case 13:  // Internal
    case 14:  // Unavailable: no leader, timed out, stopping
    case 15:  // DataLoss
      return true;
    default:
      return false;
  }
}

Error transport_error(const HttpAnswer& answer) {
  return {answer.too_large ? Error::kBadAnswer : Error::kTransport, answer.problem, ""};
}

void complete_text(Error& error, const HttpAnswer& answer, const std::string& endpoint) {
  error.endpoint = endpoint;
  if (error.code != Error::kBadAnswer || !answer.complete || answer.status == 200) return;
  error.text = "HTTP " + std::to_string(answer.status) + ", " + error.text;
}

}  // namespace vipd::etcd
