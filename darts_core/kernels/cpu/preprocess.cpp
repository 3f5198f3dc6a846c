// Implements a cell's input layers: ReLU, pointwise convolution, BatchNorm without an affine part. See
// models/fused/preprocess.py.
#include "products.h"
#include "readings.h"
#include "recycled.h"
#include "shares.h"
#include "vectors.h"

namespace {

using T = Number;

double* numbers(const Tensor& of) { return data<double>(of); }

std::tuple<Tensor, Tensor, Tensor> preprocess(const Tensor& x, Tensors weights, MaybeTensor given_mean,
                                              MaybeTensor given_variance, double eps) {
  const Reading reading(x, weights.size());
  const long images = x.size(0), pixels = reading.pixels(), channels = weights[0].size(0);
  const long outputs = reading.grids * channels;
  const int inputs = reading.inputs;
  Tensor out = recycled({images, outputs, reading.rows, reading.columns});
  Tensor mean = fresh<double>({outputs}), variance = fresh<double>({outputs});
  if (given_mean) std::copy_n(numbers(*given_mean), outputs, numbers(mean));
  if (given_variance) std::copy_n(numbers(*given_variance), outputs, numbers(variance));
  const bool batch = !given_mean;
  Sums totals(batch ? images : 0, outputs), squares(batch ? images : 0, outputs);
  const Images<T> in(x), to(out);
  auto for_each_row = [&](auto f) {
    for_each_share(images, [&](long share, long first, long last) {
      for (long n = first; n < last; n++)
        for (long c = 0; c < outputs; c++) f(share, c, to[n] + c * pixels);
    });
  };
  for_each_share(images, [&](long share, long first, long last) {
    std::vector<T> read(reading.grids * inputs * pixels);
    for (long n = first; n < last; n++) {
      reading.take(in[n], read.data());
      for (long grid = 0; grid < reading.grids; grid++)
        products::multiply<T>({{data<T>(weights[grid]), inputs, inputs, &read[grid * inputs * pixels], pixels}},
                              channels, to[n] + grid * channels * pixels, pixels, pixels, nullptr, false);
      for (long c = 0; batch && c < outputs; c++) totals.of(share)[c] += sum(to[n] + c * pixels, pixels);
    }
  });
  const double count = double(images) * pixels, *total = totals.total();
  for (long c = 0; batch && c < outputs; c++) numbers(mean)[c] = total[c] / count;
  // Subtracts the mean before squaring: a variance much smaller than the squared mean would lose digits.
  for_each_row([&](long share, long c, T* row) {
    const T shift = numbers(mean)[c];
    for (long i = 0; i < pixels; i++) row[i] -= shift;
    if (batch) squares.of(share)[c] += dot(row, row, pixels);
  });
  const double* square = squares.total();
  for (long c = 0; batch && c < outputs; c++) numbers(variance)[c] = square[c] / count;
  for_each_row([&](long, long c, T* row) {
    const T scale = 1 / std::sqrt(numbers(variance)[c] + eps);
    for (long i = 0; i < pixels; i++) row[i] *= scale;
  });
  return {out, mean, variance};
}

std::tuple<Tensor, Tensors> preprocess_backward(const Tensor& g, const Tensor& out, const Tensor& x, Tensors weights,
                                                const Tensor& variance, double eps, bool batch, bool wanted) {
  const Reading reading(x, weights.size());
  const long images = x.size(0), pixels = reading.pixels(), grids = reading.grids;
  const int inputs = reading.inputs, channels = weights[0].size(0);
  const long outputs = grids * channels;
  Tensor towards_x = recycled(x.sizes());
  Tensors towards_weights;
  Sums found(batch ? images : 0, 2 * outputs), gradients(wanted ? images : 0, outputs * inputs);
  const Images<T> by(g), of(out), in(x), to(towards_x);
  if (batch)
    for_each_share(images, [&](long share, long first, long last) {
      double* sums = found.of(share);
      for (long n = first; n < last; n++)
        for (long c = 0; c < outputs; c++) {
          sums[c] += sum(by[n] + c * pixels, pixels);
          sums[outputs + c] += dot(by[n] + c * pixels, of[n] + c * pixels, pixels);
        }
    });
  const double *total = batch ? found.total() : nullptr, count = images * pixels;
  // The gradient of BatchNorm's input: scale (g - mean - slope out).
  std::vector<T> scale(outputs), mean(outputs), slope(outputs), turned(outputs * inputs);
  for (long c = 0; c < outputs; c++) {
    scale[c] = 1 / std::sqrt(numbers(variance)[c] + eps);
    mean[c] = batch ? total[c] / count : 0, slope[c] = batch ? total[outputs + c] / count : 0;
    const T* row = data<T>(weights[c / channels]) + c % channels * inputs;
    for (long i = 0; i < inputs; i++) turned[c / channels * channels * inputs + i * channels + c % channels] = row[i];
  }
  for_each_share(images, [&](long share, long first, long last) {
    std::vector<T> before(outputs * pixels), read(grids * inputs * pixels);
    for (long n = first; n < last; n++) {
      for (long c = 0; c < outputs; c++) {
        const T *row = by[n] + c * pixels, *normal = of[n] + c * pixels;
        for (long i = 0; i < pixels; i++)
          before[c * pixels + i] = scale[c] * (row[i] - mean[c] - slope[c] * normal[i]);
      }
      for (long grid = 0; wanted && grid < grids; grid++) {
        if (grid == 0) reading.take(in[n], read.data());
        products::outer<T>({&before[grid * channels * pixels], channels, pixels, 0},
                           {&read[grid * inputs * pixels], inputs, pixels, 0}, 1, pixels,
                           gradients.of(share) + grid * channels * inputs, inputs, false);
      }
      for (long grid = 0; grid < grids; grid++)
        products::multiply<T>({{&turned[grid * channels * inputs], channels, channels,
                                &before[grid * channels * pixels], pixels}},
                              inputs, &read[grid * inputs * pixels], pixels, pixels, nullptr, false);
      reading.give(read.data(), in[n], to[n]);
    }
  });
  if (wanted) {
    const double* sums = gradients.total();
    for (const Tensor& weight : weights) {
      towards_weights.push_back(fresh<T>(weight.sizes()));
      std::copy_n(sums, weight.numel(), data<T>(towards_weights.back()));
      sums += weight.numel();
    }
  }
  return {towards_x, towards_weights};
}

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(LIBRARY, library) {
  library.def("preprocess(Tensor x, Tensor[] weights, Tensor? mean, Tensor? variance, float eps) "
              "-> (Tensor, Tensor, Tensor)");
  library.def("preprocess_backward(Tensor g, Tensor out, Tensor x, Tensor[] weights, Tensor variance, float eps, "
              "bool batch, bool wanted) -> (Tensor, Tensor[])");
}

STABLE_TORCH_LIBRARY_IMPL(LIBRARY, CPU, library) {
  library.impl("preprocess", TORCH_BOX(&preprocess));
  library.impl("preprocess_backward", TORCH_BOX(&preprocess_backward));
}
