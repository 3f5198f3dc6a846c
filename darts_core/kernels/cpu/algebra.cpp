// Implements models/fused/algebra.py, where torch spends more time on dispatch than on arithmetic. E edges have K
// operations each; all sums are float64.
#include <cmath>
#include "shares.h"

namespace {

// Returns the contiguous numbers of an edge and operation; a dimension of size 1 is broadcast over operations.
template <class T>
const T* of(const Tensor& t, long e, long k) {
  return t.data_ptr<T>() + e * t.stride(0) + (t.size(1) == 1 ? 0 : k * t.stride(1));
}

void check_dense(const Tensor& t) {
  const bool rows_touch = t.dim() < 4 || t.stride(2) == t.size(3) || t.size(2) == 1;
  TORCH_CHECK(rows_touch && (t.stride(-1) == 1 || t.size(-1) == 1), "each operation's numbers must lie side by side");
}

using Known = std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor>;

// factor: alpha, (E, K). Returns alpha r W, -alpha r mean, W, mean, r, variance, the inputs' mean and W K.
Known folded(const Tensor& weight, MaybeTensor factor, const Tensor& total, const Tensor& products, int64_t pixels,
             double eps) {
  check_dense(total), check_dense(products), check_dense(weight);
  const long edges = weight.size(0), kinds = weight.size(1), rows = weight.size(2), columns = weight.size(3);
  const auto numbers = [&](long each) { return fresh({edges, kinds, each}, at::kDouble); };
  Tensor matrix = fresh(weight.sizes(), weight.scalar_type()), offset = numbers(rows), mean_y = numbers(rows),
         inverse_y = numbers(rows), variance_y = numbers(rows), input_mean = numbers(columns),
         exact = fresh(weight.sizes(), at::kDouble), spread = fresh(weight.sizes(), at::kDouble);
  AT_DISPATCH_FLOATING_TYPES(weight.scalar_type(), "folded", [&] {
    at::parallel_for(0, edges * kinds, 1, [&](long begin, long end) {
      std::vector<double> covariance(columns * columns);
      for (long m = begin; m < end; m++) {
        const long e = m / kinds, k = m % kinds;
        const scalar_t* from = of<scalar_t>(weight, e, k);
        const double *sums = of<double>(total, e, k), *squares = of<double>(products, e, k);
        double *mean_u = input_mean.data_ptr<double>() + m * columns, *w = exact.data_ptr<double>() + m * rows * columns,
               *spread_of = spread.data_ptr<double>() + m * rows * columns;
        for (long c = 0; c < columns; c++) mean_u[c] = sums[c] / pixels;
        for (long c = 0; c < columns; c++)
          for (long d = 0; d < columns; d++)
            covariance[c * columns + d] = squares[c * columns + d] / pixels - mean_u[c] * mean_u[d];
        const double alpha = factor ? factor->data_ptr<double>()[e * factor->stride(0) + k * factor->stride(1)] : 1;
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
          mean_y.data_ptr<double>()[m * rows + r] = mean;
          variance_y.data_ptr<double>()[m * rows + r] = variance;
          inverse_y.data_ptr<double>()[m * rows + r] = inverse;
          offset.data_ptr<double>()[m * rows + r] = -scale * mean;
          scalar_t* to = matrix.data_ptr<scalar_t>() + (m * rows + r) * columns;
          for (long c = 0; c < columns; c++) to[c] = scalar_t(scale * row[c]);
        }
      }
    });
  });
  return {matrix, offset, exact, mean_y, inverse_y, variance_y, input_mean, spread};
}

