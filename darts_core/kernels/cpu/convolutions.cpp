// The passes over the maps of separable and dilated convolutions; what each does is said in models/fused/passes.py.
#include "outer.h"
#include "products.h"
#include "recycled.h"
#include "shares.h"
#include "windows.h"

namespace {

using planes::Grid;
using windows::Window;

template <class T>
T relu(T x) {
  return x < 0 ? T(0) : x;  // not the maximum: NaN stays
}

long reach_of(const Tensors& filters, const std::vector<int64_t>& dilations) {
  long reach = 0;
  for (size_t f = 0; f < filters.size(); f++) reach = std::max<long>(reach, filters[f].size(-1) / 2 * dilations[f]);
  return reach;
}

// Of each filter.
std::vector<std::vector<Window>> all_windows(const Grid& grid, const Tensors& filters,
                                             const std::vector<int64_t>& dilations) {
  std::vector<std::vector<Window>> result;
  for (size_t f = 0; f < filters.size(); f++)
    result.push_back(windows::windows_of(grid, filters[f].size(-1), dilations[f]));
  return result;
}

std::vector<std::vector<Window>> turned(std::vector<std::vector<Window>> all) {
  for (auto& some : all)
    for (auto& window : some) window = window.turned();
  return all;
}

// The filters of all edges and channels, their weights in the order of the windows' taps.
template <class T>
struct Arranged {
  std::vector<std::vector<T>> weights;
  std::vector<long> sizes;
  Arranged(const std::vector<std::vector<Window>>& shapes, const Tensors& filters) {
    for (size_t f = 0; f < filters.size(); f++) {
      sizes.push_back(filters[f].size(-1) * filters[f].size(-1));
      weights.push_back(windows::arranged(shapes[f], filters[f].data_ptr<T>(), filters[f].numel() / sizes[f]));
    }
  }
  // of: edge and channel
  const T* operator()(long f, long of) const { return &weights[f][of * sizes[f]]; }
};

// Sums and products of the maps of all edges and kinds, (E, K, C) and (E, K, C, C).
struct MomentSums {
  long edges, kinds, channels;
  Sums total, products;
  MomentSums(long images, long edges_, long kinds_, long channels_)
      : edges(edges_), kinds(kinds_), channels(channels_), total(images, edges_ * kinds_ * channels_),
        products(images, edges_ * kinds_ * channels_ * channels_) {}
  // x and y: the map of the first of some images; the others follow at their distances.
  template <class T>
  void add(long share, long map, const T* x, long image_x, const T* y, long image_y, long images, long pixels) {
    const int count = channels;
    for (long n = 0; n < images; n++)
      for (long c = 0; c < channels; c++)
        total.of(share)[map * channels + c] += sum(x + n * image_x + c * pixels, pixels);
    products::outer<T>({x, count, pixels, image_x}, {y, count, pixels, image_y}, images, pixels,
                       products.of(share) + map * channels * channels, count, x == y);
  }
  std::tuple<Tensor, Tensor> tensors(bool symmetric) {
    Tensor sums = total.tensor({edges, kinds, channels});
    Tensor all = products.tensor({edges, kinds, channels, channels});
    if (symmetric) {  // blocks above the diagonal were computed, and the diagonal
      double* p = all.data_ptr<double>();
      for (long map = 0; map < edges * kinds; map++, p += channels * channels)
        for (long i = 0; i < channels; i++)
          for (long j = 0; j < i; j++) p[i * channels + j] = p[j * channels + i];
    }
    return {sums, all};
  }
};

std::tuple<Tensor, Tensor, Tensor, Tensor> source(const Tensor& s, Tensors filters, std::vector<int64_t> dilations,
                                                  int64_t separable, int64_t stride, bool moments) {
  const long images = s.size(0), channels = s.size(1), edges = filters[0].size(0), kinds = filters.size();
  const Grid grid(s.size(2), s.size(3), stride, reach_of(filters, dilations));
  const auto shapes = all_windows(grid, filters, dilations);
  const long pixels = long(grid.rows) * grid.columns, map = channels * pixels;
  Tensor u = recycled({images, edges, separable, channels, grid.rows, grid.columns}, s.options());
  Tensor v = recycled({images, edges, kinds, channels, grid.rows, grid.columns}, s.options());
  MomentSums found(moments ? images : 0, edges, kinds, channels);
  AT_DISPATCH_FLOATING_TYPES(s.scalar_type(), "source", [&] {
    using T = scalar_t;
    const Images<T> in(s), to_u(u), to_v(v);
    const Arranged<T> weights_of(shapes, filters);
    for_each_share(images, [&](long share, long first, long last) {
      std::vector<T> inputs(grid.size() * channels);
      for (long n = first; n < last; n++) {
        for (long c = 0; c < channels; c++)
          planes::fill(grid, in[n] + c * grid.height * grid.width, &inputs[c * grid.size()], relu<T>);
        for (long e = 0; e < edges; e++)
          for (long f = 0; f < kinds; f++) {
            T* out = f < separable ? to_u[n] + (e * separable + f) * map : to_v[n] + (e * kinds + f) * map;
            for (long c = 0; c < channels; c++)
              windows::filter(grid, shapes[f], &inputs[c * grid.size()], weights_of(f, e * channels + c), out + c * pixels);
            const long before = products::together(pixels, last - first);
            if (moments && (before == 1 || n + 1 == last)) {
              const long image = f < separable ? to_u.stride : to_v.stride;
              const T* from = out - (before - 1) * image;
              found.add(share, e * kinds + f, from, image, from, image, before, pixels);
            }
          }
      }
    });
  });
  if (!moments) return {u, v, Tensor(), Tensor()};
  auto [total, products] = found.tensors(true);
  return {u, v, total, products};
}

std::tuple<Tensor, Tensor, Tensor> inner(const Tensor& u, const Tensor& a, const Tensor& b, Tensors filters, Tensor v,
                                         bool moments) {
  const long images = u.size(0), edges = u.size(1), kinds = u.size(2), channels = u.size(3), all = v.size(2);
  const Grid grid(u.size(4), u.size(5), 1, reach_of(filters, std::vector<int64_t>(kinds, 1)));
  const auto shapes = all_windows(grid, filters, std::vector<int64_t>(kinds, 1));
  const long pixels = long(grid.rows) * grid.columns, map = channels * pixels;
  Tensor y = recycled(u.sizes(), u.options());
  MomentSums found(moments ? images : 0, edges, kinds, channels);
  AT_DISPATCH_FLOATING_TYPES(u.scalar_type(), "inner", [&] {
    using T = scalar_t;
    const Images<T> from(u), to_y(y), to_v(v);
    const Arranged<T> weights_of(shapes, filters);
    for_each_share(images, [&](long share, long first, long last) {
      std::vector<T> plane(grid.size());
      for (long n = first; n < last; n++)
        for (long e = 0; e < edges; e++)
          for (long f = 0; f < kinds; f++) {
            const long k = e * kinds + f;
            const int count = channels;
            T *middle = to_y[n] + k * map, *out = to_v[n] + (e * all + f) * map;
            products::multiply<T>({{a.data_ptr<T>() + k * channels * channels, count, count, from[n] + k * map, pixels}},
                                  count, middle, pixels, pixels, nullptr, false);
            for (long c = 0; c < channels; c++) {
              const T shift = b.data_ptr<T>()[k * channels + c];
              planes::fill(grid, middle + c * pixels, plane.data(), [=](T x) { return relu(x + shift); });
              windows::filter(grid, shapes[f], plane.data(), weights_of(f, e * channels + c), out + c * pixels);
            }
            const long before = products::together(pixels, last - first);
            if (moments && (before == 1 || n + 1 == last)) {
              const T* start = out - (before - 1) * to_v.stride;
              found.add(share, k, start, to_v.stride, start, to_v.stride, before, pixels);
            }
          }
    });
  });
  if (!moments) return {y, Tensor(), Tensor()};
  auto [total, products] = found.tensors(true);
  return {y, total, products};
}

void gather(const Tensor& v, const Tensor& a, Tensor out) {
  const long images = v.size(0), edges = v.size(1), pixels = v.size(4) * v.size(5);
  const int rows = out.size(2), inner = v.size(2) * v.size(3);
  AT_DISPATCH_FLOATING_TYPES(v.scalar_type(), "gather", [&] {
    using T = scalar_t;
    const Images<T> from(v), to(out);
    for_each_share(images, [&](long, long first, long last) {
      for (long n = first; n < last; n++)
        for (long e = 0; e < edges; e++)
          products::multiply<T>({{a.data_ptr<T>() + e * rows * inner, inner, inner, from[n] + e * inner * pixels, pixels}},
                                rows, to[n] + e * rows * pixels, pixels, pixels, nullptr, true);
    });
  });
}

Tensor products_of(const Tensor& g, const Tensor& v) {
  const long images = v.size(0), edges = v.size(1), kinds = v.size(2), channels = v.size(3);
  const long pixels = v.size(4) * v.size(5), map = channels * pixels, matrix = channels * channels;
  Sums found(images, edges * kinds * matrix);
  AT_DISPATCH_FLOATING_TYPES(v.scalar_type(), "products", [&] {
    using T = scalar_t;
    const Images<T> from(v), by(g);
    for_each_share(images, [&](long share, long first, long last) {
      const int count = channels;
      const long step = products::together(pixels, last - first);
      for (long n = first; n < last; n += step)
        for (long e = 0; e < edges; e++)
          for (long f = 0; f < kinds; f++)
            products::outer<T>({by[n] + e * map, count, pixels, by.stride},
                               {from[n] + (e * kinds + f) * map, count, pixels, from.stride}, step, pixels,
                               found.of(share) + (e * kinds + f) * matrix, count, false);
    });
  });
  return found.tensor({edges, kinds, channels, channels});
}

// The gradient of a map u of y = W u: direct g + feedback u + constant. With BatchNorm's running statistics, direct g.
struct Inputs {
  Tensor direct;
  MaybeTensor feedback, constant;
  long channels;
  Inputs(Tensor direct_, MaybeTensor feedback_, MaybeTensor constant_)
      : direct(direct_), feedback(feedback_), constant(constant_), channels(direct_.size(-1)) {}
  template <class T>
  void towards(long k, const T* g, const T* u, long pixels, T* out) const {
    const long matrix = k * channels * channels;
    const int count = channels;
    const products::Term<T> of_g{direct.data_ptr<T>() + matrix, count, count, g, pixels};
    if (!feedback) return products::multiply<T>({of_g}, count, out, pixels, pixels, nullptr, false);
    products::multiply<T>({of_g, {feedback->data_ptr<T>() + matrix, count, count, u, pixels}}, count, out, pixels, pixels,
                          constant->data_ptr<T>() + k * channels, false);
  }
};

struct FilterSums {
  Tensors like;
  std::vector<Sums> sums;
  FilterSums(const Tensors& filters, long images, bool wanted) : like(wanted ? filters : Tensors()) {
    for (const auto& filter : like) sums.emplace_back(images, filter.numel());
  }
  // filter: of edge and channel
  double* of(long share, long f, long filter) {
    return sums[f].of(share) + filter * like[f].size(-1) * like[f].size(-1);
  }
  template <class T>
  Tensors tensors() {
    Tensors result;
    for (size_t f = 0; f < like.size(); f++) {
      result.push_back(fresh(like[f].sizes(), like[f].scalar_type()));
      sums[f].template put<T>(result.back());
    }
    return result;
  }
};

std::tuple<Tensor, Tensor, Tensor, Tensors> inner_backward(const Tensor& g, const Tensor& v, const Tensor& direct,
                                                           MaybeTensor feedback, MaybeTensor constant, const Tensor& y,
                                                           const Tensor& b, const Tensor& u, Tensors filters,
                                                           bool weights) {
  const long images = u.size(0), edges = u.size(1), kinds = u.size(2), channels = u.size(3), all = v.size(2);
  const Grid grid(u.size(4), u.size(5), 1, reach_of(filters, std::vector<int64_t>(kinds, 1)));
  const auto shapes = all_windows(grid, filters, std::vector<int64_t>(kinds, 1));
  const long pixels = long(grid.rows) * grid.columns, map = channels * pixels;
  const auto backwards = turned(shapes);
  const Inputs inputs(direct, feedback, constant);
  Tensor towards_y = recycled(y.sizes(), y.options());
  MomentSums found(images, edges, kinds, channels);
  FilterSums gradients(filters, images, weights);
  Tensors towards_filters;
  AT_DISPATCH_FLOATING_TYPES(u.scalar_type(), "inner_backward", [&] {
    using T = scalar_t;
    const Images<T> by(g), of_v(v), of_y(y), of_u(u), to(towards_y);
    const Arranged<T> weights_of(backwards, filters);
    for_each_share(images, [&](long share, long first, long last) {
      std::vector<T> plane(grid.size()), back(grid.plane), scratch(map);
      for (long n = first; n < last; n++)
        for (long e = 0; e < edges; e++)
          for (long f = 0; f < kinds; f++) {
            const long k = e * kinds + f;
            inputs.towards(e * all + f, by[n] + e * map, of_v[n] + (e * all + f) * map, pixels, scratch.data());
            for (long c = 0; c < channels; c++) {
              const T shift = b.data_ptr<T>()[k * channels + c], *before = of_y[n] + k * map + c * pixels;
              T* out = to[n] + k * map + c * pixels;
              planes::fill_output(grid, &scratch[c * pixels], back.data());
              if (weights) {
                planes::fill(grid, before, plane.data(), [=](T x) { return relu(x + shift); });
                windows::filter_gradient(grid, shapes[f], plane.data(), back.data(),
                                         gradients.of(share, f, e * channels + c));
              }
              windows::filter(grid, backwards[f], back.data(), weights_of(f, e * channels + c), out);
              for (long i = 0; i < pixels; i++) out[i] = before[i] + shift > 0 ? out[i] : T(0);
            }
            const long before = products::together(pixels, last - first);
            if (before == 1 || n + 1 == last) {
              const long start = n + 1 - before;
              found.add(share, k, to[start] + k * map, to.stride, of_u[start] + k * map, of_u.stride, before, pixels);
            }
          }
    });
    towards_filters = gradients.tensors<T>();
  });
  auto [total, products] = found.tensors(false);
  return {towards_y, total, products, towards_filters};
}

std::tuple<Tensor, Tensors> source_backward(const Tensor& towards_y, const Tensor& u, MaybeTensor first_direct,
                                            MaybeTensor first_feedback, MaybeTensor first_constant, const Tensor& g,
                                            const Tensor& v, const Tensor& direct, MaybeTensor feedback,
                                            MaybeTensor constant, const Tensor& s, Tensors filters,
                                            std::vector<int64_t> dilations, int64_t separable, int64_t stride,
                                            bool weights) {
  const long images = s.size(0), channels = s.size(1), edges = v.size(1), kinds = filters.size();
  const Grid grid(s.size(2), s.size(3), stride, reach_of(filters, dilations));
  const auto shapes = all_windows(grid, filters, dilations);
  const long pixels = long(grid.rows) * grid.columns, map = channels * pixels;
  const auto backwards = turned(shapes);
  const Inputs last(direct, feedback, constant);
  const Inputs first(first_direct.value_or(direct), first_feedback, first_constant);
  Tensor towards_s = recycled(s.sizes(), s.options());
  FilterSums gradients(filters, images, weights);
  Tensors towards_filters;
  AT_DISPATCH_FLOATING_TYPES(s.scalar_type(), "source_backward", [&] {
    using T = scalar_t;
    const Images<T> by(g), of_v(v), of_y(towards_y), of_u(u), in(s), to(towards_s);
    const Arranged<T> weights_of(backwards, filters);
    for_each_share(images, [&](long share, long begin, long end) {
      std::vector<T> inputs(grid.size() * channels), back(grid.plane), phases(grid.phases * map), scratch(map);
      for (long n = begin; n < end; n++) {
        if (weights)
          for (long c = 0; c < channels; c++)
            planes::fill(grid, in[n] + c * grid.height * grid.width, &inputs[c * grid.size()], relu<T>);
        std::fill(phases.begin(), phases.end(), T(0));
        for (long e = 0; e < edges; e++)
          for (long f = 0; f < kinds; f++) {
            if (f < separable)
              first.towards(e * separable + f, of_y[n] + (e * separable + f) * map,
                            of_u[n] + (e * separable + f) * map, pixels, scratch.data());
            else
              last.towards(e * kinds + f, by[n] + e * map, of_v[n] + (e * kinds + f) * map, pixels, scratch.data());
            for (long c = 0; c < channels; c++) {
              planes::fill_output(grid, &scratch[c * pixels], back.data());
              if (weights)
                windows::filter_gradient(grid, shapes[f], &inputs[c * grid.size()], back.data(),
                                         gradients.of(share, f, e * channels + c));
              windows::input_gradient(grid, backwards[f], weights_of(f, e * channels + c), back.data(),
                                      &phases[c * grid.phases * pixels]);
            }
          }
        for (long c = 0; c < channels; c++) {
          const long at = c * grid.height * grid.width;
          const T* x = in[n] + at;
          planes::weave(grid, &phases[c * grid.phases * pixels], to[n] + at,
                        [=](long i, T value) { return x[i] > 0 ? value : T(0); });
        }
      }
    });
    towards_filters = gradients.tensors<T>();
  });
  return {towards_s, towards_filters};
}

}  // namespace

