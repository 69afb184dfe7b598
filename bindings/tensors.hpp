// What every operator needs of torch: dtypes, threads, memory. Stable ABI only.
#pragma once
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/ScalarType.h>

#include <vector>

#include "feedbackward.h"

using torch::headeronly::ScalarType;
using torch::stable::Tensor;
using Sizes = std::vector<int64_t>;

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
            STD_TORCH_CHECK(false, "feedbackward: tensors are float32, float64, complex64 or complex128");
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
    STD_TORCH_CHECK(tensor.is_cpu(), "feedbackward: this version computes on CPU; move the tensors with .cpu()");
}

inline void check_instruction_set() {
    STD_TORCH_CHECK(fb_isa(), "feedbackward: FEEDBACKWARD_ISA names an instruction set that this processor lacks");
}

// The code that a call of the core came back with.
inline void check_code(int code) {
    STD_TORCH_CHECK(code != 1, "feedbackward: out of memory");
    STD_TORCH_CHECK(code == 0, "feedbackward: ", fb_error());
}
