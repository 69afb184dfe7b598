// Whether a program and what it is applied to fit together. What passes cannot make the interpreter leave its memory.
#pragma once
#include "../feedbackward.h"

namespace fb_check {

// Throws std::invalid_argument with one sentence. adjoint may be NULL.
void check(const fb_scan& scan, const fb_pass& forward, const fb_pass* adjoint);
void check_header(const fb_program& program);

// The rows of the first slot of that kind and index, or -1.
int64_t slot_rows(const fb_program& program, int64_t kind, int64_t index);

}  // namespace fb_check
