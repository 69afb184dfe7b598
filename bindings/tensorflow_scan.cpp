// The operators of programs for TensorFlow, forward and with their adjoint backward; and the gradient of a band. There
// is one axis of lanes, the batch.
#include "passes.hpp"
#include "tensorflow.hpp"

namespace {

// Takes inputs in the order in which they were given.
class Given {
public:
    explicit Given(const Run& run) : run_(run) {}
    Arrays next(int64_t count) {
        next_ += count;
        return run_.inputs(next_ - count, count);
    }

private:
    const Run& run_;
    int64_t next_ = 0;
};

// A program, its inputs and what they say of steps and lanes: what is held; matrices as they are stored, which only
// derivatives read, and as they are applied; sequences; states before.
struct Step {
    Step(const Attributes& given, const char* name)
        : words(given.integers(name)),
          held(given.integer("H")),
          stored(given.integer("M")),
          matrices(given.integer("A")),
          sequences(given.integer("Q")),
          states(given.integer("B")),
          reverse(given.boolean("reverse")),
          lanes_first(given.boolean("lanes_first")) {}

    struct Inputs {
        Arrays held, stored, matrices, sequences, before;
        fb_dtype dtype = {};
        Sizes lanes = {1};
        int64_t steps = 0;

        fb_scan scan() const {
            require_instruction_set();
            return {dtype, int32_t(lanes.size()), lanes.data(), steps, 0, nullptr};
        }
    };

    Inputs inputs(Given& given) const {
        Inputs in = {given.next(held), given.next(stored), given.next(matrices), given.next(sequences),
                     given.next(states)};
        require(!in.sequences.empty() && in.sequences[0].dim() == 3, "a program needs a sequence of three axes");
        in.dtype = in.sequences[0].dtype;
        in.steps = in.sequences[0].size(lanes_first ? 1 : 0);
        for (const Arrays* arrays : {&in.held, &in.sequences, &in.before})
            for (const Array& array : *arrays) {
                const int64_t axis = arrays == &in.sequences && !lanes_first ? 1 : 0;
                if (array.dim() > axis + 1 && array.size(axis) != 1) in.lanes[0] = array.size(axis);
            }
        return in;
    }

    Pass pass(const Inputs& in) const { return Pass(in.lanes, in.steps, reverse, lanes_first); }

    void give(Pass& pass, const Inputs& in) const {
        pass.program(words.data(), int64_t(words.size()));
        pass.held(in.held);
        pass.matrices(in.matrices);
        pass.sequences(in.sequences);
        pass.before(in.before);
    }

    Sizes words;
    int64_t held, stored, matrices, sequences, states;
    bool reverse, lanes_first;
};

// Outputs and then states, which become those of the pass.
void allocate(Run& run, Pass& pass, const Step::Inputs& in, const Sizes& outputs, const Sizes& states) {
    Arrays made, after;
    int next = 0;
    for (int64_t rows : outputs) made.push_back(run.output(next++, in.dtype, pass.sizes(true, rows)));
    for (int64_t rows : states) after.push_back(run.output(next++, in.dtype, pass.sizes(false, rows)));
    pass.outputs(made);
    pass.after(after);
}

// The inputs of Step -> outputs, states after
struct Scan {
    explicit Scan(const Attributes& given)
        : step(given, "words"), outputs(given.integers("output_rows")), states(given.integers("state_rows")) {}

    void compute(Run& run) const {
        Given given(run);
        const Step::Inputs in = step.inputs(given);
        Pass pass = step.pass(in);
        step.give(pass, in);
        allocate(run, pass, in, outputs, states);
        const fb_scan scan = in.scan();
        check_code(fb_scan_forward(&scan, &pass.pass, &pool_threads));
    }

    Step step;
    Sizes outputs, states;
};

// The inputs of Step; the adjoint's matrices, sequences and states before; the outputs of forward that `kept` names.
// -> the adjoint's outputs, states after
struct ScanGradient {
    explicit ScanGradient(const Attributes& given)
        : step(given, "words"),
          adjoint(given.integers("adjoint_words")),
          matrices(given.integer("AM")),
          sequences(given.integer("AQ")),
          states(given.integer("AB")),
          kept(given.integers("kept")),
          trails(given.integers("trails")),
          outputs(given.integers("output_rows")),
          state_rows(given.integers("state_rows")) {}

