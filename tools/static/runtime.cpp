// What libstdc++ does where a program cannot go on, for a program without exceptions: it ends. So
// neither the unwinder, nor the demangler, nor a heap for exceptions is linked. Only in the static
// build. An abort is safe: the kernel takes the addresses down when their lifetimes end.
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <ext/atomicity.h>
#include <memory>
#include <new>

#define VIPD_GIVES_UP(NAME, ...)        \
  [[noreturn]] void NAME(__VA_ARGS__) { \
    give_up(#NAME);                     \
  }

namespace {

[[noreturn]] void give_up(const char* where) {
  dprintf(STDERR_FILENO, "vipd: %s\n", where);
  abort();
}

void* allocate(std::size_t size) {
  void* memory = malloc(size != 0 ? size : 1);
  if (memory == nullptr) give_up("out of memory");
  return memory;
}

}  // namespace

namespace std {

VIPD_GIVES_UP(__throw_bad_alloc)
VIPD_GIVES_UP(__throw_bad_array_new_length)
VIPD_GIVES_UP(__throw_bad_cast)
VIPD_GIVES_UP(__throw_bad_function_call)
VIPD_GIVES_UP(__throw_bad_optional_access)
VIPD_GIVES_UP(__throw_bad_variant_access, const char*)
VIPD_GIVES_UP(__throw_invalid_argument, const char*)
VIPD_GIVES_UP(__throw_length_error, const char*)
VIPD_GIVES_UP(__throw_logic_error, const char*)
VIPD_GIVES_UP(__throw_out_of_range, const char*)
VIPD_GIVES_UP(__throw_out_of_range_fmt, const char*, ...)
VIPD_GIVES_UP(terminate)

[[noreturn]] void __glibcxx_assert_fail(const char* file, int line, const char*,
                                        const char* condition) noexcept {
  dprintf(STDERR_FILENO, "vipd: %s:%d: %s\n", file, line, condition);
  abort();
}

// The tag of make_shared, which a compiler with RTTI would compare by type.
bool _Sp_make_shared_tag::_S_eq(const type_info&) noexcept {
  return false;
}

}  // namespace std

namespace __gnu_cxx {

_Atomic_word __exchange_and_add(volatile _Atomic_word* word, int value) noexcept {
  return __atomic_fetch_add(word, value, __ATOMIC_ACQ_REL);
}
void __atomic_add(volatile _Atomic_word* word, int value) noexcept {
  __atomic_fetch_add(word, value, __ATOMIC_ACQ_REL);
}

}  // namespace __gnu_cxx

extern "C" VIPD_GIVES_UP(__cxa_pure_virtual);

// Weak: a test that counts what is asked for has its own.
#define VIPD_WEAK __attribute__((weak))
VIPD_WEAK void* operator new(std::size_t size) {
  return allocate(size);
}
void* operator new[](std::size_t size) {
  return allocate(size);
}
VIPD_WEAK void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return malloc(size);
}
VIPD_WEAK void operator delete(void* memory) noexcept {
  free(memory);
}
void operator delete[](void* memory) noexcept {
  free(memory);
}
VIPD_WEAK void operator delete(void* memory, std::size_t) noexcept {
  free(memory);
}
void operator delete[](void* memory, std::size_t) noexcept {
  free(memory);
}
