// Replaces operator new of the test program that includes it, once: what was asked for is counted.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <new>

namespace allocations {

inline size_t count = 0;
inline size_t largest = 0;  // in bytes

}  // namespace allocations

void* operator new(size_t size) {
  ++allocations::count;
  allocations::largest = std::max(allocations::largest, size);
  void* memory = malloc(size);
  if (memory == nullptr) abort();
  return memory;
}
void* operator new(size_t size, const std::nothrow_t&) noexcept {
  return operator new(size);
}
void operator delete(void* memory) noexcept {
  free(memory);
}
void operator delete(void* memory, size_t) noexcept {
  free(memory);
}
