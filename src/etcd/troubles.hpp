// What went wrong last, and what has been said of it: a fault that goes on is logged once a minute.
#pragma once

#include <string>
#include <vector>

#include "etcd/client.hpp"

namespace vipd::etcd {

class Troubles {
 public:
  void remember(const Error& error, MonoTime now);
  // Remembers it as well; logs what was not heard within the last minute. Bounded.
  void complain(const Error& error, MonoTime now);

  [[nodiscard]] const Error& last() const { return last_; }  // without a text: there was none
  [[nodiscard]] MonoTime last_at() const { return last_at_; }

 private:
  struct Complaint {
    std::string text;
    MonoTime heard_at;
  };
  std::vector<Complaint> complaints_;
  Error last_;
  MonoTime last_at_ = MonoTime::long_ago();
};

}  // namespace vipd::etcd
