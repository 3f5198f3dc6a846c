// Computes the logistic function and the hyperbolic tangent of a number by a single exponential.
#pragma once
#include "vectors.h"
#include <cstdint>

namespace exponentials {

template <class T>
struct Constants;
template <>
struct Constants<float> {
  using Integer = int32_t;
  static constexpr int mantissa = 23, bias = 127, degree = 8;
  // e^most and (e^most_twice)^2 are finite.
  static constexpr float most = 87, most_twice = 43, rounding = 12582912.0f;
  static constexpr float ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f;
};
template <>
struct Constants<double> {
  using Integer = int64_t;
  static constexpr int mantissa = 52, bias = 1023, degree = 13;
  static constexpr double most = 700, most_twice = 350, rounding = 6755399441055744.0;
  static constexpr double ln2_high = 6.93145751953125e-1, ln2_low = 1.42860682030941723212e-6;
};

template <class T>
constexpr T one_over_factorial(int n) {
  T value = 1;
  for (int k = 2; k <= n; k++) value /= k;
  return value;
}

// Returns e^x - 1 for |x| <= most, accurate also near 0.
template <class T>
inline Vec<T> minus_one(Vec<T> x) {
  using C = Constants<T>;
  typedef typename C::Integer Integers __attribute__((vector_size(vector_bytes)));
  const Vec<T> halvings = (x * T(1.4426950408889634) + C::rounding) - C::rounding;
  const Vec<T> rest = (x - halvings * C::ln2_high) - halvings * C::ln2_low;
  Vec<T> series = rest * one_over_factorial<T>(C::degree) + one_over_factorial<T>(C::degree - 1);
  for (int k = C::degree - 2; k > 0; k--) series = series * rest + one_over_factorial<T>(k);
  const Integers exponent = (__builtin_convertvector(halvings, Integers) + C::bias) << C::mantissa;
  const Vec<T> scale = (Vec<T>)exponent;
  return scale * (series * rest) + (scale - 1);
}

template <class T>
struct Activated {
  Vec<T> sigmoid, tanh;
};

template <class T>
inline Vec<T> within(Vec<T> x, T limit) {
  // These comparisons preserve NaN.
  const Vec<T> most = Vec<T>{} + limit;
  x = x > most ? most : x;
  return x < -most ? -most : x;
}

template <class T>
inline Vec<T> sigmoid(Vec<T> x) {
  return 1 / (minus_one<T>(within<T>(-x, Constants<T>::most)) + 2);
}

template <class T>
inline Activated<T> activated(Vec<T> x) {
  const Vec<T> once = minus_one<T>(within<T>(-x, Constants<T>::most_twice));
  const Vec<T> twice = once * (once + 2);  // e^-2x - 1
  return {1 / (once + 2), -twice / (twice + 2)};
}

}  // namespace exponentials