// input_mean, spread: with batch statistics only. Returns the gradient of the factor (E, K), that of W if `weights`, and
// the terms direct, feedback and constant of the gradient of u.
std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor> gradient_of(const Tensor& weight, const Tensor& mean,
                                                               const Tensor& inverse, MaybeTensor input_mean,
                                                               MaybeTensor spread, MaybeTensor factor,
                                                               const Tensor& total, const Tensor& products,
                                                               const Tensor& like, int64_t pixels, bool weights) {
  check_dense(total), check_dense(products);
  const long edges = weight.size(0), kinds = weight.size(1), rows = weight.size(2), columns = weight.size(3);
  const bool batch = spread.has_value();
  const auto type = like.scalar_type();
  Tensor towards_factor = fresh({edges, kinds}, at::kDouble);
  Tensor towards_weight = fresh({weights ? edges : 0, kinds, rows, columns}, type);
  Tensor direct = fresh({edges, kinds, columns, rows}, type);
  Tensor feedback = fresh({batch ? edges : 0, kinds, columns, columns}, type);
  Tensor constant = fresh({batch ? edges : 0, kinds, columns}, type);
  AT_DISPATCH_FLOATING_TYPES(type, "gradient_of", [&] {
    at::parallel_for(0, edges * kinds, 1, [&](long begin, long end) {
      std::vector<double> fed(columns * columns), shift(columns);
      for (long m = begin; m < end; m++) {
        const long e = m / kinds, k = m % kinds, at = m * rows * columns;
        const double *w = weight.data_ptr<double>() + at, *sums = of<double>(total, e, k), *all = of<double>(products, e, k);
        const double alpha = factor ? factor->data_ptr<double>()[e * factor->stride(0) + k * factor->stride(1)] : 1;
        double sum = 0;
        std::fill(fed.begin(), fed.end(), 0), std::fill(shift.begin(), shift.end(), 0);
        for (long r = 0; r < rows; r++) {
          const double *row = w + r * columns, *product = all + r * columns;
          const double r_ = inverse.data_ptr<double>()[m * rows + r], mu = mean.data_ptr<double>()[m * rows + r];
          double d = -sums[r] * mu;
          for (long c = 0; c < columns; c++) d += row[c] * product[c];
          d *= r_;
          sum += d;
          const double scale = alpha * r_, lost = scale * r_ * d / pixels, offset = lost * mu - scale * sums[r] / pixels;
          scalar_t* straight = direct.data_ptr<scalar_t>() + at + r;
          for (long c = 0; c < columns; c++) straight[c * rows] = scalar_t(scale * row[c]);
          if (batch)
            for (long c = 0; c < columns; c++) {
              shift[c] += row[c] * offset;
              const double by = -lost * row[c];
              for (long i = 0; i < columns; i++) fed[c * columns + i] += by * row[i];
            }
          if (weights) {
            scalar_t* to = towards_weight.data_ptr<scalar_t>() + at + r * columns;
            const double* mean_u = batch ? input_mean->data_ptr<double>() + m * columns : nullptr;
            const double* spread_of = batch ? spread->data_ptr<double>() + at + r * columns : nullptr;
            for (long c = 0; c < columns; c++)
              to[c] = scalar_t(scale * (batch ? product[c] - sums[r] * mean_u[c] - d * r_ * spread_of[c] : product[c]));
          }
        }
        towards_factor.data_ptr<double>()[m] = sum;
        if (batch) {
          std::copy(fed.begin(), fed.end(), feedback.data_ptr<scalar_t>() + m * columns * columns);
          std::copy(shift.begin(), shift.end(), constant.data_ptr<scalar_t>() + m * columns);
        }
      }
    });
  });
  return {towards_factor, towards_weight, direct, feedback, constant};
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(dartboard, library) {
  library.def("folded(Tensor weight, Tensor? factor, Tensor total, Tensor products, int pixels, float eps) "
              "-> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)");
  library.def("gradient_of(Tensor weight, Tensor mean, Tensor inverse, Tensor? input_mean, Tensor? spread, "
              "Tensor? factor, Tensor total, Tensor products, Tensor like, int pixels, bool weights) "
              "-> (Tensor, Tensor, Tensor, Tensor, Tensor)");
}

TORCH_LIBRARY_IMPL(dartboard, CPU, library) {
  library.impl("folded", folded);
  library.impl("gradient_of", gradient_of);
}
