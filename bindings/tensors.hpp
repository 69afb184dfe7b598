// What every operator needs of torch: tensors as arrays, threads, memory. Stable ABI only.
#pragma once
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/ScalarType.h>

#include "arrays.hpp"

using torch::headeronly::ScalarType;
using torch::stable::Tensor;

inline fb_dtype dtype_of(const Tensor& tensor) {
    switch (tensor.scalar_type()) {
        case ScalarType::Float:
            return FB_FLOAT32;
        case ScalarType::Double:
            return FB_FLOAT64;
        case ScalarType::ComplexFloat:
            return FB_COMPLEX64;
        case ScalarType::ComplexDouble:
            return FB_COMPLEX128;
        default:
            throw std::invalid_argument("feedbackward: tensors are float32, float64, complex64 or complex128");
    }
}

inline void run_on_torch_threads(int64_t count, void (*task)(void*, int64_t), void* argument) {
    if (count == 1) return task(argument, 0);
    torch::stable::parallel_for(0, count, 1, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) task(argument, i);
    });
}
inline constexpr fb_threads torch_threads = {run_on_torch_threads};

inline Tensor allocate(const Tensor& like, const Sizes& sizes) {
    Tensor tensor = torch::stable::new_empty(like, sizes);
    fb_prepare(tensor.mutable_data_ptr(), tensor.numel() * int64_t(tensor.element_size()));
    return tensor;
}

inline void check_cpu(const Tensor& tensor) {
    require(tensor.is_cpu(), "this version computes on CPU; move the tensors with .cpu()");
}

inline Array array_of(const Tensor& tensor) {
    check_cpu(tensor);
    const auto sizes = tensor.sizes(), strides = tensor.strides();
    return {const_cast<void*>(tensor.const_data_ptr()), dtype_of(tensor), Sizes(sizes.begin(), sizes.end()),
            Sizes(strides.begin(), strides.end())};
}
