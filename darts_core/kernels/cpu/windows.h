// Applies depthwise filters to planes, forward and backward.
//
// For any stride and dilation, the taps of a filter that read the same phase form a dense window of rows and columns.
// Adjacent output rows share most of a window's input, so that several rows are computed at once.
#pragma once
#include <algorithm>
#include <vector>
#include "planes.h"
#include "vectors.h"

namespace windows {

using planes::Grid;

struct Window {
  int phase, rows, columns;
  long first_row, first_column, down, right;  // distances in a plane: to the first tap, and between taps
  int row_step;             // rows of the plane between a tap and the one below
  std::vector<int> taps;    // indices in the filter

  // The window of the backward pass.
  Window turned() const {
    Window w = *this;
    w.first_row = -(first_row + (rows - 1) * down);
    w.first_column = -(first_column + (columns - 1) * right);
    std::reverse(w.taps.begin(), w.taps.end());
    return w;
  }
};

// side: size of the square filter, odd.
std::vector<Window> windows_of(const Grid& grid, int side, int dilation);

// Reorders the weights of filters (side, side) to the order of the windows' taps.
template <class T>
std::vector<T> arranged(const std::vector<Window>& windows, const T* filters, long count) {
  std::vector<int> order;
  for (const auto& window : windows) order.insert(order.end(), window.taps.begin(), window.taps.end());
  std::vector<T> result(count * order.size());
  for (long f = 0; f < count; f++)
    for (size_t i = 0; i < order.size(); i++) result[f * order.size() + i] = filters[f * order.size() + order[i]];
  return result;
}

// Applies a whole filter: out (rows, columns). planes: the plane or phases of one map. weights: from `arranged`.
template <class T>
void filter(const Grid& grid, const std::vector<Window>& windows, const T* planes, const T* weights, T* out);

// out (side, side) += the gradient of a filter. g: in a plane.
template <class T>
void filter_gradient(const Grid& grid, const std::vector<Window>& windows, const T* planes, const T* g, double* out);

// phases (phases, rows, columns) += the gradient of the input. g: in a plane. turned: the windows of the backward pass.
template <class T>
void input_gradient(const Grid& grid, const std::vector<Window>& turned, const T* weights, const T* g, T* phases);

}  // namespace windows
