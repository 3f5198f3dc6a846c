// Short vectors for the compiler to put into registers, whatever the machine's are called.
#pragma once
#include <cstring>

template <class T>
struct Vectors {
  static constexpr int lanes = 64 / sizeof(T);
  typedef T type __attribute__((vector_size(64), aligned(alignof(T)), may_alias));
};
template <class T>
using Vec = typename Vectors<T>::type;
template <class T>
constexpr int lanes = Vectors<T>::lanes;

template <class T>
inline Vec<T> load(const T* from) {
  return *reinterpret_cast<const Vec<T>*>(from);
}

template <class T>
inline void store(T* to, Vec<T> value) {
  *reinterpret_cast<Vec<T>*>(to) = value;
}

// The first `count` numbers, and zeros behind them.
template <class T>
inline Vec<T> load_some(const T* from, int count) {
  Vec<T> value = {};
  std::memcpy(&value, from, count * sizeof(T));
  return value;
}

// In pieces of fixed sizes: for a few numbers a call of memcpy takes longer than the copy.
template <class T>
inline void copy_some(T* to, const T* from, long count) {
  for (; count >= lanes<T>; count -= lanes<T>, to += lanes<T>, from += lanes<T>) store(to, load(from));
  if (count >= lanes<T> / 2) {
    std::memcpy(to, from, 32);
    count -= lanes<T> / 2, to += lanes<T> / 2, from += lanes<T> / 2;
  }
  for (long i = 0; i < count; i++) to[i] = from[i];
}

template <class T>
inline void store_some(T* to, Vec<T> value, int count) {
  std::memcpy(to, &value, count * sizeof(T));
}

// By halves: the same order for every caller, and a short chain of additions.
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