TORCH_LIBRARY(dartboard, library) {
  library.def("source(Tensor s, Tensor[] filters, int[] dilations, int separable, int stride, bool moments) "
              "-> (Tensor, Tensor, Tensor, Tensor)");
  library.def("inner(Tensor u, Tensor a, Tensor b, Tensor[] filters, Tensor(a!) v, bool moments) "
              "-> (Tensor, Tensor, Tensor)");
  library.def("gather(Tensor v, Tensor a, Tensor(a!) out) -> ()");
  library.def("products(Tensor g, Tensor v) -> Tensor");
  library.def("inner_backward(Tensor g, Tensor v, Tensor direct, Tensor? feedback, Tensor? constant, Tensor y, "
              "Tensor b, Tensor u, Tensor[] filters, bool weights) -> (Tensor, Tensor, Tensor, Tensor[])");
  library.def("source_backward(Tensor towards_y, Tensor u, Tensor? first_direct, Tensor? first_feedback, "
              "Tensor? first_constant, Tensor g, Tensor v, Tensor direct, Tensor? feedback, Tensor? constant, "
              "Tensor s, Tensor[] filters, int[] dilations, int separable, int stride, bool weights) "
              "-> (Tensor, Tensor[])");
}

TORCH_LIBRARY_IMPL(dartboard, CPU, library) {
  library.impl("source", source);
  library.impl("inner", inner);
  library.impl("gather", gather);
  library.impl("products", products_of);
  library.impl("inner_backward", inner_backward);
  library.impl("source_backward", source_backward);
}
