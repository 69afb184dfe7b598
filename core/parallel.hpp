// Work on the caller's threads.
#pragma once
#include <atomic>
#include <new>

#include "feedbackward.h"
#include "vec.hpp"

namespace FB_NAMESPACE {

// Runs f(i) for i = 0 .. count - 1; when memory ran out in one of them, it has for the caller.
template <class F>
void parallel(const fb_threads& threads, int64_t count, F&& f) {
    struct Shared {
        F& f;
        std::atomic<bool> failed;
    } shared = {f, false};
    threads.run(
        count,
        [](void* argument, int64_t i) {
            Shared& shared = *static_cast<Shared*>(argument);
            try {
                shared.f(i);
            } catch (const std::bad_alloc&) {
                shared.failed = true;
            }
            fence();
        },
        &shared);
    if (shared.failed) throw std::bad_alloc();
}

// The caller's threads, or for so few multiplications its own alone: another one takes longer to wake, and where others
// keep the cores busy much longer.
inline const fb_threads& worth_waking(const fb_threads& threads, double multiplications) {
    static constexpr fb_threads alone = {[](int64_t count, void (*task)(void*, int64_t), void* argument) {
        for (int64_t i = 0; i < count; ++i) task(argument, i);
    }};
    constexpr double few = 1 << 18;
    return multiplications < few ? alone : threads;
}

}  // namespace FB_NAMESPACE
