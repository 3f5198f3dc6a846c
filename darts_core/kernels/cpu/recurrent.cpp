// Implements the passes over the states of a recurrent search cell; see models/recurrent/mixture.py and state_norm.py.
// All maps are (size, B), dense.
#include "exponentials.h"
#include "shares.h"

namespace {

using T = Number;

using exponentials::activated;
using exponentials::sigmoid;

// Numbers of a map that all edges process before the next ones, so that they stay in the first-level cache.
constexpr long block = 1024;
constexpr int kinds = 5;  // of shares: tanh, relu, sigmoid, identity, and their sum

// Calls f(offset, count) for all vectors of [first, last); count is below the number of lanes only at the end.
template <class T, class F>
inline void for_each_vector(long first, long last, F f) {
  long i = first;
  for (; i + lanes<T> <= last; i += lanes<T>) f(i, std::integral_constant<int, lanes<T>>());
  if (i < last) f(i, int(last - i));
}

template <class T, class Count>
inline Vec<T> read(const T* from, Count count) {
  if constexpr (std::is_same_v<Count, int>) return load_some(from, count);
  else return load(from);
}

template <class T, class Count>
inline void write(T* to, Vec<T> value, Count count) {
  if constexpr (std::is_same_v<Count, int>) store_some(to, value, count);
  else store(to, value);
}

template <class T>
struct Weights {
  T tanh, relu, sigmoid, identity, kept;
  explicit Weights(const T* w) : tanh(w[0]), relu(w[1]), sigmoid(w[2]), identity(w[3]), kept(w[4]) {}
};

void check(const Tensor& state, const Tensor& product, const Tensor& shares, const Tensor& sums) {
  STD_TORCH_CHECK(state.is_contiguous() && product.is_contiguous() && sums.is_contiguous() && shares.is_contiguous(),
              "the maps must be dense");
  STD_TORCH_CHECK(product.size(0) == shares.size(0) && shares.size(1) == kinds && sums.size(0) == product.size(0),
              "one row of shares and one sum for each edge");
}

void mixture(const Tensor& state, const Tensor& product, const Tensor& shares, Tensor sums) {
  check(state, product, shares, sums);
  const long edges = product.size(0), size = state.size(0), batch = state.size(1), map = size * batch;
  const T *s = data<T>(state), *p = data<T>(product), *w = data<T>(shares);
  T* out = data<T>(sums);
  for_each_share(size, [&](long, long from, long to) {
    for (long first = from * batch; first < to * batch; first += block)
      for (long e = 0; e < edges; e++) {
        const Weights<T> share(w + e * kinds);
        const T *c = p + 2 * e * map, *h = c + map;
        for_each_vector<T>(first, std::min(first + block, to * batch), [&](long i, auto count) {
          const Vec<T> x = read(h + i, count);
          const auto [sigmoid_, tanh] = activated<T>(x);
          const Vec<T> kept = share.kept * read(s + i, count);
          const Vec<T> mixed = share.tanh * tanh + share.relu * (x < 0 ? Vec<T>{} : x) + share.sigmoid * sigmoid_ +
                               share.identity * x;
          const Vec<T> edge = kept + sigmoid<T>(read(c + i, count)) * (mixed - kept);
          write(out + e * map + i, read(out + e * map + i, count) + edge, count);
        });
      }
  });
}

std::tuple<Tensor, Tensor> mixture_backward(const Tensor& gradient, const Tensor& state, Tensor product,
                                            const Tensor& shares, bool of_shares) {
  check(state, product, shares, gradient);
  const long edges = product.size(0), size = state.size(0), batch = state.size(1), map = size * batch;
  Tensor past = fresh<T>(state.sizes()), found = fresh<T>(shares.sizes());
  Sums totals(size, edges * kinds);
  const T *s = data<T>(state), *g = data<T>(gradient), *w = data<T>(shares);
  T *p = data<T>(product), *to_past = data<T>(past);
  for_each_share(size, [&](long share_number, long from, long to) {
    for (long first = from * batch; first < to * batch; first += block)
      for (long e = 0; e < edges; e++) {
        const Weights<T> share(w + e * kinds);
        T *c = p + 2 * e * map, *h = c + map;
        Vec<T> of_tanh = {}, of_relu = {}, of_sigmoid = {}, of_identity = {}, of_kept = {};
        for_each_vector<T>(first, std::min(first + block, to * batch), [&](long i, auto count) {
          const Vec<T> x = read(h + i, count), read_state = read(s + i, count), grad = read(g + e * map + i, count);
          const auto [sigmoid_, tanh] = activated<T>(x);
          const Vec<T> gate = sigmoid<T>(read(c + i, count));
          const Vec<T> relu = x < 0 ? Vec<T>{} : x, step = x > 0 ? Vec<T>{} + 1 : Vec<T>{};
          const Vec<T> through = grad * gate, rest = grad - through;
          const Vec<T> mixed = share.tanh * tanh + share.relu * relu + share.sigmoid * sigmoid_ + share.identity * x -
                               share.kept * read_state;
          const Vec<T> slope = share.tanh * (1 - tanh * tanh) + share.relu * step +
                               share.sigmoid * (sigmoid_ * (1 - sigmoid_)) + share.identity;
          write(c + i, grad * mixed * (gate * (1 - gate)), count);
          write(h + i, through * slope, count);
          const Vec<T> kept = share.kept * rest;
          write(to_past + i, e == 0 ? kept : read(to_past + i, count) + kept, count);
          if (of_shares) {
            of_tanh += through * tanh;
            of_relu += through * relu;
            of_sigmoid += through * sigmoid_;
            of_identity += through * x;
            of_kept += rest * read_state;
          }
        });
        double* total = totals.of(share_number) + e * kinds;
        int k = 0;
        for (const Vec<T>& part : {of_tanh, of_relu, of_sigmoid, of_identity, of_kept}) total[k++] += sum_of<T>(part);
      }
  });
  totals.put(found);
  return {past, found};
}

void normalise(const Tensor& x, double eps, Tensor mean, Tensor variance, Tensor inverse, Tensor out) {
  STD_TORCH_CHECK(x.is_contiguous() && out.is_contiguous(), "the maps must be dense");
  const long size = x.size(0), batch = x.size(1);
  const T* from_x = data<T>(x);
  T *m = data<T>(mean), *v = data<T>(variance), *r = data<T>(inverse), *to_out = data<T>(out);
  for_each_share(size, [&](long, long from, long to) {
    for (long f = from; f < to; f++) {
      const T* row = from_x + f * batch;
      T* normalised = to_out + f * batch;
      m[f] = sum(row, batch) / batch;
      for_each_vector<T>(0, batch, [&](long i, auto count) { write(normalised + i, read(row + i, count) - m[f], count); });
      v[f] = dot(normalised, normalised, batch) / batch;
      r[f] = 1 / std::sqrt(v[f] + T(eps));
      for_each_vector<T>(0, batch, [&](long i, auto count) { write(normalised + i, read(normalised + i, count) * r[f], count); });
    }
  });
}

void normalise_backward(const Tensor& gradient, const Tensor& normalised, const Tensor& inverse, Tensor out) {
  STD_TORCH_CHECK(gradient.is_contiguous() && normalised.is_contiguous() && out.is_contiguous(), "the maps must be dense");
  const long size = gradient.size(0), batch = gradient.size(1);
  const T *g = data<T>(gradient), *y = data<T>(normalised), *r = data<T>(inverse);
  T* to_out = data<T>(out);
  for_each_share(size, [&](long, long from, long to) {
    for (long f = from; f < to; f++) {
      const T *grad = g + f * batch, *row = y + f * batch;
      T* result = to_out + f * batch;
      const T mean = sum(grad, batch) / batch, slope = dot(grad, row, batch) / batch;
      for_each_vector<T>(0, batch, [&](long i, auto count) {
        write(result + i, (read(grad + i, count) - mean - read(row + i, count) * slope) * r[f], count);
      });
    }
  });
}

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(LIBRARY, library) {
  library.def("mixture(Tensor state, Tensor product, Tensor shares, Tensor(a!) sums) -> ()");
  library.def("mixture_backward(Tensor gradient, Tensor state, Tensor(a!) product, Tensor shares, bool of_shares) "
              "-> (Tensor, Tensor)");
  library.def("normalise(Tensor x, float eps, Tensor(a!) mean, Tensor(b!) variance, Tensor(c!) inverse, "
              "Tensor(d!) out) -> ()");
  library.def("normalise_backward(Tensor gradient, Tensor normalised, Tensor inverse, Tensor(a!) out) -> ()");
}

STABLE_TORCH_LIBRARY_IMPL(LIBRARY, CPU, library) {
  library.impl("mixture", TORCH_BOX(&mixture));
  library.impl("mixture_backward", TORCH_BOX(&mixture_backward));
  library.impl("normalise", TORCH_BOX(&normalise));
  library.impl("normalise_backward", TORCH_BOX(&normalise_backward));
}
