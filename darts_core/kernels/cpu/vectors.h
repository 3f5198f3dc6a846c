// Defines portable vectors that the compiler keeps in registers.
#pragma once
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#if defined(__AVX512F__)
constexpr int vector_bytes = 64, registers = 32;
#elif defined(__AVX__)
constexpr int vector_bytes = 32, registers = 16;
#else
constexpr int vector_bytes = 16, registers = 32;
#endif

template <class T, int BYTES>
struct Vectors {
  typedef T type __attribute__((vector_size(BYTES), aligned(alignof(T)), may_alias));
};
template <class T, int BYTES = vector_bytes>
using Vec = typename Vectors<T, BYTES>::type;
template <class T>
constexpr int lanes = vector_bytes / sizeof(T);

template <class T>
inline Vec<T> load(const T* from) {
  return *reinterpret_cast<const Vec<T>*>(from);
}

template <class T>
inline void store(T* to, Vec<T> value) {
  *reinterpret_cast<Vec<T>*>(to) = value;
}

// Copies in pieces of fixed sizes: for a few numbers, a call of memcpy takes longer than the copy.
template <class T>
inline void copy_some(T* to, const T* from, long count) {
  for (; count >= lanes<T>; count -= lanes<T>, to += lanes<T>, from += lanes<T>) store(to, load(from));
  if (count >= lanes<T> / 2) {
    std::memcpy(to, from, vector_bytes / 2);
    count -= lanes<T> / 2, to += lanes<T> / 2, from += lanes<T> / 2;
  }
  for (long i = 0; i < count; i++) to[i] = from[i];
}

template <class T>
inline void store_some(T* to, Vec<T> value, int count) {
  copy_some(to, reinterpret_cast<const T*>(&value), count);
}

// Loads the first `count` numbers, padded with zeros.
template <class T>
inline Vec<T> load_some(const T* from, int count) {
  Vec<T> value = {};
  copy_some(reinterpret_cast<T*>(&value), from, count);
  return value;
}

// Sums by halves: the same order for every caller, and a short chain of additions.
template <class T, int N>
inline T sum_of_lanes(const T* numbers) {
  if constexpr (N * sizeof(T) > 16) {
    typedef T Half __attribute__((vector_size(N * sizeof(T) / 2), aligned(alignof(T)), may_alias));
    const Half total = reinterpret_cast<const Half*>(numbers)[0] + reinterpret_cast<const Half*>(numbers)[1];
    return sum_of_lanes<T, N / 2>(reinterpret_cast<const T*>(&total));
  } else {
    T total = numbers[0];
    for (int i = 1; i < N; i++) total += numbers[i];
    return total;
  }
}

template <class T>
inline T sum_of(Vec<T> value) {
  return sum_of_lanes<T, lanes<T>>(reinterpret_cast<const T*>(&value));
}

// Selects lanes of a, followed by those of b, by index.
template <class T, int... PLACE>
inline Vec<T> chosen(Vec<T> a, Vec<T> b) {
#ifdef __clang__
  return __builtin_shufflevector(a, b, PLACE...);
#else
  typedef std::conditional_t<sizeof(T) == 4, int32_t, int64_t> Places __attribute__((vector_size(vector_bytes)));
  return __builtin_shuffle(a, b, Places{PLACE...});
#endif
}

// Adds both halves of each group of 2 * HALF lanes: groups of half the width, those of a, then those of b.
template <class T, int HALF, int... I>
inline Vec<T> folded(Vec<T> a, Vec<T> b, std::integer_sequence<int, I...>) {
  constexpr auto from = [](int lane, int half) { return lane / HALF * 2 * HALF + lane % HALF + half * HALF; };
  return chosen<T, from(I, 0)...>(a, b) + chosen<T, from(I, 1)...>(a, b);
}

// Transposes as many vectors as each has lanes: swaps blocks of HALF rows and lanes across the diagonal, then smaller ones.
template <class T, int HALF, int... I>
inline void transpose_blocks(Vec<T>* rows, std::integer_sequence<int, I...> all) {
  constexpr int L = lanes<T>;
  constexpr auto upper = [](int lane) { return lane & HALF ? L + lane - HALF : lane; };
  constexpr auto lower = [](int lane) { return lane & HALF ? L + lane : lane + HALF; };
#pragma GCC unroll 16
  for (int i = 0; i < L; i++)
    if (!(i & HALF)) {
      const Vec<T> a = rows[i], b = rows[i + HALF];
      rows[i] = chosen<T, upper(I)...>(a, b);
      rows[i + HALF] = chosen<T, lower(I)...>(a, b);
    }
  if constexpr (HALF > 1) transpose_blocks<T, HALF / 2>(rows, all);
}

template <class T>
inline void transpose(Vec<T>* rows) {
  transpose_blocks<T, lanes<T> / 2>(rows, std::make_integer_sequence<int, lanes<T>>());
}

// totals[i] = sum of the lanes of vectors[i], for i < COUNT, by one tree of additions.
template <class T, int COUNT>
inline void sums_of(Vec<T>* vectors, T* totals) {
  constexpr int L = lanes<T>;
  if constexpr (COUNT % L != 0) {
    for (int i = 0; i < COUNT; i++) totals[i] = sum_of<T>(vectors[i]);
  } else {
    for (int start = 0; start < COUNT; start += L) {
      Vec<T>* v = vectors + start;
      auto fold = [&](auto half) {
        constexpr int H = decltype(half)::value;
#pragma GCC unroll 8
        for (int i = 0; i < H; i++) v[i] = folded<T, H>(v[i], v[i + H], std::make_integer_sequence<int, L>());
      };
      if constexpr (L >= 16) fold(std::integral_constant<int, 8>());
      if constexpr (L >= 8) fold(std::integral_constant<int, 4>());
      if constexpr (L >= 4) fold(std::integral_constant<int, 2>());
      fold(std::integral_constant<int, 1>());
      for (int lane = 0; lane < L; lane++) {
        int place = 0;  // the lane's bits in reverse order
        for (int bit = 1; bit < L; bit *= 2) place = place * 2 + (lane & bit ? 1 : 0);
        totals[start + place] = v[0][lane];
      }
    }
  }
}

template <class T>
inline T sum(const T* x, long length) {
  Vec<T> total[2] = {};
  long i = 0;
  for (; i + 2 * lanes<T> <= length; i += 2 * lanes<T>) {
    total[0] += load(x + i);
    total[1] += load(x + i + lanes<T>);
  }
  for (; i < length; i += lanes<T>) total[0] += load_some(x + i, length - i < lanes<T> ? length - i : lanes<T>);
  return sum_of<T>(total[0] + total[1]);
}

template <class T>
inline T dot(const T* x, const T* y, long length) {
  Vec<T> total[2] = {};
  long i = 0;
  for (; i + 2 * lanes<T> <= length; i += 2 * lanes<T>) {
    total[0] += load(x + i) * load(y + i);
    total[1] += load(x + i + lanes<T>) * load(y + i + lanes<T>);
  }
  for (; i < length; i += lanes<T>) {
    const int count = length - i < lanes<T> ? length - i : lanes<T>;
    total[0] += load_some(x + i, count) * load_some(y + i, count);
  }
  return sum_of<T>(total[0] + total[1]);
}
