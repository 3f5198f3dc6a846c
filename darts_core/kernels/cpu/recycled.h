// Recycles the memory of a step's maps, since the system takes longer to zero fresh pages than a kernel to use them.
#pragma once
#include <cstdlib>
#include <functional>
#include <map>
#include <mutex>
#include <new>
#include <numeric>
#include "tensors.h"
#ifdef __linux__
#include <sys/mman.h>
#endif

class Blocks {
 public:
  // Never destroyed, since tensors may outlive static objects.
  static Blocks& all() {
    static Blocks* blocks = new Blocks;
    return *blocks;
  }

  void* take(size_t bytes) {
    const std::lock_guard<std::mutex> guard(mutex_);
    // The last, smaller batch of an epoch reuses the blocks of a whole batch.
    auto fitting = idle_.lower_bound(bytes);
    if (fitting != idle_.end() && fitting->first <= 2 * bytes) {
      void* block = fitting->second;
      sizes_[block] = fitting->first;
      idle_.erase(fitting);
      return block;
    }
    // Blocks of sizes that are no longer requested are freed before new memory is taken.
    for (size_t freed = 0; freed < bytes && !idle_.empty(); idle_.erase(idle_.begin())) {
      freed += idle_.begin()->first;
      std::free(idle_.begin()->second);
    }
    void* block = nullptr;
    if (posix_memalign(&block, page, (bytes + page - 1) / page * page) != 0) throw std::bad_alloc();
#ifdef MADV_HUGEPAGE
    madvise(block, bytes, MADV_HUGEPAGE);
#endif
    sizes_[block] = bytes;
    return block;
  }

  void give_back(void* block) {
    const std::lock_guard<std::mutex> guard(mutex_);
    const auto size = sizes_.find(block);
    idle_.emplace(size->second, block);
    sizes_.erase(size);
  }

 private:
  static constexpr size_t page = size_t(2) << 20;
  std::mutex mutex_;
  std::multimap<size_t, void*> idle_;
  std::map<void*, size_t> sizes_;  // of those in use
};

// Returns a dense, uninitialised tensor.
inline Tensor recycled(Sizes sizes) {
  const int64_t numbers = std::accumulate(sizes.begin(), sizes.end(), int64_t(1), std::multiplies<>());
  const size_t bytes = size_t(numbers) * sizeof(Number);
  if (bytes < size_t(1) << 20) return fresh<Number>(sizes);
  auto give_back = [](void* block, void*) { Blocks::all().give_back(block); };
  AtenTensorHandle made;
  STABLE_TORCH_ERROR_CODE_CHECK(torch_from_blob(Blocks::all().take(bytes), sizes.size(), sizes.data(),
                                                dense_strides(sizes).data(), 0, type_of<Number>(),
                                                aoti_torch_device_type_cpu(), -1, &made, aoti_torch_layout_strided(),
                                                nullptr, 0, give_back, nullptr));
  return Tensor(made);
}
