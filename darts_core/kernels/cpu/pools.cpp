// Implements the passes over pooled maps; see models/fused/backend.py.
#include <limits>
#include "recycled.h"
#include "shares.h"
#include "windows.h"

namespace {

using T = Number;

using planes::Grid;
using windows::Window;

// For each output pixel, 1 / the number of input pixels in its window.
template <class T>
std::vector<T> shares_of_window(const Grid& g) {
  std::vector<T> result(g.pixels());
  auto covered = [](int at, int stride, int size) { return std::min(at * stride + 2, size) - std::max(at * stride - 1, 0); };
  for (int h = 0; h < g.rows; h++)
    for (int w = 0; w < g.columns; w++)
      result[long(h) * g.columns + w] = T(1) / (covered(h, g.stride, g.height) * covered(w, g.stride, g.width));
  return result;
}

// Offsets of the nine pixels of a window, from the start of the planes.
std::vector<long> offsets_of(const Grid& g, const std::vector<Window>& windows) {
  std::vector<long> result(9);
  for (const auto& w : windows)
    for (int i = 0; i < w.rows; i++)
      for (int j = 0; j < w.columns; j++)
        result[w.taps[i * w.columns + j]] =
            w.phase * g.plane + g.start + w.first_row + w.first_column + i * w.down + j * w.right;
  return result;
}

// Finds each window's maximum and its index among the nine pixels.
template <class T>
void largest(const Grid& g, const T* planes, const std::vector<long>& offsets, T* out, uint8_t* where) {
  for (int h = 0; h < g.rows; h++)
    for (int w = 0; w < g.columns; w += lanes<T>) {
      const T* from = planes + long(h) * g.pitch + w;
      Vec<T> most = load(from + offsets[4]), at = Vec<T>{} + T(4);
      for (int t = 0; t < 9; t++) {
        const Vec<T> value = load(from + offsets[t]);
        // Of equal values the first wins, as in torch; NaN persists.
        const auto better = (value > most) | ((value == most) & (Vec<T>{} + T(t) < at)) | (value != value);
        most = better ? value : most;
        at = better ? Vec<T>{} + T(t) : at;
      }
      const int count = std::min(lanes<T>, g.columns - w);
      copy_some(out + long(h) * g.columns + w, reinterpret_cast<const T*>(&most), count);
      for (int i = 0; i < count; i++) where[long(h) * g.columns + w + i] = at[i];
    }
}

// kinds: 0 for the maximum, 1 for the average.
std::tuple<Tensor, Tensor, Tensor, Tensor> pool(const Tensor& s, std::vector<int64_t> kinds, int64_t stride,
                                                bool identity) {
  const long images = s.size(0), channels = s.size(1), count = kinds.size(), all = count + identity;
  const Grid grid(s.size(2), s.size(3), stride, 1);
  const auto shape = windows::windows_of(grid, 3, 1);
  const auto offsets = offsets_of(grid, shape);
  const long pixels = long(grid.rows) * grid.columns, input = long(grid.height) * grid.width;
  const bool has_max = std::find(kinds.begin(), kinds.end(), 0) != kinds.end();
  Tensor maps = recycled({images, all, channels, grid.rows, grid.columns});
  Tensor places = fresh<uint8_t>({has_max ? images : 0, channels, pixels});
  Sums totals(images, count * channels), squares(images, count * channels);
  const Images<T> in(s), to(maps);
  const auto window = shares_of_window<T>(grid);
  for_each_share(images, [&](long share, long first, long last) {
    std::vector<T> zeros(grid.size()), lows(grid.size(), -std::numeric_limits<T>::infinity());
    for (long n = first; n < last; n++)
      for (long c = 0; c < channels; c++) {
        const T* x = in[n] + c * input;
        for (long k = 0; k < count; k++) {
          T* out = to[n] + (k * channels + c) * pixels;
          if (kinds[k] == 0) {
            planes::fill(grid, x, lows.data(), [](T value) { return value; });
            largest(grid, lows.data(), offsets, out, data<uint8_t>(places) + (n * channels + c) * pixels);
          } else {
            planes::fill(grid, x, zeros.data(), [](T value) { return value; });
            const T ones[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
            windows::filter(grid, shape, zeros.data(), ones, out);
            for (long i = 0; i < pixels; i++) out[i] *= window[i];
          }
          totals.of(share)[k * channels + c] += sum(out, pixels);
          squares.of(share)[k * channels + c] += dot(out, out, pixels);
        }
        if (identity) std::copy_n(x, input, to[n] + (count * channels + c) * pixels);
      }
  });
  return {maps, places, totals.tensor({count, channels}), squares.tensor({count, channels})};
}

void mix(const Tensor& maps, const Tensor& coefficients, Tensor out) {
  const long images = maps.size(0), count = maps.size(1), channels = maps.size(2), edges = out.size(1);
  const long pixels = maps.size(3) * maps.size(4);
  const Images<T> from(maps), to(out);
  const T* factors = data<T>(coefficients);
  for_each_share(images, [&](long, long first, long last) {
    for (long n = first; n < last; n++)
      for (long c = 0; c < channels; c++)
        for (long e = 0; e < edges; e++) {
          T* at = to[n] + (e * channels + c) * pixels;
          for (long k = 0; k < count; k++) {
            const T factor = factors[(e * count + k) * channels + c];
            const T* x = from[n] + (k * channels + c) * pixels;
            for (long i = 0; i < pixels; i++) at[i] += factor * x[i];
          }
        }
  });
}

Tensor mix_products(const Tensor& g, const Tensor& maps) {
  const long images = maps.size(0), count = maps.size(1), channels = maps.size(2), edges = g.size(1);
  const long pixels = maps.size(3) * maps.size(4);
  Sums found(images, edges * count * channels);
  const Images<T> by(g), from(maps);
  for_each_share(images, [&](long share, long first, long last) {
    for (long n = first; n < last; n++)
      for (long c = 0; c < channels; c++)
        for (long e = 0; e < edges; e++)
          for (long k = 0; k < count; k++)
            found.of(share)[(e * count + k) * channels + c] +=
                dot(by[n] + (e * channels + c) * pixels, from[n] + (k * channels + c) * pixels, pixels);
  });
  return found.tensor({edges, count, channels});
}

Tensor pool_backward(const Tensor& g, const Tensor& maps, const Tensor& places, const Tensor& coefficients,
                     const Tensor& feedback, const Tensor& constant, const Tensor& s, std::vector<int64_t> kinds,
                     int64_t stride) {
  const long images = s.size(0), channels = s.size(1), count = maps.size(1), edges = g.size(1);
  const Grid grid(s.size(2), s.size(3), stride, 1);
  const auto shape = windows::windows_of(grid, 3, 1);
  const auto offsets = offsets_of(grid, shape);
  const long pixels = long(grid.rows) * grid.columns, input = long(grid.height) * grid.width;
  Tensor towards_s = recycled(s.sizes());
  const Images<T> by(g), of(maps), to(towards_s);
  const T *factors = data<T>(coefficients), *slopes = data<T>(feedback), *constants = data<T>(constant);
  const auto window = shares_of_window<T>(grid);
  for_each_share(images, [&](long, long first, long last) {
    std::vector<T> back(grid.size()), run(grid.padded_length()), place(grid.padded_length()), dense(pixels), rest(pixels);
    for (long n = first; n < last; n++)
      for (long c = 0; c < channels; c++) {
        std::fill(back.begin(), back.end(), T(0));
        std::fill(rest.begin(), rest.end(), T(0));
        for (long k = 0; k < count; k++) {
          const bool pooled = k < long(kinds.size());
          T* towards = pooled ? dense.data() : rest.data();
          const T* x = of[n] + (k * channels + c) * pixels;
          const T by_map = slopes[k * channels + c], start = constants[k * channels + c];
          if (pooled)
            for (long i = 0; i < pixels; i++) towards[i] = by_map * x[i] + start;
          for (long e = 0; e < edges; e++) {
            const T factor = factors[(e * count + k) * channels + c];
            const T* from = by[n] + (e * channels + c) * pixels;
            for (long i = 0; i < pixels; i++) towards[i] += factor * from[i];
          }
          if (!pooled) continue;
          if (kinds[k] == 1)
            for (long i = 0; i < pixels; i++) dense[i] *= window[i];
          // Keeps zeros in the gaps, since each tap adds whole padded rows.
          for (long h = 0; h < grid.rows; h++)
            std::copy_n(&dense[h * grid.columns], grid.columns, &run[h * grid.pitch]);
          if (kinds[k] == 0) {
            const uint8_t* where = data<uint8_t>(places) + (n * channels + c) * pixels;
            for (long h = 0; h < grid.rows; h++)
              for (long w = 0; w < grid.columns; w++) place[h * grid.pitch + w] = where[h * grid.columns + w];
            for (int t = 0; t < 9; t++) {
              T* at = back.data() + offsets[t];
              for (long i = 0; i < grid.length; i += lanes<T>) {
                const Vec<T> mine = load(place.data() + i) == Vec<T>{} + T(t) ? load(run.data() + i) : Vec<T>{};
                store(at + i, load(at + i) + mine);
              }
            }
          } else {
            for (int t = 0; t < 9; t++) {
              T* at = back.data() + offsets[t];
              for (long i = 0; i < grid.length; i += lanes<T>)
                store(at + i, load(at + i) + load(run.data() + i));
            }
          }
        }
        T* out = to[n] + c * input;
        for (long h = 0; h < grid.height; h++) {
          const T* from = back.data() + (h % stride * stride) * grid.plane + grid.start + h / stride * grid.pitch;
          if (stride == 1)
            copy_some(out + h * grid.width, from, grid.width);
          else
            for (long w = 0; w < grid.width; w++) out[h * grid.width + w] = from[w % 2 * grid.plane + w / 2];
        }
        if (count > long(kinds.size()))
          for (long i = 0; i < pixels; i++) out[i] += rest[i];
      }
  });
  return towards_s;
}

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(LIBRARY, library) {
  library.def("pool(Tensor s, int[] kinds, int stride, bool identity) -> (Tensor, Tensor, Tensor, Tensor)");
  library.def("mix(Tensor maps, Tensor coefficients, Tensor(a!) out) -> ()");
  library.def("mix_products(Tensor g, Tensor maps) -> Tensor");
  library.def("pool_backward(Tensor g, Tensor maps, Tensor places, Tensor coefficients, Tensor feedback, "
              "Tensor constant, Tensor s, int[] kinds, int stride) -> Tensor");
}

STABLE_TORCH_LIBRARY_IMPL(LIBRARY, CPU, library) {
  library.impl("pool", TORCH_BOX(&pool));
  library.impl("mix", TORCH_BOX(&mix));
  library.impl("mix_products", TORCH_BOX(&mix_products));
  library.impl("pool_backward", TORCH_BOX(&pool_backward));
}
