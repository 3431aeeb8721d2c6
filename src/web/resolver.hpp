// Turns host names into addresses ahead of time: c-ares on the loop. No request ever waits for it:
// it answers at once from what it has resolved so far. It handles names only; addresses are never
// passed to it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "vipd/loop.hpp"
#include "vipd/types.hpp"

namespace vipd::web {

class Resolver {
 public:
  // `whose`: for the log. `changed` is called whenever some name has other addresses than before,
  // also from inside set_names().
  Resolver(std::string whose, Loop& loop, std::function<void()> changed);
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  // The names to keep resolved: at once, then every minute; after a failure in 1, 2, 4, 8, 8... s.
  void set_names(const std::vector<std::string>& names);
  // Whether all addresses of a name have failed: then it may be at others by now. It is looked up
  // at once, though not twice in a second, and as long as this lasts after a quarter of that time,
  // from 1 s to a minute. Harmless for a name that is not among those.
  void set_failing(const std::string& name, bool failing);
  // Empty until the name was resolved for the first time. A later failure leaves the old ones. The
  // order stays as long as the set of addresses does.
  [[nodiscard]] const std::vector<Address>& addresses(const std::string& name) const;
  // Why there are none yet; for people.
  [[nodiscard]] std::string problem(const std::string& name) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vipd::web
