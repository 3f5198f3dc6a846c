// Sums products of the rows of maps over the pixels of images.
#include <algorithm>
#include "number.h"
#include "products.h"
#include "strips.h"
#include "vectors.h"

namespace products {
namespace {

template <class T, int A, int B>
inline void block_by_pixels(const Rows<T>& x, const Rows<T>& y, int a0, int b0, long images, long begin, long end,
                        double* out, int ldo) {
  constexpr int L = lanes<T>;
  Vec<T> total[A * B] = {};
  for (long n = 0; n < images; n++) {
    const T *from_x = x.data + n * x.image + a0 * x.row + begin, *from_y = y.data + n * y.image + b0 * y.row + begin;
    auto add = [&](auto get) {
      Vec<T> row[B];
#pragma GCC unroll 4
      for (int b = 0; b < B; b++) row[b] = get(from_y + b * y.row);
#pragma GCC unroll 4
      for (int a = 0; a < A; a++) {
        const Vec<T> factor = get(from_x + a * x.row);
#pragma GCC unroll 4
        for (int b = 0; b < B; b++) total[a * B + b] += factor * row[b];
      }
    };
    long i = begin;
    for (; i + L <= end; i += L, from_x += L, from_y += L) add([](const T* at) { return load(at); });
    if (i < end) add([&](const T* at) { return load_some(at, end - i); });
  }
  T sums[A * B];
  sums_of<T, A * B>(total, sums);
  for (int a = 0; a < A; a++)
    for (int b = 0; b < B; b++) out[(a0 + a) * ldo + b0 + b] += sums[a * B + b];
}

// Each lane is a pixel; a block ends with sums across lanes.
template <class T>
void outer_by_pixels(const Rows<T>& x, const Rows<T>& y, long images, long length, double* out, int ldo, bool symmetric) {
  constexpr long tile = 512;  // pixels: the rows of both operands stay in the first-level cache
  auto size_at = [](int at, int rows) { return rows - at >= 4 ? 4 : rows - at >= 2 ? 2 : 1; };
  for (long begin = 0; begin < length; begin += tile)
    for (int a = 0, m; a < x.count; a += m) {
      m = size_at(a, x.count);
      for (int b = symmetric ? a : 0, k; b < y.count; b += k) {
        k = size_at(b, y.count);
        auto with = [&](auto count_x, auto count_y) {
          block_by_pixels<T, decltype(count_x)::value, decltype(count_y)::value>(
              x, y, a, b, images, begin, begin + tile < length ? begin + tile : length, out, ldo);
        };
        auto by_y = [&](auto count_x) {
          if (k == 4) with(count_x, std::integral_constant<int, 4>());
          else if (k == 2) with(count_x, std::integral_constant<int, 2>());
          else with(count_x, std::integral_constant<int, 1>());
        };
        if (m == 4) by_y(std::integral_constant<int, 4>());
        else if (m == 2) by_y(std::integral_constant<int, 2>());
        else by_y(std::integral_constant<int, 1>());
      }
    }
}

// Transposes y (count, pixels) to turned (pixels, width), padded with zeros to whole vectors. Prefetches the rows after y,
// which are needed next. Apart, since the loops around it need the registers.
template <class T>
[[gnu::noinline]] void turn(const T* y, long row, int count, int pixels, T* turned, int width) {
  constexpr int L = lanes<T>;
  for (int c = 0; c < width; c += L)
    for (int p = 0; p < pixels; p += L) {
      const int rows = std::min(L, count - c), columns = std::min(L, pixels - p);
      Vec<T> block[L];
      for (int i = 0; i < L; i++) {
        const T* from = y + (c + i) * row + p;
        block[i] = i >= rows ? Vec<T>{} : columns == L ? load(from) : load_some(from, columns);
        __builtin_prefetch(from + count * row, 0, 2);
      }
      transpose<T>(block);
      for (int i = 0; i < columns; i++) store(turned + (p + i) * width + c, block[i]);
    }
}

template <class T, int A, int B>
inline void block_by_rows(const Rows<T>& x, const T* from, long images, long pixels, const T* turned, int width,
                          double* out, int ldo, int count) {
  constexpr int L = lanes<T>;
  Vec<T> total[A][B] = {};
  for (long n = 0; n < images; n++, from += x.image)
    for (long p = 0; p < pixels; p++, turned += width) {
      Vec<T> y[B];
#pragma GCC unroll 2
      for (int b = 0; b < B; b++) y[b] = load(turned + b * L);
#pragma GCC unroll 8
      for (int a = 0; a < A; a++) {
        const T factor = from[a * x.row + p];
#pragma GCC unroll 2
        for (int b = 0; b < B; b++) total[a][b] += factor * y[b];
      }
    }
  auto add = [&](int columns) {
    for (int a = 0; a < A; a++)
      for (int i = 0; i < columns; i++) out[a * ldo + i] += reinterpret_cast<const T*>(total[a])[i];
  };
  if (count >= B * L)
    add(B * L);
  else
    add(count);
}

// Each lane is a row of y, which is transposed first: blocks need no sums across lanes and read contiguous memory.
template <class T>
void outer_by_rows(const Rows<T>& x, const Rows<T>& y, long images, long length, double* out, int ldo, bool symmetric) {
  constexpr int L = lanes<T>;
  constexpr long tile = 256;  // pixels: longer sums would lose precision
  const int width = (y.count + L - 1) / L * L;
  const long pixels = std::min(tile, length), most = std::max(1L, std::min(images, tile / pixels));
  T* turned = room<T>(most * pixels * width);
  auto take = [&](long n, long begin, long some, long pixels) {
    for (long i = 0; i < some; i++)
      turn(y.data + (n + i) * y.image + begin, y.row, y.count, pixels, turned + i * pixels * width, width);
    const T* from = x.data + n * x.image + begin;
    int a = 0;
    auto next = [&](auto block) {
      constexpr int A = decltype(block)::value;
      for (; a + A <= x.count; a += A)
        for (int b = symmetric ? a / L * L : 0; b < width; b += 2 * L) {
          auto with = [&](auto vectors) {
            block_by_rows<T, A, decltype(vectors)::value>(x, from + a * x.row, some, pixels, turned + b, width,
                                                          out + long(a) * ldo + b, ldo, y.count - b);
          };
          if (b + L < width)
            with(std::integral_constant<int, 2>());
          else
            with(std::integral_constant<int, 1>());
        }
    };
    if (registers >= 32) next(std::integral_constant<int, 8>());
    next(std::integral_constant<int, 4>());
    next(std::integral_constant<int, 1>());
  };
  for (long n = 0; n < images; n += most)
    for (long begin = 0; begin < length; begin += pixels)
      take(n, begin, std::min(most, images - n), std::min(pixels, length - begin));
}

// The smaller blocks of `outer_by_pixels` skip more of a symmetric product.
template <class T>
bool by_rows(int count, bool symmetric) {
  return count >= lanes<T> * (symmetric ? 2 : 1);
}

}  // namespace

template <class T>
void outer(const Rows<T>& x, const Rows<T>& y, long images, long length, double* out, int ldo, bool symmetric) {
  if (by_rows<T>(y.count, symmetric))
    outer_by_rows(x, y, images, length, out, ldo, symmetric);
  else
    outer_by_pixels(x, y, images, length, out, ldo, symmetric);
}

template void outer(const Rows<Number>&, const Rows<Number>&, long, long, double*, int, bool);

}  // namespace products
