// Implements the passes over the maps of separable and dilated convolutions; see models/fused/backend.py.
#include "filters.h"
#include "products.h"
#include "recycled.h"
#include "shares.h"

namespace {

using T = Number;

using filters::Kinds;
using filters::Zeros;

// Sums and products of the maps of all edges and kinds, (E, K, C) and (E, K, C, C).
struct MomentSums {
  long edges, kinds, channels;
  Sums total, products;
  MomentSums(long images, long edges_, long kinds_, long channels_)
      : edges(edges_), kinds(kinds_), channels(channels_), total(images, edges_ * kinds_ * channels_),
        products(images, edges_ * kinds_ * channels_ * channels_) {}
  // x, y: maps of the first image; those of the others follow at distances image_x, image_y.
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
    if (symmetric) {  // only blocks on and above the diagonal were computed
      double* p = data<double>(all);
      for (long map = 0; map < edges * kinds; map++, p += channels * channels)
        for (long i = 0; i < channels; i++)
          for (long j = 0; j < i; j++) p[i * channels + j] = p[j * channels + i];
    }
    return {sums, all};
  }
};

std::tuple<Tensor, Tensor, Tensor, Tensor> source(const Tensor& s, Tensors filters, std::vector<int64_t> dilations,
                                                  int64_t separable, int64_t stride, bool moments) {
  const Kinds of{filters, dilations};
  const long images = s.size(0), channels = s.size(1), edges = filters[0].size(0), kinds = of.count();
  const long height = s.size(2), width = s.size(3), rows = (height + stride - 1) / stride,
             columns = (width + stride - 1) / stride, pixels = rows * columns, map = channels * pixels;
  Tensor u = recycled({images, edges, separable, channels, rows, columns});
  Tensor v = recycled({images, edges, kinds, channels, rows, columns});
  MomentSums found(moments ? images : 0, edges, kinds, channels);
  const Images<T> in(s), to_u(u), to_v(v);
  filters::in_form<T>(filters::most_forward, of, channels, height, width, stride, [&](const auto& form) {
    const int group = form.group;
    for_each_share(images, [&](long share, long first, long last) {
      Zeros<T> inputs(channels / group * form.room());
      auto input = [&](long c) { return inputs.data() + c / group * form.room(); };
      for (long n = first; n < last; n++) {
        for (long c = 0; c < channels; c += group) form.fill(in[n] + c * height * width, nullptr, input(c));
        for (long e = 0; e < edges; e++)
          for (long f = 0; f < kinds; f++) {
            T* out = f < separable ? to_u[n] + (e * separable + f) * map : to_v[n] + (e * kinds + f) * map;
            for (long c = 0; c < channels; c += group) form.apply(f, e * channels + c, input(c), out + c * pixels);
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
  const long height = u.size(4), width = u.size(5), pixels = height * width, map = channels * pixels;
  const Kinds of{filters, std::vector<int64_t>(kinds, 1)};
  Tensor y = recycled(u.sizes());
  MomentSums found(moments ? images : 0, edges, kinds, channels);
  const Images<T> from(u), to_y(y), to_v(v);
  const T *matrices = data<T>(a), *shifts = data<T>(b);
  filters::in_form<T>(filters::most_forward, of, channels, height, width, 1, [&](const auto& form) {
    for_each_share(images, [&](long share, long first, long last) {
      Zeros<T> room(form.room());
      for (long n = first; n < last; n++)
        for (long e = 0; e < edges; e++)
          for (long f = 0; f < kinds; f++) {
            const long k = e * kinds + f;
            const int count = channels;
            T *middle = to_y[n] + k * map, *out = to_v[n] + (e * all + f) * map;
            products::multiply<T>({{matrices + k * channels * channels, count, count, from[n] + k * map, pixels}},
                                  count, middle, pixels, pixels, nullptr, false);
            for (long c = 0; c < channels; c += form.group) {
              form.fill(middle + c * pixels, shifts + k * channels + c, room.data());
              form.apply(f, e * channels + c, room.data(), out + c * pixels);
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
  const Images<T> from(v), to(out);
  for_each_share(images, [&](long, long first, long last) {
    for (long n = first; n < last; n++)
      for (long e = 0; e < edges; e++)
        products::multiply<T>({{data<T>(a) + e * rows * inner, inner, inner, from[n] + e * inner * pixels, pixels}},
                              rows, to[n] + e * rows * pixels, pixels, pixels, nullptr, true);
  });
}

Tensor products_of(const Tensor& g, const Tensor& v) {
  const long images = v.size(0), edges = v.size(1), kinds = v.size(2), channels = v.size(3);
  const long pixels = v.size(4) * v.size(5), map = channels * pixels, matrix = channels * channels;
  Sums found(images, edges * kinds * matrix);
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
  return found.tensor({edges, kinds, channels, channels});
}

// The gradient of a map u of y = W u: direct g + feedback u + constant. With BatchNorm's running statistics, direct g.
struct Inputs {
  const T *direct, *feedback, *constant;
  int channels;
  Inputs(const Tensor& direct_, const MaybeTensor& feedback_, const MaybeTensor& constant_)
      : direct(data<T>(direct_)), feedback(feedback_ ? data<T>(*feedback_) : nullptr),
        constant(constant_ ? data<T>(*constant_) : nullptr), channels(direct_.size(-1)) {}
  void towards(long k, const T* g, const T* u, long pixels, T* out) const {
    const long matrix = k * channels * channels;
    const products::Term<T> of_g{direct + matrix, channels, channels, g, pixels};
    if (!feedback) return products::multiply<T>({of_g}, channels, out, pixels, pixels, nullptr, false);
    products::multiply<T>({of_g, {feedback + matrix, channels, channels, u, pixels}}, channels, out, pixels, pixels,
                          constant + k * channels, false);
  }
};

std::tuple<Tensor, Tensor, Tensor, Tensors> inner_backward(const Tensor& g, const Tensor& v, const Tensor& direct,
                                                           MaybeTensor feedback, MaybeTensor constant, const Tensor& y,
                                                           const Tensor& b, const Tensor& u, Tensors filters,
                                                           bool weights) {
  const long images = u.size(0), edges = u.size(1), kinds = u.size(2), channels = u.size(3), all = v.size(2);
  const long height = u.size(4), width = u.size(5), pixels = height * width, map = channels * pixels;
  const Kinds of{filters, std::vector<int64_t>(kinds, 1)};
  const Inputs inputs(direct, feedback, constant);
  Tensor towards_y = recycled(y.sizes());
  MomentSums found(images, edges, kinds, channels);
  filters::Gradients gradients(of, images, weights);
  Tensors towards_filters;
  const Images<T> by(g), of_v(v), of_y(y), of_u(u), to(towards_y);
  const T* shifts = data<T>(b);
  filters::in_form<T>(filters::most_backward, of, channels, height, width, 1, [&](const auto& form) {
    const int group = form.group;
    for_each_share(images, [&](long share, long first, long last) {
      Zeros<T> room(form.room()), back(form.backward_room()), scratch(map);
      for (long n = first; n < last; n++)
        for (long e = 0; e < edges; e++)
          for (long f = 0; f < kinds; f++) {
            const long k = e * kinds + f;
            inputs.towards(e * all + f, by[n] + e * map, of_v[n] + (e * all + f) * map, pixels, scratch.data());
            for (long c = 0; c < channels; c += group) {
              const T *shift = shifts + k * channels + c, *before = of_y[n] + k * map + c * pixels;
              T* out = to[n] + k * map + c * pixels;
              form.fill_backward(scratch.data() + c * pixels, back.data());
              if (weights) {
                form.fill(before, shift, room.data());
                form.add_gradient(f, room.data(), back.data(), gradients.of(share, f, e * channels + c));
              }
              form.apply_backward(f, e * channels + c, back.data(), out);
              for (long i = 0; i < group; i++, before += pixels, out += pixels)
                for (long p = 0; p < pixels; p++) out[p] = before[p] + shift[i] > 0 ? out[p] : T(0);
            }
            const long before = products::together(pixels, last - first);
            if (before == 1 || n + 1 == last) {
              const long start = n + 1 - before;
              found.add(share, k, to[start] + k * map, to.stride, of_u[start] + k * map, of_u.stride, before, pixels);
            }
          }
    });
    towards_filters = gradients.tensors<T>(group);
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
  const Kinds of{filters, dilations};
  const long images = s.size(0), channels = s.size(1), edges = v.size(1), kinds = of.count();
  const long height = s.size(2), width = s.size(3), pixels = v.size(4) * v.size(5), map = channels * pixels;
  const Inputs last(direct, feedback, constant);
  const Inputs first(first_direct.value_or(direct), first_feedback, first_constant);
  Tensor towards_s = recycled(s.sizes());
  filters::Gradients gradients(of, images, weights);
  Tensors towards_filters;
  const Images<T> by(g), of_v(v), of_y(towards_y), of_u(u), in(s), to(towards_s);
  filters::in_form<T>(filters::most_backward, of, channels, height, width, stride, [&](const auto& form) {
    const int group = form.group;
    const long groups = channels / group;
    for_each_share(images, [&](long share, long begin, long end) {
      Zeros<T> inputs(groups * form.room()), back(form.backward_room()), sums(groups * form.sum_room()), scratch(map);
      auto input = [&](long c) { return inputs.data() + c / group * form.room(); };
      auto sum = [&](long c) { return sums.data() + c / group * form.sum_room(); };
      for (long n = begin; n < end; n++) {
        for (long c = 0; weights && c < channels; c += group)
          form.fill(in[n] + c * height * width, nullptr, input(c));
        std::fill_n(sums.data(), groups * form.sum_room(), T(0));
        for (long e = 0; e < edges; e++)
          for (long f = 0; f < kinds; f++) {
            if (f < separable)
              first.towards(e * separable + f, of_y[n] + (e * separable + f) * map,
                            of_u[n] + (e * separable + f) * map, pixels, scratch.data());
            else
              last.towards(e * kinds + f, by[n] + e * map, of_v[n] + (e * kinds + f) * map, pixels, scratch.data());
            for (long c = 0; c < channels; c += group) {
              const long filter = e * channels + c;
              form.fill_backward(scratch.data() + c * pixels, back.data());
              if (weights) form.add_gradient(f, input(c), back.data(), gradients.of(share, f, filter));
              form.add_backward(f, filter, back.data(), sum(c));
            }
          }
        for (long c = 0; c < channels; c += group) form.give(sum(c), to[n] + c * height * width);
        const T* x = in[n];
        for (long i = 0; i < channels * height * width; i++) to[n][i] = x[i] > 0 ? to[n][i] : T(0);
      }
    });
    towards_filters = gradients.tensors<T>(group);
  });
  return {towards_s, towards_filters};
}

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(LIBRARY, library) {
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

STABLE_TORCH_LIBRARY_IMPL(LIBRARY, CPU, library) {
  library.impl("source", TORCH_BOX(&source));
  library.impl("inner", TORCH_BOX(&inner));
  library.impl("gather", TORCH_BOX(&gather));
  library.impl("products", TORCH_BOX(&products_of));
  library.impl("inner_backward", TORCH_BOX(&inner_backward));
  library.impl("source_backward", TORCH_BOX(&source_backward));
}
