// What our candidate key of one VIP is good for: under which create revision of it the VIP may be
// installed, and what a release of it may say (ARCHITECTURE.md, "Taking a VIP"). Judges, never
// sends. Every `created` is a create revision of the key, above 0 while there is one.
#pragma once

#include <algorithm>
#include <cassert>

#include "vipd/store.hpp"

namespace vipd {

class KeyRights {
 public:
  // --- what the chain did to the key, before our watch shows it
  // A link that put it, or deleted it, is committed at that revision.
  void was_put(Revision revision);
  void was_deleted(Revision revision);
  // What was committed last is newer than a view up to `applied`: until it is shown, is_put() and
  // changed() hold, whatever the view says.
  [[nodiscard]] bool is_ahead_of(Revision applied) const { return changed_ > applied; }
  [[nodiscard]] bool is_put() const { return put_; }
  [[nodiscard]] Revision changed() const { return changed_; }

  // --- what was released
  // [safety] Before a release of it is sent: never installed under it again, unless the chain says
  // that nothing came of the release.
  void releasing(Revision created) { releasing_ = std::max(releasing_, created); }
  void release_refused() { releasing_ = 0; }
  [[nodiscard]] bool is_releasing() const { return releasing_ != 0; }
  // [safety] ... never, where nothing tells what comes of it.
  void retire(Revision created) { retired_ = std::max(retired_, created); }
  [[nodiscard]] bool is_retired(Revision created) const { return created <= retired_; }
  // [safety] Nothing that would release it has been sent. False for 0.
  [[nodiscard]] bool usable(Revision created) const {
    return created > std::max(retired_, releasing_);
  }

  // --- who was waited for
  // Every former owner was waited out under it: as long as the key has it, nobody can have come
  // between. 0: nobody was.
  void waited_out(Revision created) { waited_out_ = created; }
  [[nodiscard]] Revision waited_out() const { return waited_out_; }
  // The VIP was asked for under it, with everybody before waited out; then it was there.
  void installing(Revision created);
  // `term`: of the peer lease, in force then; 0: none was.
  void installed(uint64_t term) {
    held_ = waited_out_;
    held_in_ = term;
  }
  [[nodiscard]] uint64_t held_in() const { return held_in_; }
  // Whoever lets go may be followed by somebody, whatever becomes of etcd.
  void let_go() { waited_out_ = 0; }
  // [safety] It was installed under the very key that it has: every former owner was waited out.
  [[nodiscard]] bool was_held(Revision created) const { return held_ != 0 && held_ == created; }
  // It was asked for under that key last, whether it came or not. False for 0.
  [[nodiscard]] bool is_of(Revision created) const { return asked_ != 0 && asked_ == created; }

  // As the latest heartbeat that was a read showed it; 0: it did not.
  void read(Revision created) { read_ = created; }
  [[nodiscard]] Revision read() const { return read_; }

  // The session is over, or the cluster another one. What may still be on a link stays known.
  void forget();

 private:
  Revision changed_ = 0;
  bool put_ = false;
  Revision retired_ = 0;
  Revision releasing_ = 0;  // as `retired_`, as long as the attempt may still be refused
  Revision waited_out_ = 0;
  Revision held_ = 0;
  uint64_t held_in_ = 0;
  Revision asked_ = 0;
  Revision read_ = 0;
};

}  // namespace vipd
