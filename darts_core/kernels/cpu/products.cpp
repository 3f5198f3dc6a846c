// Multiplies small matrices with wide ones.
#include "products.h"
#include "number.h"
#include "strips.h"
#include "vectors.h"

namespace products {
namespace {

// Copies a strip of all x, B vectors wide, to contiguous memory: rows that are whole pages apart collide in caches.
template <class T, int B>
void pack(std::initializer_list<Term<T>> terms, long at, int part, T* strip) {
  for (const auto& term : terms)
    for (int k = 0; k < term.inner; k++, strip += B * lanes<T>) {
      const T* from = term.x + k * term.ldx + at;
#pragma GCC unroll 3
      for (int b = 0; b < B; b++)
        store(strip + b * lanes<T>, part && b == B - 1 ? load_some(from + b * lanes<T>, part) : load(from + b * lanes<T>));
    }
}

// FIRST: prefetches part of the memory after x, which is needed next, in sequential order: strips of rows that are pages
// apart load several times slower.
template <class T, int R, int B, bool FIRST>
void rows_times(std::initializer_list<Term<T>> terms, int row, const T* strip, T* out, long ldo, const T* bias, bool add,
                long at, int part) {
  out += at;
  constexpr int L = lanes<T>;
  Vec<T> total[R][B];
#pragma GCC unroll 8
  for (int r = 0; r < R; r++)
#pragma GCC unroll 3
    for (int b = 0; b < B; b++) {
      const T start = bias ? bias[row + r] : T(0);
      const T* to = out + r * ldo + b * L;
      total[r][b] = Vec<T>{} + start;
      if (add) total[r][b] += part && b == B - 1 ? load_some(to, part) : load(to);
    }
  for (const auto& term : terms) {
    const T *a = term.a + long(row) * term.lda, *next = term.x + term.inner * (term.ldx + at);
    for (int k = 0; k < term.inner; k++, strip += B * L, next += B * L) {
      if (FIRST)
        for (int b = 0; b < B; b++) __builtin_prefetch(next + b * L, 0, 2);
      Vec<T> from[B];
#pragma GCC unroll 3
      for (int b = 0; b < B; b++) from[b] = load(strip + b * L);
#pragma GCC unroll 8
      for (int r = 0; r < R; r++) {
        const T factor = a[r * term.lda + k];
#pragma GCC unroll 3
        for (int b = 0; b < B; b++) total[r][b] += factor * from[b];
      }
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; r++)
#pragma GCC unroll 3
    for (int b = 0; b < B; b++) {
      T* to = out + r * ldo + b * L;
      if (part && b == B - 1)
        store_some(to, total[r][b], part);
      else
        store(to, total[r][b]);
    }
}

template <class T, int B>
void strip_times(std::initializer_list<Term<T>> terms, int rows, T* out, long ldo, long at, int part, const T* bias,
                 bool add, T* strip) {
  pack<T, B>(terms, at, part, strip);
  int r = 0;
  auto next = [&](auto block) {
    constexpr int R = decltype(block)::value;
    for (; r + R <= rows; r += R)
      if (r == 0)
        rows_times<T, R, B, true>(terms, r, strip, out, ldo, bias, add, at, part);
      else
        rows_times<T, R, B, false>(terms, r, strip, out + r * ldo, ldo, bias, add, at, part);
  };
  if (registers >= 32) next(std::integral_constant<int, 8>());
  next(std::integral_constant<int, 4>());
  next(std::integral_constant<int, 1>());
}

}  // namespace

template <class T>
void multiply(std::initializer_list<Term<T>> terms, int rows, T* out, long ldo, long length, const T* bias, bool add) {
  constexpr int L = lanes<T>;
  long inner = 0;
  for (const auto& term : terms) inner += term.inner;
  T* strip = room<T>(inner * 3 * L);
  for (long i = 0; i < length;) {
    const long vectors = (length - i + L - 1) / L;
    const int part = vectors <= 3 && vectors != 0 ? (length - i) % L : 0;
    if (vectors == 3 || vectors > 4) {
      strip_times<T, 3>(terms, rows, out, ldo, i, part, bias, add, strip);
      i += 3 * L;
    } else if (vectors == 1) {
      strip_times<T, 1>(terms, rows, out, ldo, i, part, bias, add, strip);
      i += L;
    } else {
      strip_times<T, 2>(terms, rows, out, ldo, i, vectors == 2 ? part : 0, bias, add, strip);
      i += 2 * L;
    }
  }
}

template void multiply(std::initializer_list<Term<Number>>, int, Number*, long, long, const Number*, bool);

}  // namespace products
