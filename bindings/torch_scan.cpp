// The operators of scan: a program over tensors, forward and with its adjoint backward; and the gradient of a band.
#include <deque>

#include "tensors.hpp"

namespace {

using Tensors = std::vector<Tensor>;
constexpr int64_t output_slot = 4, state_slot = 5;

// The values of one pass, in the core's terms.
class Pass {
public:
    Pass(const Sizes& lanes, int64_t steps, bool reverse) : lanes_(lanes), steps_(steps), reverse_(reverse) {}

    void program(const Tensor& words) {
        check_cpu(words);
        STD_TORCH_CHECK(words.scalar_type() == ScalarType::Long && words.dim() == 1 && words.is_contiguous(),
                        "feedbackward: program must be a contiguous int64 tensor of one axis");
        pass.program = {static_cast<const int64_t*>(words.const_data_ptr()), words.numel()};
    }
    void held(const Tensors& tensors) { pass.held = each(tensors, false, false); }
    void sequences(const Tensors& tensors) { pass.sequences = each(tensors, true, true); }
    void outputs(const Tensors& tensors) { pass.outputs = each(tensors, true, false); }
    void before(const Tensors& tensors) { pass.before = each(tensors, false, true); }
    void after(const Tensors& tensors) { pass.after = each(tensors, false, false); }

    void matrices(const Tensors& tensors) {
        std::vector<fb_value>& values = values_.emplace_back();
        for (const Tensor& tensor : tensors) {
            STD_TORCH_CHECK(tensor.dim() == 2, "feedbackward: a matrix must have two axes");
            fb_value v = base(tensor);
            v.rows = tensor.size(0);
            v.row_stride = tensor.stride(0);
            v.columns = tensor.size(1);
            v.column_stride = tensor.stride(1);
            values.push_back(v);
        }
        pass.matrices = {values.data(), int64_t(values.size())};
    }

    // What forward wrote, as far as it is known: its outputs, and states that they are after the step.
    void written(const Tensors& tensors, const Sizes& trails) {
        std::vector<fb_value>&outputs = values_.emplace_back(), &after = values_.emplace_back();
        for (int64_t i = 0; fb_slot_rows(&pass.program, output_slot, i) >= 0; ++i)
            outputs.push_back(size_t(i) < tensors.size() ? value(tensors[size_t(i)], true, true) : fb_value{});
        for (int64_t i = 0; i < pass.before.count; ++i) {
            const int64_t trail = size_t(i) < trails.size() ? trails[size_t(i)] : -1;
            STD_TORCH_CHECK(trail < int64_t(outputs.size()), "feedbackward: trails name an output that there is not");
            after.push_back(trail < 0 ? fb_value{} : outputs[size_t(trail)]);
        }
        pass.outputs = {outputs.data(), int64_t(outputs.size())};
        pass.after = {after.data(), int64_t(after.size())};
    }

    // Outputs and states after, allocated like `like`.
    Tensors allocate_outputs(const Tensor& like, const Sizes& rows) {
        Tensors made;
        for (int64_t r : rows) {
            STD_TORCH_CHECK(r >= 0, "feedbackward: output_rows must not be negative");
            made.push_back(allocate(like, sizes(true, r)));
        }
        outputs(made);
        return made;
    }
    Tensors allocate_after(const Tensor& like) {
        Tensors made;
        for (int64_t i = 0; i < pass.before.count; ++i) {
            const int64_t rows = fb_slot_rows(&pass.program, state_slot, i);
            STD_TORCH_CHECK(rows >= 0, "feedbackward: the program has no slot for a state that was given");
            made.push_back(allocate(like, sizes(false, rows)));
        }
        after(made);
        return made;
    }

    fb_pass pass = {};

private:
    Sizes sizes(bool time, int64_t rows) const {
        Sizes sizes = lanes_;
        if (time) sizes.insert(sizes.begin(), steps_);
        sizes.push_back(rows);
        return sizes;
    }

    static fb_value base(const Tensor& tensor) {
        check_cpu(tensor);
        fb_value v = {};
        v.data = const_cast<void*>(tensor.const_data_ptr());
        v.dtype = dtype_of(tensor);
        v.frames = v.rows = v.columns = 1;
        return v;
    }

