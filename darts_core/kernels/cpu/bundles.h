// Applies depthwise filters to bundles: as many channels as a vector has lanes, interleaved pixel by pixel.
//
// On small maps, vectors of pixels would be half empty, and filter gradients would need sums across lanes. Here each lane
// is a channel. Zeros between the rows make borders need no special treatment.
#pragma once
#include <algorithm>
#include <vector>
#include "vectors.h"

namespace bundles {

// The layout of a map padded with zeros: its rows start `pitch` pixels apart, `pad` of which are zeros.
struct Frame {
  int rows, columns, pad, pitch;
  long start, size;  // in pixels
  std::vector<long> places;  // of the map's pixels
  Frame(int rows_, int columns_, int reach)
      : rows(rows_), columns(columns_), pad(reach), pitch(columns + pad), start(long(pad) * pitch + pad),
        size(2 * start + long(rows) * pitch) {
    for (int h = 0; h < rows; h++)
      for (int w = 0; w < columns; w++) places.push_back(start + long(h) * pitch + w);
  }
  long pixels() const { return places.size(); }
};

// Interleaves the channels of a bundle, `pixels` numbers each. put(pixel, values of all channels).
template <class T, class F>
void take(const T* rows, long pixels, F put) {
  constexpr int L = lanes<T>;
  for (long p = 0; p < pixels; p += L) {
    const int count = std::min<long>(L, pixels - p);
    Vec<T> block[L];
    if (count == L)
      for (int i = 0; i < L; i++) block[i] = load(rows + i * pixels + p);
    else
      for (int i = 0; i < L; i++) block[i] = load_some(rows + i * pixels + p, count);
    transpose<T>(block);
    for (int i = 0; i < count; i++) put(p + i, block[i]);
  }
}

// The inverse of `take`. get(pixel): values of all channels.
template <class T, class F>
void give(T* rows, long pixels, F get) {
  constexpr int L = lanes<T>;
  for (long p = 0; p < pixels; p += L) {
    const int count = std::min<long>(L, pixels - p);
    Vec<T> block[L] = {};
    for (int i = 0; i < count; i++) block[i] = get(p + i);
    transpose<T>(block);
    if (count == L)
      for (int i = 0; i < L; i++) store(rows + i * pixels + p, block[i]);
    else
      for (int i = 0; i < L; i++) store_some(rows + i * pixels + p, block[i], count);
  }
}

// out (pixels, lanes) = or += a (K, K) filter over a bundle in its frame. weights: (K, K, lanes).
template <class T, int K>
void filter(const Frame& frame, int dilation, const T* x, const T* weights, T* out, bool add);

// out (K, K, lanes) += the gradient of a filter. x and g: bundles in their frames.
template <class T, int K>
void gradient(const Frame& frame, int dilation, const T* x, const T* g, double* out);

}  // namespace bundles
