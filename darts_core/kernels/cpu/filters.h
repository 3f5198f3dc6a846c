// Applies the filters of all edges and channels in one of two forms: plane by plane, with pixels as vector lanes, or
// bundle by bundle, with channels as vector lanes.
#pragma once
#include "bundles.h"
#include "shares.h"
#include "windows.h"

namespace filters {

// Filters (E, C, side, side), one tensor per kind.
struct Kinds {
  Tensors weights;
  std::vector<int64_t> dilations;
  std::vector<int> sides;
  Kinds(Tensors weights_, std::vector<int64_t> dilations_) : weights(weights_), dilations(dilations_) {
    for (const Tensor& each : weights) sides.push_back(each.size(-1));
  }
  long count() const { return weights.size(); }
  int side(long f) const { return sides[f]; }
  long taps(long f) const { return long(sides[f]) * sides[f]; }
  long reach() const {
    long result = 0;
    for (long f = 0; f < count(); f++) result = std::max<long>(result, side(f) / 2 * dilations[f]);
    return result;
  }
};

template <class T>
T relu(T x) {
  return x < 0 ? T(0) : x;  // preserves NaN, unlike std::max
}

// Zeros, aligned for vectors. Move-only, since a copy may be aligned differently.
template <class T>
class Zeros {
 public:
  explicit Zeros(long size = 0) : numbers_(size + 64 / sizeof(T)) {}
  T* data() { return reinterpret_cast<T*>((reinterpret_cast<uintptr_t>(numbers_.data()) + 63) / 64 * 64); }
  const T* data() const { return const_cast<Zeros*>(this)->data(); }
  long size() const { return numbers_.size() - 64 / sizeof(T); }
  Zeros(Zeros&&) = default;
  Zeros& operator=(Zeros&&) = default;

 private:
  std::vector<T> numbers_;
};

template <class T>
class ByPlane {
 public:
  static constexpr int group = 1;  // channels per call

  ByPlane(const Kinds& kinds, int height, int width, int stride)
      : grid_(height, width, stride, kinds.reach()), kinds_(kinds) {
    for (long f = 0; f < kinds.count(); f++) {
      const Tensor& weights = kinds.weights[f];
      const long count = weights.numel() / kinds.taps(f);
      forward_.push_back(windows::windows_of(grid_, kinds.side(f), kinds.dilations[f]));
      backward_.push_back(forward_[f]);
      for (auto& window : backward_[f]) window = window.turned();
      forward_weights_.push_back(windows::arranged(forward_[f], data<T>(weights), count));
      backward_weights_.push_back(windows::arranged(backward_[f], data<T>(weights), count));
    }
  }
  long room() const { return grid_.size(); }            // of an input
  long backward_room() const { return grid_.plane; }    // of an output's gradient
  long sum_room() const { return grid_.phases * grid_.pixels(); }

  // room: zeros, or filled before. shift: one number per channel, or null.
  void fill(const T* rows, const T* shift, T* room) const {
    if (shift)
      planes::fill(grid_, rows, room, [by = *shift](T x) { return relu(x + by); });
    else
      planes::fill(grid_, rows, room, [](T x) { return relu(x); });
  }
  void fill_backward(const T* rows, T* room) const { planes::fill_output(grid_, rows, room); }
  // filter: index of the group's first filter, by edge and channel.
  void apply(long f, long filter, const T* room, T* rows) const {
    windows::filter(grid_, forward_[f], room, &forward_weights_[f][filter * kinds_.taps(f)], rows);
  }
  void apply_backward(long f, long filter, const T* room, T* rows) const {
    windows::filter(grid_, backward_[f], room, &backward_weights_[f][filter * kinds_.taps(f)], rows);
  }
  // sum: in the layout that `give` reads.
  void add_backward(long f, long filter, const T* room, T* sum) const {
    windows::input_gradient(grid_, backward_[f], &backward_weights_[f][filter * kinds_.taps(f)], room, sum);
  }
  void add_gradient(long f, const T* room, const T* back, double* out) const {
    windows::filter_gradient(grid_, forward_[f], room, back, out);
  }
  void give(const T* sum, T* rows) const { planes::merge_phases(grid_, sum, rows); }

 private:
  planes::Grid grid_;
  const Kinds& kinds_;
  std::vector<std::vector<windows::Window>> forward_, backward_;
  std::vector<std::vector<T>> forward_weights_, backward_weights_;
};

// For stride 1 and a number of channels that fills the bundles.
template <class T>
class ByBundle {
 public:
  static constexpr int group = lanes<T>;

