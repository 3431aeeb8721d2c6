#include "net/fence.hpp"

#include <sys/epoll.h>

#include <cerrno>
#include <set>

#include "net/messages.hpp"
#include "sys/errno_text.hpp"
#include "sys/sandbox.hpp"

namespace vipd::net {
namespace {

constexpr int kNoticesPerTurn = 256;

}  // namespace

Fence::Fence(Loop& loop, FenceHooks& hooks, Changed changed)
    : loop_(loop), hooks_(hooks), changed_(std::move(changed)) {}

Fence::~Fence() {
  if (watch_ != Loop::FdWatch::None) loop_.remove_fd(watch_);
}

std::unique_ptr<Fence> Fence::open(Loop& loop, FenceHooks& hooks, size_t room, Changed changed,
                                   std::string* reason) {
  if (sys::sandbox_version() != 0) {
    *reason = "not before a restart: the version that was replaced had none";
    return nullptr;
  }
  auto fence = std::unique_ptr<Fence>(new Fence(loop, hooks, std::move(changed)));
  const bool good = fence->load(room, reason) && hooks.remember(fence->programs(), reason) &&
                    fence->listen(reason);
  return good ? std::move(fence) : nullptr;
}

std::unique_ptr<Fence> Fence::adopt(Loop& loop, FenceHooks& hooks, Descriptors descriptors,
                                    Changed changed, std::string* reason) {
  auto fence = std::unique_ptr<Fence>(new Fence(loop, hooks, std::move(changed)));
  const bool good = fence->take(descriptors, reason) && hooks.remember(fence->programs(), reason) &&
                    fence->listen(reason);
  return good ? std::move(fence) : nullptr;
}

bool Fence::load(size_t room, std::string* reason) {
  const uint32_t slots = FenceMemory::slots_for(room);
  const size_t size = FenceMemory::size_for(slots);
  map_ = bpf_create_map(size, reason);
  if (!map_.is_open()) return false;
  shared_ = SharedMemory::of_map(map_.get(), size, reason);
  if (shared_.get() == nullptr) return false;
  ingress_ = bpf_load(fence_program(FenceHook::Ingress, map_.get(), slots), "vipd_in", reason);
  if (!ingress_.is_open()) return false;
  egress_ = bpf_load(fence_program(FenceHook::Egress, map_.get(), slots), "vipd_out", reason);
  if (!egress_.is_open()) return false;
  const uint32_t ids[] = {bpf_program_id(ingress_.get()), bpf_program_id(egress_.get())};
  if (ids[0] == 0 || ids[1] == 0) return *reason = sys::errno_text("bpf program"), false;
  memory_ = FenceMemory::made(shared_.get(), slots, ids[0], ids[1]);
  return true;
}

bool Fence::take(Descriptors descriptors, std::string* reason) {
  map_.reset(descriptors.map);
  ingress_.reset(descriptors.ingress);
  egress_.reset(descriptors.egress);
  shared_ = SharedMemory::of_map(map_.get(), sizeof(FenceHead), reason);
  if (shared_.get() == nullptr) return false;
  const auto* const head = static_cast<const FenceHead*>(shared_.get());
  if (head->version != kFenceVersion) {
    *reason = "not before a restart: that of the version before is another one";
    return false;
  }
  shared_ = SharedMemory::of_map(map_.get(), FenceMemory::size_for(head->slots), reason);
  if (shared_.get() == nullptr) return false;
  memory_ = FenceMemory::taken_over(shared_.get());
  return true;
}

bool Fence::listen(std::string* reason) {
  notices_ = NetlinkSocket::open_for_notices(RTMGRP_TC, reason);
  if (!notices_.is_open()) return false;
  watch_ = loop_.add_fd(notices_.fd(), EPOLLIN, [this](uint32_t) { on_notices(); });
  return true;
}

// A look lists all filters of a link, so many notices of one are one.
void Fence::on_notices() {
  NetlinkBuffer buffer;
  std::set<int> changed;
  for (int i = 0; i < kNoticesPerTurn; ++i) {
    const ssize_t size = notices_.receive(&buffer);
    if (size < 0 && errno == ENOBUFS) changed.insert(0);
    if (size < 0) break;
    for_each_header(buffer.bytes, static_cast<size_t>(size), [&](const nlmsghdr& header) {
      if (const int link = clsact_notice(header); link >= 0) changed.insert(link);
    });
  }
  for (const int link : changed) changed_(link);
}

Fence::Descriptors Fence::descriptors() const {
  return {map_.get(), ingress_.get(), egress_.get()};
}

FencePrograms Fence::programs() const {
  const FenceHead& head = memory_.head();
  return {{ingress_.get(), egress_.get()}, {head.programs[0], head.programs[1]}};
}

bool Fence::attach(int link_index, bool is_fleeting, std::string* reason) {
  return hooks_.attach(link_index, is_fleeting, programs(), reason);
}

bool Fence::is_first(int link_index, std::string* reason) {
  return hooks_.is_first(link_index, programs(), reason);
}

bool Fence::detach(int link_index) {
  return hooks_.detach(link_index, programs());
}

}  // namespace vipd::net
