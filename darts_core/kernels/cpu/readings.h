// Selects the pixels of a map, after its ReLU, that pointwise convolutions read.
#pragma once
#include <algorithm>
#include "tensors.h"

// One convolution reads the whole map; two read one shifted grid of every second pixel each, as in a FactorizedReduce.
struct Reading {
  long height, width, grids, rows, columns, inputs;
  Reading(const Tensor& x, long grids_)
      : height(x.size(2)), width(x.size(3)), grids(grids_), rows(grids == 1 ? height : (height + 1) / 2),
        columns(grids == 1 ? width : (width + 1) / 2), inputs(x.size(1)) {}
  long pixels() const { return rows * columns; }

  // Maps an image (inputs, height, width) to its ReLU on the grids, (grids, inputs, rows, columns), zero beyond the image.
  template <class T>
  void take(const T* x, T* to) const {
    if (grids == 1) {
      for (long i = 0; i < inputs * pixels(); i++) to[i] = x[i] < 0 ? T(0) : x[i];
      return;
    }
    for (long grid = 0; grid < 2; grid++)
      for (long c = 0; c < inputs; c++)
        for (long r = 0; r < rows; r++, to += columns) {
          const bool inside = 2 * r + grid < height;
          const T* from = x + (c * height + 2 * r + grid) * width + grid;
          for (long q = 0; q < columns; q++) to[q] = inside && 2 * q + grid < width && !(from[2 * q] < 0) ? from[2 * q] : T(0);
        }
  }

  // The backward pass of `take`: passes the gradient where x is positive.
  template <class T>
  void give(const T* from, const T* x, T* to) const {
    if (grids == 1) {
      for (long i = 0; i < inputs * pixels(); i++) to[i] = x[i] > 0 ? from[i] : T(0);
      return;
    }
    std::fill(to, to + inputs * height * width, T(0));
    for (long grid = 0; grid < 2; grid++)
      for (long c = 0; c < inputs; c++)
        for (long r = 0; r < rows; r++, from += columns) {
          const long at = (c * height + 2 * r + grid) * width + grid;
          if (2 * r + grid < height)
            for (long q = 0; 2 * q + grid < width; q++) to[at + 2 * q] = x[at + 2 * q] > 0 ? from[q] : T(0);
        }
  }
};
