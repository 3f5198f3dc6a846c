// Shares the images of a batch among threads and adds their sums, with identical results for any number of threads.
#pragma once
#include <algorithm>
#include <atomic>
#include <memory>
#include <vector>
#include "tensors.h"

constexpr long most_shares = 16;

inline long shares_of(long images) { return std::min(images, most_shares); }

// Calls f(share, first image, end image) for all shares.
template <class F>
void for_each_share(long images, F f) {
  const long shares = shares_of(images), count = std::min(shares, threads());
  std::vector<std::atomic<long>> done(count);
  parallel_for(0, count, 1, [&](long thread, long) {
    // A thread takes its own shares, whose images it has cached, then those of others, since cores differ in speed.
    for (long i = 0; i < count; i++) {
      const long of = (thread + i) % count, begin = shares * of / count, end = shares * (of + 1) / count;
      for (long s; (s = begin + done[of]++) < end;) f(s, images * s / shares, images * (s + 1) / shares);
    }
  });
}

// One set of sums per share, added in the order of the shares.
class Sums {
 public:
  Sums(long images, long size)
      : shares_(shares_of(images)), size_(size), values_(std::make_unique_for_overwrite<double[]>(shares_ * size)) {
    parallel_for(0, shares_ * size_, grain, [&](long begin, long end) {
      std::fill(&values_[begin], &values_[end], 0.0);
    });
  }
  double* of(long share) { return &values_[share * size_]; }
  double* total() {
    parallel_for(0, size_, grain / (shares_ + 1) + 1, [&](long begin, long end) {
      for (long s = 1; s < shares_; s++)
        for (long i = begin; i < end; i++) values_[i] += values_[s * size_ + i];
    });
    return values_.get();
  }
  Tensor tensor(Sizes shape) {
    Tensor result = fresh<double>(shape);
    std::copy_n(total(), size_, data<double>(result));
    return result;
  }
  void put(Tensor& into) {
    const double* from = total();
    Number* to = data<Number>(into);
    for (long i = 0; i < size_; i++) to[i] = Number(from[i]);
  }

 private:
  static constexpr long grain = 1 << 15;  // fewest numbers per thread
  long shares_, size_;
  std::unique_ptr<double[]> values_;
};

// A tensor (N, ...) of dense images with an arbitrary stride between images.
template <class T>
struct Images {
  T* data;
  long stride;
  Images(const Tensor& t) : data(::data<T>(t)), stride(t.stride(0)) {
    int64_t dense = 1;
    for (int64_t i = t.dim() - 1; i > 0 && t.numel() > 0; dense *= t.size(i--))
      STD_TORCH_CHECK(t.size(i) == 1 || t.stride(i) == dense, "each image must be dense");
  }
  T* operator[](long image) const { return data + image * stride; }
};