  ByBundle(const Kinds& kinds, int height, int width) : frame_(height, width, kinds.reach()), kinds_(kinds) {
    for (long f = 0; f < kinds.count(); f++) {
      const long taps = kinds.taps(f), numbers = kinds.weights[f].numel();
      const T* from = data<T>(kinds.weights[f]);
      forward_.emplace_back(numbers), backward_.emplace_back(numbers);
      for (long start = 0; start < numbers; start += taps * group)
        for (long t = 0; t < taps; t++)
          for (int lane = 0; lane < group; lane++) {
            const T weight = from[start + lane * taps + t];
            forward_[f].data()[start + t * group + lane] = weight;
            backward_[f].data()[start + (taps - 1 - t) * group + lane] = weight;
          }
    }
  }
  long room() const { return frame_.size * group; }
  long backward_room() const { return room(); }
  long sum_room() const { return frame_.pixels() * group; }

  void fill(const T* rows, const T* shift, T* room) const {
    const Vec<T> by = shift ? load(shift) : Vec<T>{};
    bundles::take(rows, frame_.pixels(), [&](long p, Vec<T> x) {
      x += by;
      store(room + frame_.places[p] * group, x < 0 ? Vec<T>{} : x);
    });
  }
  void fill_backward(const T* rows, T* room) const {
    bundles::take(rows, frame_.pixels(), [&](long p, Vec<T> x) { store(room + frame_.places[p] * group, x); });
  }
  void apply(long f, long filter, const T* room, T* rows) const { into(forward_[f], f, filter, room, rows); }
  void apply_backward(long f, long filter, const T* room, T* rows) const { into(backward_[f], f, filter, room, rows); }
  void add_backward(long f, long filter, const T* room, T* sum) const {
    with_side(f, [&](auto side) {
      bundles::filter<T, decltype(side)::value>(frame_, kinds_.dilations[f], room, backward_[f].data() + filter * kinds_.taps(f),
                                                sum, true);
    });
  }
  // out: (taps, lanes)
  void add_gradient(long f, const T* room, const T* back, double* out) const {
    with_side(f, [&](auto side) {
      bundles::gradient<T, decltype(side)::value>(frame_, kinds_.dilations[f], room, back, out);
    });
  }
  void give(const T* sum, T* rows) const {
    bundles::give(rows, frame_.pixels(), [&](long p) { return load(sum + p * group); });
  }

 private:
  void into(const Zeros<T>& weights, long f, long filter, const T* room, T* rows) const {
    thread_local Zeros<T> out;
    if (out.size() < 2 * sum_room()) out = Zeros<T>(2 * sum_room());
    with_side(f, [&](auto side) {
      bundles::filter<T, decltype(side)::value>(frame_, kinds_.dilations[f], room, weights.data() + filter * kinds_.taps(f),
                                                out.data(), false);
    });
    give(out.data(), out.data() + sum_room());
    std::copy_n(out.data() + sum_room(), sum_room(), rows);
  }
  template <class F>
  void with_side(long f, F call) const {
    switch (kinds_.side(f)) {
      case 3: return call(std::integral_constant<int, 3>());
      case 5: return call(std::integral_constant<int, 5>());
      default: return call(std::integral_constant<int, 7>());
    }
  }

  bundles::Frame frame_;
  const Kinds& kinds_;
  std::vector<Zeros<T>> forward_, backward_;
};

// The largest maps, in pixels, for which bundles are faster. Larger maps fill vectors without two transpositions; in the
// backward pass, bundles save sums across lanes.
constexpr long most_forward = 64, most_backward = 256;

// Calls `call` with the filters in the faster form. most: most pixels of a bundle's maps.
template <class T, class F>
void in_form(long most, const Kinds& kinds, long channels, int height, int width, int stride, F call) {
  if (stride == 1 && channels % lanes<T> == 0 && long(height) * width <= most)
    call(ByBundle<T>(kinds, height, width));
  else
    call(ByPlane<T>(kinds, height, width, stride));
}

// Accumulates the filters' gradients, in the layout of the form that computes them.
struct Gradients {
  const Kinds& kinds;
  std::vector<Sums> sums;
  Gradients(const Kinds& kinds_, long images, bool wanted) : kinds(kinds_) {
    for (long f = 0; wanted && f < kinds.count(); f++) sums.emplace_back(images, kinds.weights[f].numel());
  }
  // filter: index by edge and channel.
  double* of(long share, long f, long filter) { return sums[f].of(share) + filter * kinds.taps(f); }
  // group: number of interleaved filters.
  template <class T>
  Tensors tensors(int group) {
    Tensors result;
    for (size_t f = 0; f < sums.size(); f++) {
      const long taps = kinds.taps(f), numbers = kinds.weights[f].numel();
      result.push_back(fresh<T>(kinds.weights[f].sizes()));
      const double* from = sums[f].total();
      T* to = data<T>(result.back());
      for (long start = 0; start < numbers; start += taps * group)
        for (int lane = 0; lane < group; lane++)
          for (long t = 0; t < taps; t++) to[start + lane * taps + t] = T(from[start + t * group + lane]);
    }
    return result;
  }
};

}  // namespace filters
