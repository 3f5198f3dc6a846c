// One map in a padded plane, whose rows follow each other with a gap of zeros between them.
//
// In such a plane a filter is a weighted sum of the same numbers at fixed distances: no row, column or border is special.
// A stride of 2 takes four planes, of the even and odd rows and columns ("phases"), and each tap of a filter reads one
// of them.
#pragma once
#include <algorithm>
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
  long pixels() const { return long(rows) * columns; }
  // Numbers of all rows with their gaps, and of whole vectors.
  long padded_length() const { return length + 8 * 16; }
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

// Of the phases' maps, one behind the other, what belongs to each pixel of the input.
template <class T>
void merge_phases(const Grid& g, const T* phases, T* out) {
  if (g.stride == 1) {
    std::copy_n(phases, g.pixels(), out);
    return;
  }
  for (int h = 0; h < g.height; h++, out += g.width) {
    const T* even = phases + (h % 2 * 2) * g.pixels() + long(h / 2) * g.columns;
    const T* odd = even + g.pixels();
    for (int w = 0; w < g.width / 2; w++) {
      out[2 * w] = even[w];
      out[2 * w + 1] = odd[w];
    }
    if (g.width % 2) out[g.width - 1] = even[g.width / 2];
  }
}

}  // namespace planes
