// Applies depthwise filters to planes.
#include "windows.h"
#include <numeric>
#include "number.h"

namespace windows {
namespace {

// Calls f(rows, columns) with integral constants, for the window shapes of filters 3, 5 and 7 at strides 1 and 2.
// By reference: a copy of `f` would wait for the stores that made it.
template <class F>
void with_shape(int rows, int columns, const F& f) {
  auto by_columns = [&](auto r) {
    constexpr int R = decltype(r)::value;
    auto call = [&](auto c) { f(r, c); };
    if constexpr (R <= 2)
      if (columns == 1) return call(std::integral_constant<int, 1>());
    if constexpr (R <= 3)
      if (columns == 2) return call(std::integral_constant<int, 2>());
    if constexpr (R >= 2 && R <= 4)
      if (columns == 3) return call(std::integral_constant<int, 3>());
    if constexpr (R == 3 || R == 4)
      if (columns == 4) return call(std::integral_constant<int, 4>());
    if constexpr (R >= 5) return call(std::integral_constant<int, R>());
  };
  switch (rows) {
    case 1: return by_columns(std::integral_constant<int, 1>());
    case 2: return by_columns(std::integral_constant<int, 2>());
    case 3: return by_columns(std::integral_constant<int, 3>());
    case 4: return by_columns(std::integral_constant<int, 4>());
    case 5: return by_columns(std::integral_constant<int, 5>());
    default: return by_columns(std::integral_constant<int, 7>());
  }
}

// Computes O output rows, R vectors of BYTES bytes wide; with PART, `part` numbers of one vector. add: adds to `out`.
template <class T, int BYTES, int D, int K, int O, int R, bool PART>
inline void correlate_rows(const T* from, long down, long right, const T* weights, T* out, long out_down, int part, bool add) {
  typedef Vec<T, BYTES> V;
  constexpr int L = BYTES / sizeof(T);
  V total[O][R];
#pragma GCC unroll 8
  for (int o = 0; o < O; o++)
#pragma GCC unroll 2
    for (int r = 0; r < R; r++) {
      const T* at = out + o * out_down + r * L;
      V start = {};
      if (PART && add)
        copy_some(reinterpret_cast<T*>(&start), at, part);
      else if (add)
        start = *reinterpret_cast<const V*>(at);
      total[o][r] = start;
    }
#pragma GCC unroll 16
  for (int i = 0; i < D + O - 1; i++)
#pragma GCC unroll 7
    for (int k = 0; k < K; k++) {
      V value[R];
#pragma GCC unroll 2
      for (int r = 0; r < R; r++) value[r] = *reinterpret_cast<const V*>(from + i * down + k * right + r * L);
#pragma GCC unroll 8
      for (int o = 0; o < O; o++)
        if (i - o >= 0 && i - o < D) {
          const T weight = weights[(i - o) * K + k];
#pragma GCC unroll 2
          for (int r = 0; r < R; r++) total[o][r] += weight * value[r];
        }
    }
#pragma GCC unroll 8
  for (int o = 0; o < O; o++)
#pragma GCC unroll 2
    for (int r = 0; r < R; r++) {
      T* at = out + o * out_down + r * L;
      const V end = total[o][r];
      if (PART)
        copy_some(at, reinterpret_cast<const T*>(&end), part);
      else
        *reinterpret_cast<V*>(at) = end;
    }
}

// out (rows, columns), dense, = or += the window over a phase. plane: at its `start`. weights: of the window's taps.
template <class T, int D, int K>
void correlate_shape(const Grid& grid, const Window& window, const T* plane, const T* weights, T* out, bool add) {
  constexpr int L = lanes<T>;
  // Registers hold eight rows of one vector or four of two. Large windows and float64 are compiled in one form only.
  constexpr bool wide = registers >= 32 && D <= 5 && sizeof(T) == 4;
  const T* from = plane + window.first_row + window.first_column;
  const int columns = grid.columns, step = window.row_step;
  auto rows = [&](auto bytes, auto count, auto vectors, auto some, int h, int w, int part = 0) {
    correlate_rows<T, decltype(bytes)::value, D, K, decltype(count)::value, decltype(vectors)::value, decltype(some)::value>(
        from + long(h) * grid.pitch + w, window.down, window.right, weights, out + long(h) * columns + w,
        long(step) * columns, part, add);
  };
  using One = std::integral_constant<int, 1>;
  using Full = std::integral_constant<int, vector_bytes>;
  using Half = std::integral_constant<int, vector_bytes / 2>;
  using Whole = std::false_type;
  auto last_rows = [&](auto count, int h, int w) {
    for (; w + L <= columns; w += L) rows(Full(), count, One(), Whole(), h, w);
    if (w < columns) rows(Full(), count, One(), std::true_type(), h, w, columns - w);
  };
  // Processes rows that are `step` apart together, then the rows between them.
  auto bands = [&](auto count, int h, auto f) {
    constexpr int O = decltype(count)::value;
    for (; h + O * step <= grid.rows; h += O * step)
      for (int row = h; row < h + step; row++) f(row);
    return h;
  };
  int h = 0;
  if constexpr (wide) {
    using Eight = std::integral_constant<int, 8>;
    if (columns == L) h = bands(Eight(), h, [&](int row) { rows(Full(), Eight(), One(), Whole(), row, 0); });
    if (columns == L / 2) h = bands(Eight(), h, [&](int row) { rows(Half(), Eight(), One(), Whole(), row, 0); });
  }
  using Four = std::integral_constant<int, 4>;
  h = bands(Four(), h, [&](int row) {
    int w = 0;
    if constexpr (wide)
      for (; w + 2 * L <= columns; w += 2 * L) rows(Full(), Four(), std::integral_constant<int, 2>(), Whole(), row, w);
    last_rows(Four(), row, w);
  });
  for (; h < grid.rows; h++) last_rows(One(), h, 0);
}

template <class T>
void correlate(const Grid& grid, const Window& window, const T* plane, const T* weights, T* out, bool add) {
  with_shape(window.rows, window.columns, [&](auto rows, auto columns) {
    correlate_shape<T, decltype(rows)::value, decltype(columns)::value>(grid, window, plane, weights, out, add);
  });
}

template <class T, int D, int K>
void gradient_of_rows(const T* x, long right, const T* g, long down, long length, double* out) {
  constexpr int L = lanes<T>, padded = (D * K + L - 1) / L * L;
  Vec<T> total[D * K] = {};
  for (long i = 0; i < length; i += L) {
    Vec<T> from[K];
#pragma GCC unroll 7
    for (int k = 0; k < K; k++) from[k] = load(x + i + k * right);
#pragma GCC unroll 5
    for (int d = 0; d < D; d++) {
      const Vec<T> factor = load(g + i - d * down);
#pragma GCC unroll 7
      for (int k = 0; k < K; k++) total[d * K + k] += factor * from[k];
    }
  }
  Vec<T> vectors[padded] = {};
  for (int i = 0; i < D * K; i++) vectors[i] = total[i];
  T sums[padded];
  sums_of<T, padded>(vectors, sums);
  for (int i = 0; i < D * K; i++) out[i] += sums[i];
}

// out[tap] += sum over the output's pixels of g times the tap's input. plane: of x, at its `start`. g: a map of the output's
// size in a plane, at its `start`.
//
// The sum runs over the rows of x, so that the window's columns are read once for all of its rows; the rows of g above and
// below are zero.
template <class T>
void gradient(const Grid& grid, const Window& window, const T* plane, const T* g, double* out) {
  with_shape(window.rows, window.columns, [&](auto rows, auto columns) {
    constexpr int D = decltype(rows)::value, K = decltype(columns)::value;
    constexpr int most = std::max(1, std::min(D, (registers - 7) / K));
    double sums[D * K] = {};
    auto part = [&](auto count, int d) {
      constexpr int C = decltype(count)::value;
      gradient_of_rows<T, C, K>(plane + window.first_column, window.right, g - window.first_row - d * window.down,
                                window.down, grid.length, sums + d * K);
    };
    int d = 0;
    for (; d + most <= D; d += most) part(std::integral_constant<int, most>(), d);
    if constexpr (D % most != 0) part(std::integral_constant<int, D % most>(), d);
    for (int i = 0; i < D * K; i++) out[window.taps[i]] += sums[i];
  });
}

}  // namespace

std::vector<Window> windows_of(const Grid& grid, int side, int dilation) {
  std::vector<Window> result;
  const int s = grid.stride, step = dilation / std::gcd(s, dilation), half = side / 2;
  auto residue = [=](int tap) { return (((tap - half) * dilation) % s + s) % s; };
  for (int a = 0; a < s; a++)
    for (int b = 0; b < s; b++) {
      std::vector<int> down, right;
      for (int tap = 0; tap < side; tap++) {
        if (residue(tap) == a) down.push_back(tap);
        if (residue(tap) == b) right.push_back(tap);
      }
      if (down.empty() || right.empty()) continue;
      const long first_row = ((down[0] - half) * dilation - a) / s, first_column = ((right[0] - half) * dilation - b) / s;
      Window w{a * s + b, int(down.size()), int(right.size()), first_row * grid.pitch, first_column,
               long(step) * grid.pitch, step, step, {}};
      for (int i : down)
        for (int j : right) w.taps.push_back(i * side + j);
      result.push_back(w);
    }
  return result;
}

template <class T>
void filter(const Grid& grid, const std::vector<Window>& windows, const T* planes, const T* weights, T* out) {
  bool add = false;
  for (const auto& window : windows) {
    correlate(grid, window, planes + window.phase * grid.plane + grid.start, weights, out, add);
    weights += window.taps.size();
    add = true;
  }
}

template <class T>
void filter_gradient(const Grid& grid, const std::vector<Window>& windows, const T* planes, const T* g, double* out) {
  for (const auto& window : windows)
    gradient(grid, window, planes + window.phase * grid.plane + grid.start, g + grid.start, out);
}

template <class T>
void input_gradient(const Grid& grid, const std::vector<Window>& turned, const T* weights, const T* g, T* phases) {
  for (const auto& window : turned) {
    correlate(grid, window, g + grid.start, weights, phases + window.phase * grid.pixels(), true);
    weights += window.taps.size();
  }
}

template void filter(const Grid&, const std::vector<Window>&, const Number*, const Number*, Number*);
template void filter_gradient(const Grid&, const std::vector<Window>&, const Number*, const Number*, double*);
template void input_gradient(const Grid&, const std::vector<Window>&, const Number*, const Number*, Number*);

}  // namespace windows
