// Products of a small matrix with wide ones, whose rows are the maps of an image: some rows, many pixels.
#pragma once
#include <type_traits>
#include "vectors.h"

namespace products {

template <class T, int R, int B>
inline void rows_times(const T* a, int lda, int inner, const T* x, long ldx, T* out, long ldo, const T* bias, bool add,
                       int part) {
  Vec<T> total[R][B];
#pragma GCC unroll 8
  for (int r = 0; r < R; r++)
#pragma GCC unroll 2
    for (int b = 0; b < B; b++) {
      const T start = bias ? bias[r] : T(0);
      const T* at = out + r * ldo + b * lanes<T>;
      total[r][b] = add ? (part ? load_some(at, part) : load(at)) + start : Vec<T>{} + start;
    }
  for (int k = 0; k < inner; k++) {
    Vec<T> row[B];
#pragma GCC unroll 2
    for (int b = 0; b < B; b++) {
      const T* at = x + k * ldx + b * lanes<T>;
      row[b] = part ? load_some(at, part) : load(at);
    }
#pragma GCC unroll 8
    for (int r = 0; r < R; r++) {
      const T factor = a[r * lda + k];
#pragma GCC unroll 2
      for (int b = 0; b < B; b++) total[r][b] += factor * row[b];
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; r++)
#pragma GCC unroll 2
    for (int b = 0; b < B; b++) {
      T* at = out + r * ldo + b * lanes<T>;
      if (part)
        store_some(at, total[r][b], part);
      else
        store(at, total[r][b]);
    }
}

template <class T, int R>
void block_times(const T* a, int lda, int inner, const T* x, long ldx, T* out, long ldo, long length, const T* bias,
                 bool add) {
  constexpr int L = lanes<T>;
  long i = 0;
  for (; i + 2 * L <= length; i += 2 * L) rows_times<T, R, 2>(a, lda, inner, x + i, ldx, out + i, ldo, bias, add, 0);
  if (i + L <= length) {
    rows_times<T, R, 1>(a, lda, inner, x + i, ldx, out + i, ldo, bias, add, 0);
    i += L;
  }
  if (i < length) rows_times<T, R, 1>(a, lda, inner, x + i, ldx, out + i, ldo, bias, add, length - i);
}

// out (rows, length) = or += a (rows, inner) x (inner, length) + bias (rows), which may be null.
template <class T>
void multiply(const T* a, int lda, int rows, int inner, const T* x, long ldx, T* out, long ldo, long length,
              const T* bias, bool add) {
  int r = 0;
  auto next = [&](auto block) {
    constexpr int R = decltype(block)::value;
    for (; r + R <= rows; r += R)
      block_times<T, R>(a + r * lda, lda, inner, x, ldx, out + r * ldo, ldo, length, bias ? bias + r : nullptr, add);
  };
  next(std::integral_constant<int, 8>());
  next(std::integral_constant<int, 4>());
  next(std::integral_constant<int, 1>());
}

// Some rows of each of several images: `row` numbers from a row to the next, `image` from an image to the next.
template <class T>
struct Rows {
  const T* data;
  int count;
  long row, image;
};

template <class T, int A, int B>
inline void block_outer(const Rows<T>& x, const Rows<T>& y, int a0, int b0, long images, long length, double* out,
                        int ldo) {
  constexpr int L = lanes<T>;
  Vec<T> total[A][B] = {};
  for (long n = 0; n < images; n++) {
    const T *from_x = x.data + n * x.image + a0 * x.row, *from_y = y.data + n * y.image + b0 * y.row;
    auto add = [&](auto get) {
      Vec<T> row[B];
#pragma GCC unroll 4
      for (int b = 0; b < B; b++) row[b] = get(from_y + b * y.row);
#pragma GCC unroll 4
      for (int a = 0; a < A; a++) {
        const Vec<T> factor = get(from_x + a * x.row);
#pragma GCC unroll 4
        for (int b = 0; b < B; b++) total[a][b] += factor * row[b];
      }
    };
    long i = 0;
    for (; i + L <= length; i += L, from_x += L, from_y += L) add([](const T* at) { return load(at); });
    if (i < length) add([&](const T* at) { return load_some(at, length - i); });
  }
  for (int a = 0; a < A; a++)
    for (int b = 0; b < B; b++) out[(a0 + a) * ldo + b0 + b] += sum_of<T>(total[a][b]);
}

// out (x.count, y.count) += x y^T over the pixels of all images. `symmetric`: x is y, of which half is computed.
template <class T>
void outer(const Rows<T>& x, const Rows<T>& y, long images, long length, double* out, int ldo, bool symmetric) {
  auto size_at = [](int at, int rows) { return rows - at >= 4 ? 4 : rows - at >= 2 ? 2 : 1; };
  for (int a = 0, m; a < x.count; a += m) {
    m = size_at(a, x.count);
    for (int b = symmetric ? a : 0, k; b < y.count; b += k) {
      k = size_at(b, y.count);
      auto with = [&](auto count_x, auto count_y) {
        block_outer<T, decltype(count_x)::value, decltype(count_y)::value>(x, y, a, b, images, length, out, ldo);
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

}  // namespace products
