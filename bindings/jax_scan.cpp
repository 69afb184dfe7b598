// The programs of scan for JAX, forward and with their adjoint backward; and the gradient of a band.
#include "jax.hpp"

namespace {

// Takes arrays in the order in which they were given.
class Given {
public:
    explicit Given(const Arrays& arrays) : arrays_(arrays) {}
    Arrays next(int64_t count) {
        require(count >= 0 && next_ + size_t(count) <= arrays_.size(), "fewer arrays than the program needs");
        const auto first = arrays_.begin() + int64_t(next_);
        next_ += size_t(count);
        return Arrays(first, first + count);
    }

private:
    const Arrays& arrays_;
    size_t next_ = 0;
};

// counts: how many held values, matrices, sequences and states the program has.
void forward_arguments(Pass& pass, Numbers words, Numbers counts, Given& given) {
    require(counts.size() >= 4, "counts has fewer than four numbers");
    pass.program(words.begin(), int64_t(words.size()));
    pass.held(given.next(counts[0]));
    pass.matrices(given.next(counts[1]));
    pass.sequences(given.next(counts[2]));
    pass.before(given.next(counts[3]));
}

fb_scan scan_of(const Arrays& in, const Sizes& lanes, int64_t steps) {
    require(!in.empty() && steps >= 0, "a program needs an array, and steps");
    return {in[0].dtype, int32_t(lanes.size()), lanes.data(), steps, 0, nullptr};
}

// Arguments: held, matrices, sequences, states before. Results: outputs, states after.
ffi::Error scan(ffi::ThreadPool pool, ffi::RemainingArgs arguments, ffi::RemainingRets results, Numbers words,
                Numbers counts, Numbers lane_sizes, int64_t steps, bool reverse, bool lanes_first) {
    return guarded(pool, arguments, results, [&](const Arrays& in, const Arrays& out) {
        const Sizes lanes = sizes_of(lane_sizes);
        const fb_scan call = scan_of(in, lanes, steps);
        Pass forward(lanes, steps, reverse, lanes_first);
        Given given(in), made(out);
        forward_arguments(forward, words, counts, given);
        forward.outputs(made.next(int64_t(out.size()) - counts[3]));
        forward.after(made.next(counts[3]));
        check_code(fb_scan_forward(&call, &forward.pass, &xla_threads));
    });
}

// Arguments: those of scan; the adjoint's matrices, sequences and states before; the outputs of forward that `kept`
// names. adjoint_counts: how many matrices, sequences and states the adjoint has. Results: its outputs, states after.
ffi::Error scan_gradient(ffi::ThreadPool pool, ffi::RemainingArgs arguments, ffi::RemainingRets results, Numbers words,
                         Numbers counts, Numbers adjoint_words, Numbers adjoint_counts, Numbers lane_sizes,
                         int64_t steps, bool reverse, bool lanes_first, Numbers kept, Numbers trails) {
    return guarded(pool, arguments, results, [&](const Arrays& in, const Arrays& out) {
        const Sizes lanes = sizes_of(lane_sizes);
        const fb_scan call = scan_of(in, lanes, steps);
        require(adjoint_counts.size() >= 3, "adjoint_counts has fewer than three numbers");
        Pass forward(lanes, steps, reverse, lanes_first), back(lanes, steps, reverse, lanes_first);
        Given given(in), made(out);
        forward_arguments(forward, words, counts, given);
        back.program(adjoint_words.begin(), int64_t(adjoint_words.size()));
        back.matrices(given.next(adjoint_counts[0]));
        back.sequences(given.next(adjoint_counts[1]));
        back.before(given.next(adjoint_counts[2]));
        forward.written(given.next(int64_t(kept.size())), sizes_of(kept), sizes_of(trails));
        back.outputs(made.next(int64_t(out.size()) - adjoint_counts[2]));
        back.after(made.next(adjoint_counts[2]));
        check_code(fb_scan_backward(&call, &forward.pass, &back.pass, &xla_threads));
    });
}

// Arguments: the factors, and what the late one was before, as in band_of. Result: the diagonals.
ffi::Error band_outer(ffi::ThreadPool pool, ffi::RemainingArgs arguments, ffi::RemainingRets results, int64_t lower,
                      int64_t upper, bool lanes_first, bool reverse, int64_t late) {
    return guarded(pool, arguments, results, [&](const Arrays& in, const Arrays& out) {
        fb_band band =
            band_of(in.at(0), in.at(1), late ? &in.at(2) : nullptr, lower, upper, lanes_first, reverse, late);
        band.w = out.at(0).data;
        check_code(fb_band_outer(&band, &xla_threads));
    });
}

}  // namespace

FEEDBACKWARD_OPERATOR(feedbackward_scan, scan,
                      .Attr<Numbers>("words")
                          .Attr<Numbers>("counts")
                          .Attr<Numbers>("lanes")
                          .Attr<int64_t>("steps")
                          .Attr<bool>("reverse")
                          .Attr<bool>("lanes_first"));
FEEDBACKWARD_OPERATOR(feedbackward_scan_gradient, scan_gradient,
                      .Attr<Numbers>("words")
                          .Attr<Numbers>("counts")
                          .Attr<Numbers>("adjoint_words")
                          .Attr<Numbers>("adjoint_counts")
                          .Attr<Numbers>("lanes")
                          .Attr<int64_t>("steps")
                          .Attr<bool>("reverse")
                          .Attr<bool>("lanes_first")
                          .Attr<Numbers>("kept")
                          .Attr<Numbers>("trails"));
FEEDBACKWARD_OPERATOR(feedbackward_band_outer, band_outer,
                      .Attr<int64_t>("lower")
                          .Attr<int64_t>("upper")
                          .Attr<bool>("lanes_first")
                          .Attr<bool>("reverse")
                          .Attr<int64_t>("late"));
