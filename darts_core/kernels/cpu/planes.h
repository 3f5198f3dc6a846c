// Lays a map out in a padded plane, with zeros between its rows.
//
// In such a plane, every tap of a filter reads at a fixed distance, and borders need no special treatment. A stride of 2
// takes four planes, of even and odd rows and columns ("phases"); each tap reads one of them.
#pragma once
#include <algorithm>
#include <vector>
#include "vectors.h"

namespace planes {

struct Grid {
  int height, width, stride, rows, columns, pad, pitch, phases;
  long plane, length, start;

  // reach: largest distance of a tap from the centre, in pixels.
  Grid(int height_, int width_, int stride_, int reach)
      : height(height_), width(width_), stride(stride_), rows((height_ + stride_ - 1) / stride_),
        columns((width_ + stride_ - 1) / stride_), pad((reach + stride_ - 1) / stride_), pitch(columns + pad),
        phases(stride_ * stride_) {
    length = long(rows) * pitch;
    start = long(pad) * pitch + pad;
    plane = 2 * start + length + pitch + 8 * 16;  // vectors read past the end
  }
  long size() const { return plane * phases; }
  long pixels() const { return long(rows) * columns; }
  // The length of all rows with their gaps, plus room for whole vectors.
  long padded_length() const { return length + 8 * 16; }
};

// Writes f of a map to its plane or phases; leaves the gaps unchanged.
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

// Writes a map of the output's size to a plane of the same grid.
template <class T>
void fill_output(const Grid& g, const T* x, T* plane) {
  for (int h = 0; h < g.rows; h++)
    copy_some(plane + g.start + long(h) * g.pitch, x + long(h) * g.columns, g.columns);
}

// Merges the maps of the phases, stored one after the other, into a map of the input's size.
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
