// Recycles the memory of a step's maps, since the system takes longer to zero fresh pages than a kernel to use them.
#pragma once
#include <ATen/core/Tensor.h>
#include <ATen/EmptyTensor.h>
#include <ATen/ops/from_blob.h>
#include <cstdlib>
#include <functional>
#include <map>
#include <mutex>
#include <new>
#include <numeric>
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
inline at::Tensor recycled(at::IntArrayRef sizes, const at::TensorOptions& options) {
  const int64_t numbers = std::accumulate(sizes.begin(), sizes.end(), int64_t(1), std::multiplies<>());
  const size_t bytes = size_t(numbers) * options.dtype().itemsize();
  if (bytes < size_t(1) << 20) return at::detail::empty_cpu(sizes, options);
  return at::from_blob(Blocks::all().take(bytes), sizes, [](void* block) { Blocks::all().give_back(block); },
                       options.requires_grad(false));
}
