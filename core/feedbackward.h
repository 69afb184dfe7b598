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

/* The instruction set in use: "avx512", "avx2" or "baseline"; NULL when FEEDBACKWARD_ISA names one that is unknown or
 * that this processor lacks. */
FB_EXPORT const char* fb_isa(void);

/* Asks the system for huge pages under a large block of fresh memory. */
FB_EXPORT void fb_prepare(void* data, int64_t bytes);

#if defined(__cplusplus)
}
#endif
