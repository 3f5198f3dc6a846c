// Reads and makes torch's tensors through its stable C interface, whose headers compile in a fraction of ATen's time.
//
// A library is compiled for one type of numbers, NUMBER; its operators are those of torch.ops.LIBRARY.
#pragma once
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/tensor.h>
#include <array>
#include <optional>
#include <type_traits>
#include <vector>
#include "number.h"

using torch::stable::Tensor;
using Tensors = std::vector<Tensor>;
using MaybeTensor = std::optional<Tensor>;
using Sizes = torch::headeronly::IntHeaderOnlyArrayRef;

template <class N>
int32_t type_of() {
  if constexpr (std::is_same_v<N, float>) return aoti_torch_dtype_float32();
  if constexpr (std::is_same_v<N, double>) return aoti_torch_dtype_float64();
  if constexpr (std::is_same_v<N, uint8_t>) return aoti_torch_dtype_uint8();
}

template <class N>
N* data(const Tensor& t) {
  static const int32_t wanted = type_of<N>();
  int32_t type;
  STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_get_dtype(t.get(), &type));
  STD_TORCH_CHECK(type == wanted, "a tensor of another type than the kernels'");
  return static_cast<N*>(t.data_ptr());
}

constexpr int most_dimensions = 8;

// The strides of a dense tensor.
inline std::array<int64_t, most_dimensions> dense_strides(Sizes sizes) {
  std::array<int64_t, most_dimensions> strides;
  int64_t step = 1;
  for (int64_t i = sizes.size() - 1; i >= 0; step *= std::max<int64_t>(1, sizes[i--])) strides[i] = step;
  return strides;
}

// Allocates a result without torch's dispatcher, which would dominate the time of small results.
template <class N>
Tensor fresh(Sizes sizes) {
  AtenTensorHandle made;
  STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_empty_strided(sizes.size(), sizes.data(), dense_strides(sizes).data(),
                                                         type_of<N>(), aoti_torch_device_type_cpu(), 0, &made));
  return Tensor(made);
}

inline long threads() {
  uint32_t count;
  STABLE_TORCH_ERROR_CODE_CHECK(torch_get_num_threads(&count));
  return count;
}

// Calls f(begin, end) for parts of the range, of at least `grain` each, in torch's threads.
template <class F>
void parallel_for(long begin, long end, long grain, const F& f) {
  auto call = [](int64_t from, int64_t to, void* function) { (*static_cast<const F*>(function))(from, to); };
  STABLE_TORCH_ERROR_CODE_CHECK(torch_parallel_for(begin, end, grain, call, const_cast<F*>(&f)));
}
