// Runs the few eBPF instructions that the packet fence uses, on a made packet. Ends the process on
// anything that the kernel's verifier would refuse: an unknown instruction, memory outside of the
// shared one and of the stack, a register or a stack slot that nothing was written to.
#pragma once

#include <linux/bpf.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>
#include <vector>

namespace bpf {

inline void require(bool holds, const char* what, size_t at) {
  if (holds) return;
  std::printf("bpf: %s at instruction %zu\n", what, at);
  std::fflush(stdout);
  abort();
}

struct World {
  std::span<uint8_t> memory;
  std::vector<uint8_t> packet;
  uint32_t link_index = 1;
  uint64_t mono = 0;
  uint64_t boot = 0;
  int calls = 0;                  // of helpers
  bool ran_past_the_end = false;  // of the packet: the kernel ends the program with 0
};

// Pointers are numbers far apart.
constexpr uint64_t kContext = 1ULL << 60, kMap = 2ULL << 60, kStack = 3ULL << 60;
constexpr uint64_t kStackSize = 512;

class Machine {
 public:
  Machine(const std::vector<bpf_insn>& code, World& world) : code_(code), world_(world) {
    set(1, kContext);
    set(10, kStack + kStackSize);
  }

  int run() {
    for (size_t steps = 0;; ++steps) {
      require(steps < 10'000 && pc_ < code_.size(), "no end", pc_);
      const bpf_insn& in = code_[pc_++];
      if (in.code == (BPF_JMP | BPF_EXIT)) return static_cast<int>(get(0));
      step(in);
      if (world_.ran_past_the_end) return 0;
    }
  }

 private:
  uint64_t get(unsigned reg) {
    require(known_[reg], "unknown register", pc_ - 1);
    return regs_[reg];
  }
  void set(unsigned reg, uint64_t value) {
    regs_[reg] = value;
    known_[reg] = true;
  }
  void forget_scratch() {
    for (unsigned reg = 0; reg <= 5; ++reg) known_[reg] = false;
  }

  uint64_t operand(const bpf_insn& in) {
    return (in.code & BPF_X) != 0 ? get(in.src_reg) : static_cast<uint64_t>(int64_t{in.imm});
  }

  static size_t bytes(uint8_t code) {
    switch (code & 0x18) {
      case BPF_B:
        return 1;
      case BPF_H:
        return 2;
      case BPF_W:
        return 4;
      default:
        return 8;
    }
  }

  uint8_t* at(uint64_t address, size_t size) {
    if (address >= kStack) {
      require(address - kStack <= kStackSize - size, "outside of the stack", pc_ - 1);
      return stack_ + (address - kStack);
    }
    require(address >= kMap && address - kMap + size <= world_.memory.size(), "outside of the map",
            pc_ - 1);
    return world_.memory.data() + (address - kMap);
  }

  void step(const bpf_insn& in) {
    switch (in.code & 7) {
      case BPF_ALU64:
        return compute(in);
      case BPF_JMP:
        return in.code == (BPF_JMP | BPF_CALL) ? call(in.imm) : jump(in);
      case BPF_LDX:
        return load(in);
      case BPF_STX:
        return store(in, get(in.src_reg));
      case BPF_ST:
        return store(in, static_cast<uint64_t>(int64_t{in.imm}));
      case BPF_LD:
        return (in.code & 0xe0) == BPF_IMM ? load_64(in) : load_packet(in);
      default:
        require(false, "unknown instruction", pc_ - 1);
    }
  }

  void compute(const bpf_insn& in) {
    const uint64_t value = operand(in);
    const uint8_t op = in.code & 0xf0;
    if (op == BPF_MOV) return set(in.dst_reg, value);
    const uint64_t left = get(in.dst_reg);
    switch (op) {
      case BPF_ADD:
        return set(in.dst_reg, left + value);
      case BPF_SUB:
        return set(in.dst_reg, left - value);
      case BPF_MUL:
        return set(in.dst_reg, left * value);
      case BPF_OR:
        return set(in.dst_reg, left | value);
      case BPF_AND:
        return set(in.dst_reg, left & value);
      case BPF_XOR:
        return set(in.dst_reg, left ^ value);
      case BPF_LSH:
        return set(in.dst_reg, left << value);
      case BPF_RSH:
        return set(in.dst_reg, left >> value);
      default:
        require(false, "unknown arithmetic", pc_ - 1);
    }
  }

  bool holds(const bpf_insn& in) {
    const uint8_t test = in.code & 0xf0;
    if (test == BPF_JA) return true;
    const uint64_t left = get(in.dst_reg), right = operand(in);
    switch (test) {
      case BPF_JEQ:
        return left == right;
      case BPF_JNE:
        return left != right;
      case BPF_JLT:
        return left < right;
      case BPF_JLE:
        return left <= right;
      case BPF_JSGE:
        return static_cast<int64_t>(left) >= static_cast<int64_t>(right);
      default:
        require(false, "unknown test", pc_ - 1);
        return false;
    }
  }

  void jump(const bpf_insn& in) {
    if (holds(in)) pc_ = static_cast<size_t>(static_cast<int64_t>(pc_) + in.off);
  }

  void call(int32_t helper) {
    require(helper == BPF_FUNC_ktime_get_ns || helper == BPF_FUNC_ktime_get_boot_ns,
            "unknown helper", pc_ - 1);
    forget_scratch();
    ++world_.calls;
    set(0, helper == BPF_FUNC_ktime_get_ns ? world_.mono : world_.boot);
  }

  void load(const bpf_insn& in) {
    const uint64_t from = get(in.src_reg) + static_cast<uint64_t>(int64_t{in.off});
    if (from >= kContext && from < kMap) return load_context(in);
    if (from >= kStack) {
      at(from, 8);
      require(written_[(from - kStack) / 8], "unwritten stack", pc_ - 1);
    }
    uint64_t value = 0;
    const size_t size = bytes(in.code);
    const uint8_t* const where = at(from, size);
    if (size == 8) {
      std::memcpy(&value, where, 8);
    } else {
      uint32_t word = 0;
      require(size == 4, "size", pc_ - 1);
      std::memcpy(&word, where, 4);
      value = word;
    }
    set(in.dst_reg, value);
  }

  void load_context(const bpf_insn& in) {
    require(bytes(in.code) == 4, "size", pc_ - 1);
    if (in.off == offsetof(__sk_buff, len)) return set(in.dst_reg, world_.packet.size());
    require(in.off == offsetof(__sk_buff, ifindex), "field", pc_ - 1);
    set(in.dst_reg, world_.link_index);
  }

  void store(const bpf_insn& in, uint64_t value) {
    const uint64_t to = get(in.dst_reg) + static_cast<uint64_t>(int64_t{in.off});
    const size_t size = bytes(in.code);
    uint8_t* const where = at(to, size);
    require(size == 1 || size == 8, "size", pc_ - 1);
    if (size == 1) {
      *where = static_cast<uint8_t>(value);
    } else {
      std::memcpy(where, &value, 8);
    }
    if (to >= kStack) written_[(to - kStack) / 8] = true;
  }

  void load_64(const bpf_insn& in) {
    const bpf_insn& second = code_[pc_++];
    if (in.src_reg == BPF_PSEUDO_MAP_VALUE) {
      require(in.imm == 77, "another map", pc_ - 2);
      return set(in.dst_reg, kMap + static_cast<uint32_t>(second.imm));
    }
    set(in.dst_reg, static_cast<uint64_t>(static_cast<uint32_t>(second.imm)) << 32 |
                        static_cast<uint32_t>(in.imm));
  }

  void load_packet(const bpf_insn& in) {
    require((in.code & 0xe0) == BPF_IND && get(6) == kContext, "mode", pc_ - 1);
    const auto from = static_cast<int64_t>(get(in.src_reg)) + in.imm;
    const size_t size = bytes(in.code);
    require(from >= 0, "offset", pc_ - 1);
    forget_scratch();
    if (static_cast<size_t>(from) + size > world_.packet.size()) {
      world_.ran_past_the_end = true;
      return;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < size; ++i) {
      value = value << 8 | world_.packet[static_cast<size_t>(from) + i];
    }
    set(0, value);
  }

  const std::vector<bpf_insn>& code_;
  World& world_;
  size_t pc_ = 0;
  uint64_t regs_[11] = {};
  bool known_[11] = {};
  alignas(8) uint8_t stack_[kStackSize] = {};
  bool written_[kStackSize / 8] = {};
};

}  // namespace bpf
