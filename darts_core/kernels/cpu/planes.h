// Depthwise filters on one padded plane at a time, whose rows follow each other with a gap of zeros between them.
//
// In such a plane a filter is a weighted sum of the same run of numbers at fixed distances: no row, column or border is
// special, and any width fills the vectors. What is computed in the gaps is dropped. A stride of 2 takes four planes,
// of the even and odd rows and columns ("phases"), and each tap of a filter reads one of them.
#pragma once
#include <vector>
#include "vectors.h"

namespace planes {

struct Grid {
  int height, width, stride, rows, columns, pad, pitch, phases;
  long plane, length, start;

  // reach: the farthest that a tap lies from the middle, in pixels.
  Grid(int height_, int width_, int stride_, int reach)
      : height(height_), width(width_), stride(stride_), rows((height_ + stride_ - 1) / stride_),
        columns((width_ + stride_ - 1) / stride_), pad((reach + stride_ - 1) / stride_), pitch(columns + pad),
        phases(stride_ * stride_) {
    length = long(rows) * pitch;
    start = long(pad) * pitch + pad;
    plane = 2 * start + length + pitch + 8 * 16;  // vectors run past the end
  }
  long size() const { return plane * phases; }
  // Numbers of a run of whole vectors.
  long padded_length() const { return length + 8 * 16; }
};

struct Taps {
  int side, dilation;
  std::vector<long> offsets;  // into the planes, from a pixel's place in the first one
  std::vector<std::vector<int>> of_phase;
  std::vector<long> shifts;  // the same within a plane

