// Keeps the part of the maps that a product works on.
#pragma once
#include <cstdint>
#include <memory>

namespace products {

// Thread-local, aligned memory for the current strip.
template <class T>
T* room(long size) {
  thread_local std::unique_ptr<T[]> numbers;
  thread_local long has = 0;
  if (has < size) numbers.reset(new T[(has = size) + 64 / sizeof(T)]);
  const auto place = reinterpret_cast<uintptr_t>(numbers.get());
  return reinterpret_cast<T*>((place + 63) / 64 * 64);
}

}  // namespace products
