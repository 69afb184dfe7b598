// The operators of scan: a program over tensors, forward and with its adjoint backward; and the gradient of a band.
#include <numeric>

#include "passes.hpp"
#include "tensors.hpp"

namespace {

using Tensors = std::vector<Tensor>;
constexpr int64_t state_slot = 5;

Arrays arrays_of(const Tensors& tensors) {
    Arrays arrays;
    for (const Tensor& tensor : tensors) arrays.push_back(array_of(tensor));
    return arrays;
}

void set_program(Pass& pass, const Tensor& words) {
    check_cpu(words);
    require(words.scalar_type() == ScalarType::Long && words.dim() == 1 && words.is_contiguous(),
            "program must be a contiguous int64 tensor of one axis");
    pass.program(static_cast<const int64_t*>(words.const_data_ptr()), words.numel());
}

// What a pass leaves, allocated like `like`: outputs of so many rows, then the states after.
Tensors allocate_results(Pass& pass, const Tensor& like, const Sizes& output_rows) {
    Tensors outputs, after;
    for (int64_t rows : output_rows) {
        require(rows >= 0, "output_rows must not be negative");
        outputs.push_back(allocate(like, pass.sizes(true, rows)));
    }
    for (int64_t i = 0; i < pass.pass.before.count; ++i) {
        const int64_t rows = fb_slot_rows(&pass.pass.program, state_slot, i);
        require(rows >= 0, "the program has no slot for a state that was given");
        after.push_back(allocate(like, pass.sizes(false, rows)));
    }
    pass.outputs(arrays_of(outputs));
    pass.after(arrays_of(after));
    outputs.insert(outputs.end(), after.begin(), after.end());
    return outputs;
}

// The tensor whose dtype is that of the whole call.
const Tensor& model(const Tensors& sequences, const Tensors& before, const Tensors& held, const Tensors& matrices) {
    for (const Tensors* tensors : {&sequences, &before, &held, &matrices})
        if (!tensors->empty()) return tensors->front();
    throw std::invalid_argument("feedbackward: scan needs a tensor besides the program");
}

fb_scan scan_of(const Tensor& like, const Sizes& lanes, int64_t steps, int64_t checkpoint) {
    require_instruction_set();
    require(steps >= 0, "steps must not be negative");
    for (int64_t size : lanes) require(size >= 0, "lanes must not be negative");
    return {dtype_of(like), int32_t(lanes.size()), lanes.data(), steps, checkpoint, nullptr};
}

Tensors scan(const Tensor& program, const Tensors& held, const Tensors& matrices, const Tensors& sequences,
             const Tensors& before, const Sizes& lanes, const Sizes& output_rows, int64_t steps, bool reverse,
             int64_t checkpoint, bool save) {
    const Tensor& like = model(sequences, before, held, matrices);
    fb_scan call = scan_of(like, lanes, steps, checkpoint);
    Pass forward(lanes, steps, reverse);
    set_program(forward, program);
    forward.held(arrays_of(held));
    forward.matrices(arrays_of(matrices));
    forward.sequences(arrays_of(sequences));
    forward.before(arrays_of(before));
    Tensors results = allocate_results(forward, like, output_rows);
    int64_t bytes = 0;
    if (save) {
        bytes = fb_scan_saved(&call, &forward.pass);
        check_code(bytes < 0 ? 2 : 0);
    }
    Tensor saved = torch::stable::new_empty(like, Sizes{bytes}, ScalarType::Byte);
    if (bytes) call.saved = saved.mutable_data_ptr();
    fb_prepare(call.saved, bytes);
    check_code(fb_scan_forward(&call, &forward.pass, &torch_threads));
    results.push_back(saved);
    return results;
}

Tensors scan_backward(const Tensor& program, const Tensor& adjoint, const Tensors& held, const Tensors& matrices,
                      const Tensors& sequences, const Tensors& before, const Tensor& saved,
                      const Tensors& adjoint_matrices, const Tensors& adjoint_sequences, const Tensors& adjoint_before,
                      const Sizes& lanes, const Sizes& output_rows, int64_t steps, bool reverse, int64_t checkpoint,
                      const Tensors& written, const Sizes& trails) {
    const Tensor& like = model(sequences, before, held, matrices);
    fb_scan call = scan_of(like, lanes, steps, checkpoint);
    Pass forward(lanes, steps, reverse), back(lanes, steps, reverse);
    set_program(forward, program);
    forward.held(arrays_of(held));
    forward.matrices(arrays_of(matrices));
    forward.sequences(arrays_of(sequences));
    forward.before(arrays_of(before));
    Sizes kept(written.size());
    std::iota(kept.begin(), kept.end(), 0);
    forward.written(arrays_of(written), kept, trails);
    set_program(back, adjoint);
    back.matrices(arrays_of(adjoint_matrices));
    back.sequences(arrays_of(adjoint_sequences));
    back.before(arrays_of(adjoint_before));
    Tensors results = allocate_results(back, like, output_rows);
    if (saved.numel()) {
        const int64_t bytes = fb_scan_saved(&call, &forward.pass);
        check_code(bytes < 0 ? 2 : 0);
        check_cpu(saved);
        require(saved.scalar_type() == ScalarType::Byte && saved.is_contiguous() && saved.numel() == bytes,
                "saved is not what scan returned for these arguments");
        call.saved = const_cast<void*>(saved.const_data_ptr());
    }
    check_code(fb_scan_backward(&call, &forward.pass, &back.pass, &torch_threads));
    return results;
}

Tensor band_outer(const Tensor& d_y, const Tensor& a, int64_t lower, int64_t upper) {
    require_instruction_set();
    check_cpu(d_y);
    check_cpu(a);
    require(d_y.dim() == 2 && a.dim() == 2 && d_y.size(0) == a.size(0) && d_y.size(1) == a.size(1),
            "d_y and a must have one shape (rows, columns)");
    require(d_y.is_contiguous() && a.is_contiguous(), "d_y and a must be contiguous");
    require(lower >= 0 && upper >= 0, "lower and upper must not be negative");
    const fb_dtype dtype = dtype_of(d_y);
    require(dtype == dtype_of(a) && (dtype == FB_FLOAT32 || dtype == FB_FLOAT64),
            "d_y and a must both be float32 or both float64");
    Tensor w = allocate(d_y, {lower + upper + 1, d_y.size(1)});
    const fb_factor left = {d_y.const_data_ptr(), nullptr}, right = {a.const_data_ptr(), nullptr};
    const fb_band band = {dtype, d_y.size(0), 1,     d_y.size(1),         lower, upper, false,
                          false, left,        right, w.mutable_data_ptr()};
    check_code(fb_band_outer(&band, &torch_threads));
    return w;
}

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(feedbackward, m) {
    m.def(
        "scan(Tensor program, Tensor[] held, Tensor[] matrices, Tensor[] sequences, Tensor[] before, int[] lanes, "
        "int[] output_rows, int steps, bool reverse, int checkpoint, bool save) -> Tensor[]");
    m.def(
        "scan_backward(Tensor program, Tensor adjoint, Tensor[] held, Tensor[] matrices, Tensor[] sequences, "
        "Tensor[] before, Tensor saved, Tensor[] adjoint_matrices, Tensor[] adjoint_sequences, "
        "Tensor[] adjoint_before, int[] lanes, int[] output_rows, int steps, bool reverse, int checkpoint, "
        "Tensor[] written, int[] trails) -> Tensor[]");
    m.def("band_outer(Tensor d_y, Tensor a, int lower, int upper) -> Tensor");
}

STABLE_TORCH_LIBRARY_IMPL(feedbackward, CPU, m) {
    m.impl("scan", TORCH_BOX(&scan));
    m.impl("scan_backward", TORCH_BOX(&scan_backward));
    m.impl("band_outer", TORCH_BOX(&band_outer));
}
