// Implements the factorized reduces of all edges that leave a state; see models/fused/backend.py.
#include "products.h"
#include "readings.h"
#include "recycled.h"
#include "shares.h"
#include "vectors.h"

namespace {

using T = Number;

std::tuple<Tensor, Tensor, Tensor> grids(const Tensor& s, bool moments) {
  const Reading reading(s, 2);
  const long images = s.size(0), pixels = reading.pixels();
  const int channels = reading.inputs;
  Tensor x = recycled({images, 2, channels, reading.rows, reading.columns});
  Sums total(moments ? images : 0, 2 * channels), squares(moments ? images : 0, 2 * channels * channels);
  const Images<T> in(s), to(x);
  for_each_share(images, [&](long share, long first, long last) {
    for (long n = first; n < last; n++) {
      reading.take(in[n], to[n]);
      for (long c = 0; moments && c < 2 * channels; c++) total.of(share)[c] += sum(to[n] + c * pixels, pixels);
      for (long grid = 0; moments && grid < 2; grid++) {
        const products::Rows<T> rows{to[n] + grid * channels * pixels, channels, pixels, 0};
        products::outer<T>(rows, rows, 1, pixels, squares.of(share) + grid * channels * channels, channels, false);
      }
    }
  });
  if (!moments) return {x, Tensor(), Tensor()};
  return {x, total.tensor({2, channels}), squares.tensor({2, channels, channels})};
}

void grids_add(const Tensor& x, const Tensor& a, Tensor out) {
  const long images = x.size(0), edges = a.size(0), pixels = x.size(3) * x.size(4);
  const int channels = x.size(2), half = a.size(2);
  const Images<T> from(x), to(out);
  for_each_share(images, [&](long, long first, long last) {
    for (long n = first; n < last; n++)
      for (long k = 0; k < 2 * edges; k++)
        products::multiply<T>({{data<T>(a) + k * half * channels, channels, channels,
                                from[n] + k % 2 * channels * pixels, pixels}},
                              half, to[n] + k * half * pixels, pixels, pixels, nullptr, true);
  });
}

Tensor grids_products(const Tensor& g, const Tensor& x) {
  const long images = x.size(0), edges = g.size(1), pixels = x.size(3) * x.size(4);
  const int channels = x.size(2), half = g.size(2) / 2;
  Sums found(images, 2 * edges * half * channels);
  const Images<T> by(g), from(x);
  for_each_share(images, [&](long share, long first, long last) {
    for (long n = first; n < last; n++)
      for (long k = 0; k < 2 * edges; k++)
        products::outer<T>({by[n] + k * half * pixels, half, pixels, 0},
                           {from[n] + k % 2 * channels * pixels, channels, pixels, 0}, 1, pixels,
                           found.of(share) + k * half * channels, channels, false);
  });
  return found.tensor({edges, 2, half, channels});
}

// direct: (E, 2, C, C / 2). feedback (2, C, C) and constant (2, C): sums over all edges.
Tensor grids_backward(const Tensor& g, const Tensor& x, const Tensor& direct, MaybeTensor feedback, MaybeTensor constant,
                      const Tensor& s) {
  const Reading reading(s, 2);
  const long images = s.size(0), edges = direct.size(0), pixels = reading.pixels();
  const int channels = reading.inputs, half = direct.size(3);
  Tensor towards_s = recycled(s.sizes());
  const Images<T> by(g), from(x), in(s), to(towards_s);
  for_each_share(images, [&](long, long first, long last) {
    std::vector<T> read(2 * channels * pixels);
    for (long n = first; n < last; n++) {
      for (long grid = 0; grid < 2; grid++) {
        T* out = &read[grid * channels * pixels];
        for (long e = 0; e < edges; e++) {
          const long k = 2 * e + grid;
          products::multiply<T>({{data<T>(direct) + k * channels * half, half, half, by[n] + k * half * pixels, pixels}},
                                channels, out, pixels, pixels,
                                e == 0 && constant ? data<T>(*constant) + grid * channels : nullptr, e > 0);
        }
        if (feedback)
          products::multiply<T>({{data<T>(*feedback) + grid * channels * channels, channels, channels,
                                  from[n] + grid * channels * pixels, pixels}},
                                channels, out, pixels, pixels, nullptr, true);
      }
      reading.give(read.data(), in[n], to[n]);
    }
  });
  return towards_s;
}

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(LIBRARY, library) {
  library.def("grids(Tensor s, bool moments) -> (Tensor, Tensor, Tensor)");
  library.def("grids_add(Tensor x, Tensor a, Tensor(a!) out) -> ()");
  library.def("grids_products(Tensor g, Tensor x) -> Tensor");
  library.def("grids_backward(Tensor g, Tensor x, Tensor direct, Tensor? feedback, Tensor? constant, Tensor s) -> Tensor");
}

STABLE_TORCH_LIBRARY_IMPL(LIBRARY, CPU, library) {
  library.impl("grids", TORCH_BOX(&grids));
  library.impl("grids_add", TORCH_BOX(&grids_add));
  library.impl("grids_products", TORCH_BOX(&grids_products));
  library.impl("grids_backward", TORCH_BOX(&grids_backward));
}