  Taps(const Grid& grid, int side_, int dilation_) : side(side_), dilation(dilation_), of_phase(grid.phases) {
    for (int i = 0; i < side * side; i++) {
      const int down = (i / side - side / 2) * dilation, right = (i % side - side / 2) * dilation;
      const int s = grid.stride, a = ((down % s) + s) % s, b = ((right % s) + s) % s, phase = a * s + b;
      shifts.push_back(long((down - a) / s) * grid.pitch + (right - b) / s);
      offsets.push_back(phase * grid.plane + shifts.back());
      of_phase[phase].push_back(i);
    }
  }
  int count() const { return side * side; }
};

// One map into its plane or phases, whose gaps hold `empty` already and keep it. f: applied to each number.
template <class T, class F>
void fill(const Grid& g, const T* x, T* planes, F f) {
  for (int h = 0; h < g.height; h++) {
    const T* from = x + long(h) * g.width;
    if (g.stride == 1) {
      T* to = planes + g.start + long(h) * g.pitch;
      for (int w = 0; w < g.width; w++) to[w] = f(from[w]);
      continue;
    }
    T* even = planes + (h % 2 * 2) * g.plane + g.start + long(h / 2) * g.pitch;
    T* odd = even + g.plane;
    for (int w = 0; w < g.width / 2; w++) {
      even[w] = f(from[2 * w]);
      odd[w] = f(from[2 * w + 1]);
    }
    if (g.width % 2) even[g.width / 2] = f(from[g.width - 1]);
  }
}

// A map of the output's size into a plane of the same grid.
template <class T>
void fill_output(const Grid& g, const T* x, T* plane) {
  for (int h = 0; h < g.rows; h++)
    copy_some(plane + g.start + long(h) * g.pitch, x + long(h) * g.columns, g.columns);
}

// The rows of a run, without the gaps.
template <class T>
void take(const Grid& g, const T* run, T* out) {
  for (int h = 0; h < g.rows; h++)
    copy_some(out + long(h) * g.columns, run + long(h) * g.pitch, g.columns);
}

// The same, and zero where x + shift, of the output's size, is not positive: back through a ReLU.
template <class T>
void take_where_positive(const Grid& g, const T* run, const T* x, T shift, T* out) {
  for (int h = 0; h < g.rows; h++, run += g.pitch, x += g.columns, out += g.columns) {
    int w = 0;
    for (; w + lanes<T> <= g.columns; w += lanes<T>)
      store(out + w, load(x + w) + shift > T(0) ? load(run + w) : Vec<T>{});
    for (; w < g.columns; w++) {
      const T value = run[w];
      out[w] = x[w] + shift > 0 ? value : T(0);
    }
  }
}

// Of runs, one a phase, what belongs to each pixel of the input, and zero where x is not positive.
template <class T>
void take_input_where_positive(const Grid& g, const T* runs, const T* x, T* out) {
  if (g.stride == 1) return take_where_positive(g, runs, x, T(0), out);
  for (int h = 0; h < g.height; h++, x += g.width, out += g.width) {
    const T* even = runs + (h % 2 * 2) * g.padded_length() + long(h / 2) * g.pitch;
    const T* odd = even + g.padded_length();
    for (int w = 0; w < g.width; w++) {
      const T value = w % 2 ? odd[w / 2] : even[w / 2];
      out[w] = x[w] > 0 ? value : T(0);
    }
  }
}

template <class T, int R, bool ADD>
inline void correlate_vectors(const T* from, const long* offsets, const T* weights, int taps, T* out) {
  Vec<T> total[R];
#pragma GCC unroll 8
  for (int r = 0; r < R; r++) total[r] = ADD ? load(out + r * lanes<T>) : Vec<T>{};
  for (int t = 0; t < taps; t++) {
    const T weight = weights[t];
    const T* at = from + offsets[t];
#pragma GCC unroll 8
    for (int r = 0; r < R; r++) total[r] += weight * load(at + r * lanes<T>);
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; r++) store(out + r * lanes<T>, total[r]);
}

// out[i] = or += sum over taps of weight * from[i + offset]. Writes whole vectors, so up to `lanes` behind the end.
template <class T, bool ADD>
void correlate(const T* from, const long* offsets, const T* weights, int taps, T* out, long length) {
  constexpr int L = lanes<T>;
  long i = 0;
  for (; i + 7 * L < length; i += 8 * L) correlate_vectors<T, 8, ADD>(from + i, offsets, weights, taps, out + i);
  for (; i + 3 * L < length; i += 4 * L) correlate_vectors<T, 4, ADD>(from + i, offsets, weights, taps, out + i);
  for (; i < length; i += L) correlate_vectors<T, 1, ADD>(from + i, offsets, weights, taps, out + i);
}

// Of four rows at once, `down` numbers apart, of the output `out_down`: each number that is read serves up to four.
template <class T, int K, int R, bool ADD>
inline void correlate_rows(const T* from, long down, long right, const T* weights, T* out, long out_down) {
  Vec<T> total[4][R];
#pragma GCC unroll 4
  for (int o = 0; o < 4; o++)
#pragma GCC unroll 2
    for (int r = 0; r < R; r++) total[o][r] = ADD ? load(out + o * out_down + r * lanes<T>) : Vec<T>{};
#pragma GCC unroll 8
  for (int i = 0; i < K + 3; i++)
#pragma GCC unroll 5
    for (int k = 0; k < K; k++) {
      const T* at = from + (i - K / 2) * down + (k - K / 2) * right;
      Vec<T> value[R];
#pragma GCC unroll 2
      for (int r = 0; r < R; r++) value[r] = load(at + r * lanes<T>);
#pragma GCC unroll 4
      for (int o = 0; o < 4; o++)
        if (i - o >= 0 && i - o < K) {
          const T weight = weights[(i - o) * K + k];
#pragma GCC unroll 2
          for (int r = 0; r < R; r++) total[o][r] += weight * value[r];
        }
    }
#pragma GCC unroll 4
  for (int o = 0; o < 4; o++)
#pragma GCC unroll 2
    for (int r = 0; r < R; r++) store(out + o * out_down + r * lanes<T>, total[o][r]);
}

// As many rows as come in fours; gives how many. With `pitch` that of the grid, a last vector that reaches into the
// next row writes there what belongs there, for every number of a run is the same sum; any other use, and ADD, is for
// rows of whole vectors alone.
template <class T, int K, bool ADD>
int correlate_fours(const Grid& grid, const T* from, int dilation, const T* weights, T* out, long pitch) {
  constexpr int L = lanes<T>;
  const long down = long(dilation) * grid.pitch;
  const int step = 4 * dilation;
  int h = 0;
  for (; h + step <= grid.rows; h += step)
    for (int row = h; row < h + dilation; row++) {
      const T* at = from + row * long(grid.pitch);
      T* to = out + row * pitch;
      long w = 0;
      for (; w + L < grid.columns; w += 2 * L)
        correlate_rows<T, K, 2, ADD>(at + w, down, dilation, weights, to + w, dilation * pitch);
      if (w < grid.columns) correlate_rows<T, K, 1, ADD>(at + w, down, dilation, weights, to + w, dilation * pitch);
    }
  return h;
}

// Whether a filter's output is made of fours of rows of whole vectors: then it needs no run in between.
template <class T>
bool fits(const Grid& grid, const Taps& taps) {
  return grid.stride == 1 && (taps.side == 3 || taps.side == 5) && grid.columns % lanes<T> == 0 &&
         grid.rows % (4 * taps.dilation) == 0;
}

template <class T, bool ADD>
void filter_that_fits(const Grid& grid, const T* plane, const Taps& taps, const T* weights, T* out, long pitch) {
  if (taps.side == 3)
    correlate_fours<T, 3, ADD>(grid, plane + grid.start, taps.dilation, weights, out, pitch);
  else
    correlate_fours<T, 5, ADD>(grid, plane + grid.start, taps.dilation, weights, out, pitch);
}

// A whole filter: run = the filter over the plane (or phases), one number for each pixel of the output.
template <class T>
void filter(const Grid& grid, const T* plane, const Taps& taps, const T* weights, T* run) {
  const T* from = plane + grid.start;
  int done = 0;
  if (grid.stride == 1 && taps.side == 3)
    done = correlate_fours<T, 3, false>(grid, from, taps.dilation, weights, run, grid.pitch);
  if (grid.stride == 1 && taps.side == 5)
    done = correlate_fours<T, 5, false>(grid, from, taps.dilation, weights, run, grid.pitch);
  const long before = long(done) * grid.pitch;
  correlate<T, false>(from + before, taps.offsets.data(), weights, taps.count(), run + before, grid.length - before);
}

template <class T, int K, int R>
inline void row_gradient(const T* from, const long* offsets, const T* g, long length, double* out) {
  constexpr int L = lanes<T>;
  Vec<T> total[K][R] = {};
  const T* at[K];
  for (int k = 0; k < K; k++) at[k] = from + offsets[k];
  long i = 0;
  for (; i + (R - 1) * L < length; i += R * L)
#pragma GCC unroll 6
    for (int r = 0; r < R; r++) {
      const Vec<T> factor = load(g + i + r * L);
#pragma GCC unroll 7
      for (int k = 0; k < K; k++) total[k][r] += factor * load(at[k] + i + r * L);
    }
  for (; i < length; i += L) {
    const Vec<T> factor = load(g + i);
    for (int k = 0; k < K; k++) total[k][0] += factor * load(at[k] + i);
  }
  for (int k = 0; k < K; k++) {
    for (int r = 1; r < R; r++) total[k][0] += total[k][r];
    out[k] += sum_of<T>(total[k][0]);
  }
}

// out[tap] += sum over i of g[i] * from[i + offset]. g: a run with zeros in its gaps and behind its end.
template <class T>
void weight_gradient(const T* from, const Taps& taps, const T* g, long length, double* out) {
  for (int row = 0; row < taps.side; row++) {
    const long* offsets = taps.offsets.data() + row * taps.side;
    double* to = out + row * taps.side;
    if (taps.side == 3) row_gradient<T, 3, 6>(from, offsets, g, length, to);
    else if (taps.side == 5) row_gradient<T, 5, 4>(from, offsets, g, length, to);
    else row_gradient<T, 7, 3>(from, offsets, g, length, to);
  }
}

// runs (phases, padded length) += what each pixel of the input gets from g, a plane. scratch: a run.
template <class T>
void input_gradient(const Grid& grid, const Taps& taps, const T* weights, const T* g, T* runs, T* scratch) {
  T some[49];
  if (grid.stride == 1) {  // the filter turned around
    for (int i = 0; i < taps.count(); i++) some[i] = weights[taps.count() - 1 - i];
    if (fits<T>(grid, taps)) return filter_that_fits<T, true>(grid, g, taps, some, runs, grid.pitch);
    filter(grid, g, taps, some, scratch);
    for (long i = 0; i < grid.length; i += lanes<T>) store(runs + i, load(runs + i) + load(scratch + i));
    return;
  }
  for (int phase = 0; phase < grid.phases; phase++) {
    long shifts[49];
    int count = 0;
    for (int tap : taps.of_phase[phase]) {
      shifts[count] = -taps.shifts[tap];
      some[count++] = weights[tap];
    }
    if (count)
      correlate<T, true>(g + grid.start, shifts, some, count, runs + phase * grid.padded_length(), grid.length);
  }
}

}  // namespace planes