    void compute(Run& run) const {
        Given given(run);
        const Step::Inputs in = step.inputs(given);
        Pass forward = step.pass(in), back = step.pass(in);
        step.give(forward, in);
        back.program(adjoint.data(), int64_t(adjoint.size()));
        back.matrices(given.next(matrices));
        back.sequences(given.next(sequences));
        back.before(given.next(states));
        forward.written(given.next(int64_t(kept.size())), kept, trails);
        allocate(run, back, in, outputs, state_rows);
        const fb_scan scan = in.scan();
        check_code(fb_scan_backward(&scan, &forward.pass, &back.pass, &pool_threads));
    }

    Step step;
    Sizes adjoint;
    int64_t matrices, sequences, states;
    Sizes kept, trails, outputs, state_rows;
};

// The factors, and what the late one was before, as in band_of -> the diagonals
struct BandOuter {
    explicit BandOuter(const Attributes& given)
        : lower(given.integer("lower")),
          upper(given.integer("upper")),
          late(given.integer("late")),
          lanes_first(given.boolean("lanes_first")),
          reverse(given.boolean("reverse")) {}

    void compute(Run& run) const {
        require_instruction_set();
        const Array &d_y = run.input(0), &a = run.input(1);
        fb_band band = band_of(d_y, a, late ? &run.input(2) : nullptr, lower, upper, lanes_first, reverse, late);
        band.w = run.output(0, band.dtype, {lower + upper + 1, band.columns}).data;
        check_code(fb_band_outer(&band, &pool_threads));
    }

    int64_t lower, upper, late;
    bool lanes_first, reverse;
};

}  // namespace

// When the library is loaded.
__attribute__((constructor)) static void register_all() {
    // Python looks for T in the first list, which may be empty, unless T has a default.
    const char *types = "T: {float, double} = DT_FLOAT", *program = "program: string", *reverse = "reverse: bool";
    const char* lanes_first = "lanes_first: bool";
    const char *words = "words: list(int)", *outputs = "output_rows: list(int)", *states = "state_rows: list(int)";
    const char *H = "H: int >= 0", *M = "M: int >= 0", *A = "A: int >= 0", *Q = "Q: int >= 0", *B = "B: int >= 0";
    const char *N = "N: int >= 0", *K = "K: int >= 0", *kept = "kept: list(int)", *trails = "trails: list(int)";
    const char *AM = "AM: int >= 0", *AQ = "AQ: int >= 0", *AB = "AB: int >= 0", *wanted = "wanted: list(int)";
    const char* back = "adjoint_words: list(int)";
    register_operation("FeedbackwardScan",
                       {types, H, M, A, Q, B, N, program, words, outputs, states, reverse, lanes_first},
                       {"held: H * T", "stored: M * T", "matrices: A * T", "sequences: Q * T", "before: B * T"},
                       {"outputs: N * T", "after: B * T"});
    register_operation(
        "FeedbackwardScanGradient", {types, H,      M,    A,    Q,      B,       N,      program, AM,         AQ, AB, K,
                                     words, wanted, back, kept, trails, outputs, states, reverse, lanes_first},
        {"held: H * T", "stored: M * T", "matrices: A * T", "sequences: Q * T", "before: B * T",
         "adjoint_matrices: AM * T", "adjoint_sequences: AQ * T", "adjoint_before: AB * T", "written: K * T"},
        {"outputs: N * T", "after: AB * T"});
    register_operation("FeedbackwardBandOuter",
                       {types, "L: int >= 0", "lower: int", "upper: int", "late: int", reverse, lanes_first},
                       {"d_y: T", "a: T", "before: L * T"}, {"w: T"});
    register_kernel<Scan>("FeedbackwardScan");
    register_kernel<ScanGradient>("FeedbackwardScanGradient");
    register_kernel<BandOuter>("FeedbackwardBandOuter");
}
