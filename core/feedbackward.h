/* The C ABI of the core: the only face that bindings see. No framework header, no C++.
 *
 *     state[t], y[t] = cell(state[t-1], x[t]; parameters),   t = 0 .. steps-1,   for every lane
 *
 * A lane is one independent run of the recurrence; lanes are the broadcast of all leading axes.
 * Strides are counted in elements of the value's own dtype; a broadcast axis has stride 0. */
#pragma once
#include <stdint.h>

#if defined(__cplusplus)
extern "C" {
#endif

#define FB_EXPORT __attribute__((visibility("default")))

typedef enum { FB_FLOAT32, FB_FLOAT64, FB_COMPLEX64, FB_COMPLEX128 } fb_dtype;

/* value(lane, frame, row, column): what a lane reads or writes in the course of time.
 * Sample t reads frame t / hop; hop == 0 means one frame for all time. With `linear`, the value of sample t is
 * interpolated between frames t / hop and t / hop + 1, the last frame being held. */
typedef struct {
    void* data; /* NULL: absent (a zero state, an unwanted gradient) */
    fb_dtype dtype;
    int32_t linear;
    int64_t hop;
    int64_t frames, frame_stride;
    int64_t rows, row_stride;
    int64_t columns, column_stride;
    const int64_t* lane_strides; /* (dims,) */
} fb_value;

/* FB_CASCADE  sections of transposed direct form II in series. inputs: x, b (sections, order + 1), a (sections, order)
 *             without a0, which is 1; columns may be fewer, the missing coefficients are 0. state: (sections, order).
 * FB_LINEAR   h[t] = decay[t] h[t-1] + x[t]. inputs: x, decay. state: h. */
typedef enum { FB_CASCADE, FB_LINEAR } fb_kind;

enum { FB_MAX_INPUTS = 3 };

typedef struct {
    fb_kind kind;
    fb_dtype compute; /* of coefficients, states and the recursion; the signals x and y may be narrower */
    int64_t sections, order;
    int32_t dims;
    const int64_t* sizes; /* (dims,): the lanes */
    int64_t steps;
    fb_value inputs[FB_MAX_INPUTS];
    fb_value state_before, state_after, output;
} fb_problem;

/* What backward reads (d_output, d_state_after; either may be absent) and what it writes. A written gradient has the
 * layout of its value with the broadcast axes at stride 0, and is overwritten. */
typedef struct {
    fb_value d_output, d_state_after;
    fb_value d_inputs[FB_MAX_INPUTS], d_state_before;
} fb_gradient;

/* Runs task(argument, i) for every i in [0, count), in any order, on any thread; returns when all are done. */
typedef struct {
    void (*run)(int64_t count, void (*task)(void* argument, int64_t index), void* argument);
} fb_threads;

/* 0, or 1 when memory ran out. */
FB_EXPORT int fb_forward(const fb_problem* problem, const fb_threads* threads);
FB_EXPORT int fb_backward(const fb_problem* problem, const fb_gradient* gradient, const fb_threads* threads);

/* A recurrence given as a program: one time step as a list of instructions over slots, run by an interpreter over all
 * lanes and all time. float32 or float64, one dtype for everything. A value of a slot has `rows` channels per lane:
 * the columns of its fb_value.
 *
 * words: [slots, codes, table words], slots x [kind, index, rows, extra], codes x [op, rows, dst, a, b, c, broadcast,
 * extra], table. Slot kinds:
 *     0 temp      scratch of one step
 *     1 constant  one row, the same everywhere; extra: the bits of the double
 *     2 held      held[index]
 *     3 sequence  sequences[index], read
 *     4 output    outputs[index], written
 *     5 state     before[index] -> after[index]: before the step when the step begins, after it when it ends
 *     6 record    as temp, and kept for the adjoint
 *     7 view      rows of slot `index` from row `extra` on; only copy and gather write to views
 *     8 forward   in an adjoint: slot `index` of the forward program, which is held, constant, a sequence, a record,
 *                 an output, a state (meaning the state before the step), or a view of one of these
 *     9 before    slot `index`, a state, as it was before the step, whenever it is read
 * Bit 0, 1, 2 of broadcast: operand a, b, c is one row that serves all rows. fb_operations() names the operations in
 * the order of their codes; core/program/operations.hpp defines them. */
typedef struct {
    const int64_t* words;
    int64_t count;
} fb_program;

typedef struct {
    const fb_value* data;
    int64_t count;
} fb_values;

/* A program and what it is applied to. Step t reads and writes frame t of sequences and outputs; frame_stride may be
 * negative, or 0 in what is read. The adjoint of a program goes from the last step to the first, over the same t. */
typedef struct {
    fb_program program;
    fb_values held;      /* (lanes, rows): constant in time */
    fb_values matrices;  /* (rows, columns): weights of coupled instructions, shared by all lanes */
    fb_values sequences; /* (steps, lanes, rows), read; data NULL: zero */
    fb_values outputs;   /* (steps, lanes, rows), written; data NULL: not wanted */
    fb_values before;    /* (lanes, rows), data NULL: zero */
    fb_values after;     /* (lanes, rows), data NULL: not wanted; as many as before */
} fb_pass;

/* In the forward pass that fb_scan_backward is given, outputs and after are read: outputs as they were written, and
 * after (steps, lanes, rows) as the state after every step; data NULL: not known. If they hold all that the adjoint
 * reads of the step's results, no step is computed again. */

/* checkpoint: how often forward keeps the state for backward. -1: it keeps all records, outputs and states of every
 * step, and backward does not replay; k > 0: every k steps; 0: the core chooses: -1 if that is 2 to 4 MiB at most
 * in all, or up to 1 GiB where large matrices make replaying slow; otherwise an interval that fits in cache. saved:
 * fb_scan_saved() bytes, private to the core; NULL: forward keeps nothing, backward first runs forward. */
typedef struct {
    fb_dtype dtype;
    int32_t dims;
    const int64_t* sizes; /* (dims,): the lanes */
    int64_t steps, checkpoint;
    void* saved;
} fb_scan;

/* 0; 1 when memory ran out; 2 when what was given is malformed, and fb_error() says how (to the same thread).
 * fb_scan_saved: bytes, or -1 for malformed. fb_slot_rows: the rows of the first slot of that kind and index, or -1. */
FB_EXPORT int64_t fb_scan_saved(const fb_scan* scan, const fb_pass* forward);
FB_EXPORT int fb_scan_forward(const fb_scan* scan, const fb_pass* forward, const fb_threads* threads);
FB_EXPORT int fb_scan_backward(const fb_scan* scan, const fb_pass* forward, const fb_pass* adjoint,
                               const fb_threads* threads);
FB_EXPORT int64_t fb_slot_rows(const fb_program* program, int64_t kind, int64_t index);
FB_EXPORT const char* fb_operations(void);
FB_EXPORT const char* fb_error(void);

/* w(d, i) = sum over t and l of d_y(t, l, i) a(t, l, i + d - lower), terms outside 0 .. columns - 1 being zero: the
 * gradient of a banded matrix. A factor is contiguous, (steps, lanes, columns), or (lanes, steps, columns) with
 * lanes_first. With `before` (lanes, columns) it is read a step late: before at the first step, then data of the step
 * before; with `reverse` the last step is the first. w: (lower + upper + 1, columns), contiguous. */
typedef struct {
    const void *data, *before;
} fb_factor;
typedef struct {
    fb_dtype dtype;
    int64_t steps, lanes, columns, lower, upper;
    int32_t lanes_first, reverse;
    fb_factor d_y, a;
    void* w;
} fb_band;
FB_EXPORT int fb_band_outer(const fb_band* band, const fb_threads* threads);

/* c(i, j) = bias(j) + sum over k of a(i, k) b(k, j). Strides of a: of a row, of k; of b: of k, of a column. bias
 * (columns) may be NULL; c (rows, columns) is contiguous. */
typedef struct {
    fb_dtype dtype;
    int64_t rows, columns, depth;
    const void *a, *b, *bias;
    int64_t a_strides[2], b_strides[2];
    void* c;
} fb_product;
FB_EXPORT int fb_multiply(const fb_product* product, const fb_threads* threads);

/* The instruction set in use: "avx512", "avx2" or "baseline"; NULL when FEEDBACKWARD_ISA names one that is unknown or
 * that this processor lacks. */
FB_EXPORT const char* fb_isa(void);

/* Asks the system for huge pages under a large block of fresh memory. */
FB_EXPORT void fb_prepare(void* data, int64_t bytes);

#if defined(__cplusplus)
}
#endif
