#include "core/key_rights.hpp"

namespace vipd {

void KeyRights::was_put(Revision revision) {
  assert(revision > changed_);
  changed_ = revision;
  put_ = true;
}

void KeyRights::was_deleted(Revision revision) {
  assert(revision >= changed_);
  changed_ = revision;
  put_ = false;
  retired_ = std::max(retired_, releasing_);
  releasing_ = 0;
  waited_out_ = 0;
}

void KeyRights::installing(Revision created) {
  assert(usable(created));
  waited_out_ = asked_ = created;
}

void KeyRights::forget() {
  changed_ = retired_ = releasing_ = waited_out_ = held_ = 0;
  held_in_ = 0;
  put_ = false;
}

}  // namespace vipd
