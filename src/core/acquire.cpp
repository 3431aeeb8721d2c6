// Programs that must succeed before an address is set: where a cloud sends its packets, say. What
// one of them does may be seen by everybody, so it runs under the same authority as the address.
#include <algorithm>

#include "core/core_impl.hpp"
#include "core/timing.hpp"

namespace vipd {

namespace {

// Each grant moves the end of a program. The helper is told when it moves by this much.
constexpr Duration kWorthAWord = Duration::milliseconds(100);

}  // namespace

// Nothing is taken while etcd is away: what grants alone give does not count.
MonoTime Core::Impl::acquiring_until() const {
  return std::min(deadline(), chain_.deadline()) - timing::kTakeDownMargin;
}

// Only under the very key that is the head: with another one somebody else may have owned it since.
bool Core::Impl::is_acquired(const Vip& vip) const {
  return !vip.settings.acquires ||
         (vip.acquiring.succeeded && vip.acquiring.under == headed_since(vip));
}

void Core::Impl::begin_acquiring(Vip* vip) {
  Acquiring& acquiring = vip->acquiring;
  if (acquiring.runs) return;  // an earlier one has not ended yet
  const MonoTime until = acquiring_until();
  if (until <= now_) return;  // another grant first
  // [safety] Its end is that of our authority.
  acquiring = {
      .run = fresh_nonce(), .runs = true, .until = until, .under = headed_since(*vip), .fault = ""};
  emit(action::Acquire{
      .address = vip->settings.address, .run = acquiring.run, .until = acquiring.until});
}

// As long as the address might be set; and no longer.
void Core::Impl::drive_acquiring() {
  for (Vip& vip : vips_) {
    Acquiring& acquiring = vip.acquiring;
    if (!acquiring.runs || acquiring.is_ending) continue;
    const MonoTime until = acquiring_until();
    if (!may_keep(vip) || headed_since(vip) != acquiring.under || now_ >= until) {
      acquiring.is_ending = true;
      emit(action::EndAcquire{.address = vip.settings.address, .run = acquiring.run});
      continue;
    }
    due(until);
    if (until >= acquiring.until && until - acquiring.until < kWorthAWord) continue;
    acquiring.until = until;
    emit(action::Acquire{
        .address = vip.settings.address, .run = acquiring.run, .until = until, .goes_on = true});
  }
}

void Core::Impl::on(const event::AcquireEnded& e) {
  Vip* vip = find(e.address);
  if (vip == nullptr || !vip->acquiring.runs || vip->acquiring.run != e.run) return;
  Acquiring& acquiring = vip->acquiring;
  acquiring.runs = false;
  acquiring.succeeded = e.fault.empty();
  // What ended with our authority is tried again when there is some.
  const bool was_ended =
      acquiring.is_ending || !may_keep(*vip) || headed_since(*vip) != acquiring.under;
  if (acquiring.succeeded || was_ended) return;
  acquiring.fault = e.fault;
  report(ReportKind::AddressFailed, "acquire failed: " + acquiring.fault, e.address);
  refuse(vip);
}

}  // namespace vipd
