// Applies depthwise filters to bundles.
#include "bundles.h"
#include "number.h"

namespace bundles {
namespace {

// Applies the filter's rows `first` to `last` to O adjacent pixels of a row. x: the first tap's input at the first pixel.
template <class T, int K, int O>
inline void filter_pixels(const T* x, long down, long right, int first, int last, const T* weights, T* out, bool add) {
  constexpr int L = lanes<T>;
  Vec<T> total[O] = {};
  if (add)
    for (int o = 0; o < O; o++) total[o] = load(out + o * L);
  for (int i = first; i < last; i++)
#pragma GCC unroll 7
    for (int k = 0; k < K; k++) {
      const Vec<T> weight = load(weights + (i * K + k) * L);
      const T* from = x + i * down + k * right;
#pragma GCC unroll 8
      for (int o = 0; o < O; o++) total[o] += weight * load(from + o * L);
    }
  for (int o = 0; o < O; o++) store(out + o * L, total[o]);
}

// The gradient of R rows of the filter, from `first`.
template <class T, int K, int R>
inline void gradient_of_rows(const Frame& frame, int dilation, int first, const T* x, const T* g, double* out) {
  constexpr int L = lanes<T>, half = K / 2;
  const long down = long(dilation) * frame.pitch * L, right = long(dilation) * L;
  Vec<T> total[R * K] = {};
  x += first * down - half * (down + right);
  for (int h = 0; h < frame.rows; h++) {
    long at = (frame.start + long(h) * frame.pitch) * L;
    for (int w = 0; w < frame.columns; w++, at += L) {
      const Vec<T> factor = load(g + at);
#pragma GCC unroll 7
      for (int r = 0; r < R; r++)
#pragma GCC unroll 7
        for (int k = 0; k < K; k++) total[r * K + k] += factor * load(x + at + r * down + k * right);
    }
  }
  const T* sums = reinterpret_cast<const T*>(total);
  for (int i = 0; i < R * K * L; i++) out[first * K * L + i] += sums[i];
}

}  // namespace

template <class T, int K>
void filter(const Frame& frame, int dilation, const T* x, const T* weights, T* out, bool add) {
  constexpr int L = lanes<T>, half = K / 2;
  const long down = long(dilation) * frame.pitch * L, right = long(dilation) * L;
  for (int h = 0; h < frame.rows; h++) {
    // Skips rows of the filter that read only zeros.
    const int first = std::max(0, half - h / dilation), last = std::min(K, half + (frame.rows - 1 - h) / dilation + 1);
    const T* from = x + (frame.start + long(h) * frame.pitch) * L - half * (down + right);
    T* to = out + long(h) * frame.columns * L;
    int w = 0;
    auto next = [&](auto count) {
      constexpr int O = decltype(count)::value;
      for (; w + O <= frame.columns; w += O)
        filter_pixels<T, K, O>(from + w * L, down, right, first, last, weights, to + w * L, add);
    };
    next(std::integral_constant<int, 8>());
    next(std::integral_constant<int, 4>());
    next(std::integral_constant<int, 1>());
  }
}

template <class T, int K>
void gradient(const Frame& frame, int dilation, const T* x, const T* g, double* out) {
  constexpr int most = std::max(1, std::min(K, (registers - 3) / K));
  int first = 0;
  for (; first + most <= K; first += most) gradient_of_rows<T, K, most>(frame, dilation, first, x, g, out);
  if constexpr (K % most != 0) gradient_of_rows<T, K, K % most>(frame, dilation, first, x, g, out);
}

template void filter<Number, 3>(const Frame&, int, const Number*, const Number*, Number*, bool);
template void filter<Number, 5>(const Frame&, int, const Number*, const Number*, Number*, bool);
template void filter<Number, 7>(const Frame&, int, const Number*, const Number*, Number*, bool);
template void gradient<Number, 3>(const Frame&, int, const Number*, const Number*, double*);
template void gradient<Number, 5>(const Frame&, int, const Number*, const Number*, double*);
template void gradient<Number, 7>(const Frame&, int, const Number*, const Number*, double*);

}  // namespace bundles