    // (steps, *lanes, rows) or (*lanes, rows), lanes of size 1 being broadcast. An empty tensor may stand for zeros.
    fb_values each(const Tensors& tensors, bool time, bool may_lack) {
        std::vector<fb_value>& values = values_.emplace_back();
        for (const Tensor& tensor : tensors) values.push_back(value(tensor, time, may_lack));
        return {values.data(), int64_t(values.size())};
    }
    fb_value value(const Tensor& tensor, bool time, bool may_lack) {
        fb_value v = base(tensor);
        Sizes& strides = strides_.emplace_back(lanes_.size(), 0);
        v.lane_strides = strides.data();
        if (may_lack && tensor.numel() == 0) {
            v.data = nullptr;
            return v;
        }
        const int64_t first = time ? 1 : 0, dims = int64_t(lanes_.size());
        STD_TORCH_CHECK(tensor.dim() == first + dims + 1, "feedbackward: a tensor has ", tensor.dim(),
                        " axes, expected (", time ? "steps, " : "", "*lanes, rows) with ", dims, " axes of lanes");
        if (time) {
            STD_TORCH_CHECK(tensor.size(0) == steps_, "feedbackward: a sequence has ", tensor.size(0),
                            " steps, expected ", steps_);
            v.frames = steps_;
            v.frame_stride = tensor.stride(0);
            if (reverse_ && steps_) {
                v.data = static_cast<char*>(v.data) + (steps_ - 1) * v.frame_stride * int64_t(tensor.element_size());
                v.frame_stride = -v.frame_stride;
            }
        }
        for (int64_t d = 0; d < dims; ++d) {
            const int64_t size = tensor.size(first + d);
            STD_TORCH_CHECK(size == 1 || size == lanes_[size_t(d)], "feedbackward: axis ", first + d, " has size ",
                            size, ", which does not broadcast to the ", lanes_[size_t(d)], " lanes there");
            if (size != 1) strides[size_t(d)] = tensor.stride(first + d);
        }
        v.columns = tensor.size(first + dims);
        v.column_stride = tensor.stride(first + dims);
        return v;
    }

    Sizes lanes_;
    int64_t steps_;
    bool reverse_;
    std::deque<std::vector<fb_value>> values_;
    std::deque<Sizes> strides_;
};

// The tensor whose dtype is that of the whole call.
const Tensor& model(const Tensors& sequences, const Tensors& before, const Tensors& held, const Tensors& matrices) {
    for (const Tensors* tensors : {&sequences, &before, &held, &matrices})
        if (!tensors->empty()) return tensors->front();
    STD_TORCH_CHECK(false, "feedbackward: scan needs a tensor besides the program");
}

fb_scan scan_of(const Tensor& like, const Sizes& lanes, int64_t steps, int64_t checkpoint) {
    check_instruction_set();
    STD_TORCH_CHECK(steps >= 0, "feedbackward: steps must not be negative");
    for (int64_t size : lanes) STD_TORCH_CHECK(size >= 0, "feedbackward: lanes must not be negative");
    return {dtype_of(like), int32_t(lanes.size()), lanes.data(), steps, checkpoint, nullptr};
}

Tensors scan(const Tensor& program, const Tensors& held, const Tensors& matrices, const Tensors& sequences,
             const Tensors& before, const Sizes& lanes, const Sizes& output_rows, int64_t steps, bool reverse,
             int64_t checkpoint, bool save) {
    const Tensor& like = model(sequences, before, held, matrices);
    fb_scan call = scan_of(like, lanes, steps, checkpoint);
    Pass forward(lanes, steps, reverse);
    forward.program(program);
    forward.held(held);
    forward.matrices(matrices);
    forward.sequences(sequences);
    forward.before(before);
    Tensors results = forward.allocate_outputs(like, output_rows);
    for (Tensor& tensor : forward.allocate_after(like)) results.push_back(tensor);
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
    forward.program(program);
    forward.held(held);
    forward.matrices(matrices);
    forward.sequences(sequences);
    forward.before(before);
    forward.written(written, trails);
    back.program(adjoint);
    back.matrices(adjoint_matrices);
    back.sequences(adjoint_sequences);
    back.before(adjoint_before);
    Tensors results = back.allocate_outputs(like, output_rows);
    for (Tensor& tensor : back.allocate_after(like)) results.push_back(tensor);
    if (saved.numel()) {
        const int64_t bytes = fb_scan_saved(&call, &forward.pass);
        check_code(bytes < 0 ? 2 : 0);
        check_cpu(saved);
        STD_TORCH_CHECK(saved.scalar_type() == ScalarType::Byte && saved.is_contiguous() && saved.numel() == bytes,
                        "feedbackward: saved is not what scan returned for these arguments");
        call.saved = const_cast<void*>(saved.const_data_ptr());
    }
    check_code(fb_scan_backward(&call, &forward.pass, &back.pass, &torch_threads));
    return results;
}

Tensor band_outer(const Tensor& d_y, const Tensor& a, int64_t lower, int64_t upper) {
    check_instruction_set();
    check_cpu(d_y);
    check_cpu(a);
    STD_TORCH_CHECK(d_y.dim() == 2 && a.dim() == 2 && d_y.size(0) == a.size(0) && d_y.size(1) == a.size(1),
                    "feedbackward: d_y and a must have one shape (rows, columns)");
    STD_TORCH_CHECK(d_y.is_contiguous() && a.is_contiguous(), "feedbackward: d_y and a must be contiguous");
    STD_TORCH_CHECK(lower >= 0 && upper >= 0, "feedbackward: lower and upper must not be negative");
    const fb_dtype dtype = dtype_of(d_y);
    STD_TORCH_CHECK(dtype == dtype_of(a) && (dtype == FB_FLOAT32 || dtype == FB_FLOAT64),
                    "feedbackward: d_y and a must both be float32 or both float64");
    Tensor w = allocate(d_y, {lower + upper + 1, d_y.size(1)});
    const fb_band band = {dtype, d_y.size(0),          d_y.size(1),        lower,
                          upper, d_y.const_data_ptr(), a.const_data_ptr(), w.mutable_data_ptr()};
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
