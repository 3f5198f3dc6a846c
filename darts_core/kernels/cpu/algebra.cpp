// Implements models/fused/algebra.py, where torch spends more time on dispatch than on arithmetic. E edges have K
// operations each; all sums are float64.
#include <cmath>
#include "shares.h"

namespace {

using T = Number;

// Returns the contiguous numbers of an edge and operation; a dimension of size 1 is broadcast over operations.
template <class T>
const T* of(const Tensor& t, long e, long k) {
  return data<T>(t) + e * t.stride(0) + (t.size(1) == 1 ? 0 : k * t.stride(1));
}

void check_dense(const Tensor& t) {
  const bool rows_touch = t.dim() < 4 || t.stride(2) == t.size(3) || t.size(2) == 1;
  STD_TORCH_CHECK(rows_touch && (t.stride(-1) == 1 || t.size(-1) == 1), "each operation's numbers must lie side by side");
}

using Known = std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor>;

// factor: alpha, (E, K). Returns alpha r W, -alpha r mean, W, mean, r, variance, the inputs' mean and W K.
Known folded(const Tensor& weight, MaybeTensor factor, const Tensor& total, const Tensor& products, int64_t pixels,
             double eps) {
  check_dense(total), check_dense(products), check_dense(weight);
  const long edges = weight.size(0), kinds = weight.size(1), rows = weight.size(2), columns = weight.size(3);
  const auto numbers = [&](long each) { return fresh<double>({edges, kinds, each}); };
  Tensor matrix = fresh<T>(weight.sizes()), offset = numbers(rows), mean_y = numbers(rows),
         inverse_y = numbers(rows), variance_y = numbers(rows), input_mean = numbers(columns),
         exact = fresh<double>(weight.sizes()), spread = fresh<double>(weight.sizes());
  double *means = data<double>(mean_y), *variances = data<double>(variance_y), *inverses = data<double>(inverse_y),
         *offsets = data<double>(offset);
  T* matrices = data<T>(matrix);
  parallel_for(0, edges * kinds, 1, [&](long begin, long end) {
    std::vector<double> covariance(columns * columns);
    for (long m = begin; m < end; m++) {
      const long e = m / kinds, k = m % kinds;
      const T* from = of<T>(weight, e, k);
      const double *sums = of<double>(total, e, k), *squares = of<double>(products, e, k);
      double *mean_u = data<double>(input_mean) + m * columns, *w = data<double>(exact) + m * rows * columns,
             *spread_of = data<double>(spread) + m * rows * columns;
      for (long c = 0; c < columns; c++) mean_u[c] = sums[c] / pixels;
      for (long c = 0; c < columns; c++)
        for (long d = 0; d < columns; d++)
          covariance[c * columns + d] = squares[c * columns + d] / pixels - mean_u[c] * mean_u[d];
      const double alpha = factor ? data<double>(*factor)[e * factor->stride(0) + k * factor->stride(1)] : 1;
      for (long r = 0; r < rows; r++) {
        double *row = w + r * columns, *result = spread_of + r * columns, mean = 0, variance = 0;
        for (long c = 0; c < columns; c++) row[c] = from[r * columns + c], result[c] = 0;
        for (long c = 0; c < columns; c++) {
          mean += row[c] * mean_u[c];
          for (long d = 0; d < columns; d++) result[d] += row[c] * covariance[c * columns + d];
        }
        for (long c = 0; c < columns; c++) variance += result[c] * row[c];
        // The variance of a constant channel can be negative by a rounding error; NaN persists.
        variance = variance < 0 ? 0 : variance;
        const double inverse = 1 / std::sqrt(variance + eps), scale = alpha * inverse;
        means[m * rows + r] = mean, variances[m * rows + r] = variance, inverses[m * rows + r] = inverse;
        offsets[m * rows + r] = -scale * mean;
        T* to = matrices + (m * rows + r) * columns;
        for (long c = 0; c < columns; c++) to[c] = T(scale * row[c]);
      }
    }
  });
  return {matrix, offset, exact, mean_y, inverse_y, variance_y, input_mean, spread};
}

// input_mean, spread: with batch statistics only. Returns the gradient of the factor (E, K), that of W if `weights`, and
// the terms direct, feedback and constant of the gradient of u.
std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor> gradient_of(const Tensor& weight, const Tensor& mean,
                                                               const Tensor& inverse, MaybeTensor input_mean,
                                                               MaybeTensor spread, MaybeTensor factor,
                                                               const Tensor& total, const Tensor& products,
                                                               int64_t pixels, bool weights) {
  check_dense(total), check_dense(products);
  const long edges = weight.size(0), kinds = weight.size(1), rows = weight.size(2), columns = weight.size(3);
  const bool batch = spread.has_value();
  Tensor towards_factor = fresh<double>({edges, kinds});
  Tensor towards_weight = fresh<T>({weights ? edges : 0, kinds, rows, columns});
  Tensor direct = fresh<T>({edges, kinds, columns, rows});
  Tensor feedback = fresh<T>({batch ? edges : 0, kinds, columns, columns});
  Tensor constant = fresh<T>({batch ? edges : 0, kinds, columns});
  const double *means = data<double>(mean), *inverses = data<double>(inverse);
  const double* input_means = batch ? data<double>(*input_mean) : nullptr;
  const double* spreads = batch ? data<double>(*spread) : nullptr;
  T *directs = data<T>(direct), *towards_weights = data<T>(towards_weight);
  parallel_for(0, edges * kinds, 1, [&](long begin, long end) {
    std::vector<double> fed(columns * columns), shift(columns);
    for (long m = begin; m < end; m++) {
      const long e = m / kinds, k = m % kinds, at = m * rows * columns;
      const double *w = data<double>(weight) + at, *sums = of<double>(total, e, k), *all = of<double>(products, e, k);
      const double alpha = factor ? data<double>(*factor)[e * factor->stride(0) + k * factor->stride(1)] : 1;
      double sum = 0;
      std::fill(fed.begin(), fed.end(), 0), std::fill(shift.begin(), shift.end(), 0);
      for (long r = 0; r < rows; r++) {
        const double *row = w + r * columns, *product = all + r * columns;
        const double r_ = inverses[m * rows + r], mu = means[m * rows + r];
        double d = -sums[r] * mu;
        for (long c = 0; c < columns; c++) d += row[c] * product[c];
        d *= r_;
        sum += d;
        const double scale = alpha * r_, lost = scale * r_ * d / pixels, offset = lost * mu - scale * sums[r] / pixels;
        T* straight = directs + at + r;
        for (long c = 0; c < columns; c++) straight[c * rows] = T(scale * row[c]);
        if (batch)
          for (long c = 0; c < columns; c++) {
            shift[c] += row[c] * offset;
            const double by = -lost * row[c];
            for (long i = 0; i < columns; i++) fed[c * columns + i] += by * row[i];
          }
        if (weights) {
          T* to = towards_weights + at + r * columns;
          const double *mean_u = input_means + m * columns, *spread_of = spreads + at + r * columns;
          for (long c = 0; c < columns; c++)
            to[c] = T(scale * (batch ? product[c] - sums[r] * mean_u[c] - d * r_ * spread_of[c] : product[c]));
        }
      }
      data<double>(towards_factor)[m] = sum;
      if (batch) {
        std::copy(fed.begin(), fed.end(), data<T>(feedback) + m * columns * columns);
        std::copy(shift.begin(), shift.end(), data<T>(constant) + m * columns);
      }
    }
  });
  return {towards_factor, towards_weight, direct, feedback, constant};
}

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(LIBRARY, library) {
  library.def("folded(Tensor weight, Tensor? factor, Tensor total, Tensor products, int pixels, float eps) "
              "-> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)");
  library.def("gradient_of(Tensor weight, Tensor mean, Tensor inverse, Tensor? input_mean, Tensor? spread, "
              "Tensor? factor, Tensor total, Tensor products, int pixels, bool weights) "
              "-> (Tensor, Tensor, Tensor, Tensor, Tensor)");
}

STABLE_TORCH_LIBRARY_IMPL(LIBRARY, CPU, library) {
  library.impl("folded", TORCH_BOX(&folded));
  library.impl("gradient_of", TORCH_BOX(&gradient_of));
}
