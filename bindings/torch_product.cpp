// The operator of products outside the loop: a b, plus a bias for every row.
#include <optional>

#include "tensors.hpp"

namespace {

void check_matrix(const Tensor& m, const char* name, const Tensor& like) {
    check_cpu(m);
    require(m.dim() == 2, name, " must have two axes");
    const fb_dtype dtype = dtype_of(m);
    require(dtype == dtype_of(like) && (dtype == FB_FLOAT32 || dtype == FB_FLOAT64),
            "a, b and bias must all be float32 or all float64");
}

Tensor multiply(const Tensor& a, const Tensor& b, const std::optional<Tensor>& bias) {
    require_instruction_set();
    check_matrix(a, "a", a);
    check_matrix(b, "b", a);
    require(a.size(1) == b.size(0), "a has ", a.size(1), " columns and b ", b.size(0), " rows");
    fb_product p = {dtype_of(a),
                    a.size(0),
                    b.size(1),
                    a.size(1),
                    a.const_data_ptr(),
                    b.const_data_ptr(),
                    nullptr,
                    {a.stride(0), a.stride(1)},
                    {b.stride(0), b.stride(1)},
                    nullptr};
    if (bias) {
        check_cpu(*bias);
        require(bias->dim() == 1 && bias->size(0) == p.columns && bias->is_contiguous() && dtype_of(*bias) == p.dtype,
                "bias must be a contiguous row of the product");
        p.bias = bias->const_data_ptr();
    }
    Tensor c = allocate(a, {p.rows, p.columns});
    p.c = c.mutable_data_ptr();
    check_code(fb_multiply(&p, &torch_threads));
    return c;
}

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(feedbackward, m) { m.def("multiply(Tensor a, Tensor b, Tensor? bias) -> Tensor"); }

STABLE_TORCH_LIBRARY_IMPL(feedbackward, CPU, m) { m.impl("multiply", TORCH_BOX(&multiply)); }
