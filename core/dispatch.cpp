// The C ABI, and the choice of an instruction set: once, at the first call.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "feedbackward.h"

#define FB_DECLARE(isa)                                                 \
    namespace isa {                                                     \
    void run(const fb_problem&, const fb_gradient*, const fb_threads&); \
    }
FB_DECLARE(fb_baseline)
#if defined(FB_X86)
FB_DECLARE(fb_avx2)
FB_DECLARE(fb_avx512)
#endif

namespace {

struct Isa {
    const char* name;
    bool supported;
    void (*run)(const fb_problem&, const fb_gradient*, const fb_threads&);
};

Isa choose() {
    const Isa known[] = {
#if defined(FB_X86)
        {"avx512", __builtin_cpu_supports("x86-64-v4") != 0, fb_avx512::run},
        {"avx2", __builtin_cpu_supports("x86-64-v3") != 0, fb_avx2::run},
#endif
        {"baseline", true, fb_baseline::run},
    };
    const char* wanted = std::getenv("FEEDBACKWARD_ISA");
    for (const Isa& isa : known)
        if (isa.supported && (!wanted || !*wanted || !std::strcmp(wanted, isa.name))) return isa;
    return {nullptr, false, nullptr};
}

const Isa& chosen() {
    static const Isa isa = choose();
    return isa;
}

int run(const fb_problem& problem, const fb_gradient* gradient, const fb_threads& threads) {
    try {
        chosen().run(problem, gradient, threads);
        return 0;
    } catch (const std::bad_alloc&) {
        return 1;
    }
}

}  // namespace

int fb_forward(const fb_problem* problem, const fb_threads* threads) { return run(*problem, nullptr, *threads); }

int fb_backward(const fb_problem* problem, const fb_gradient* gradient, const fb_threads* threads) {
    return run(*problem, gradient, *threads);
}

const char* fb_isa(void) { return chosen().name; }

void fb_prepare(void* data, int64_t bytes) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    constexpr uintptr_t huge = 2 << 20;
    if (bytes < int64_t(huge)) return;
    const uintptr_t begin = (reinterpret_cast<uintptr_t>(data) + huge - 1) / huge * huge;
    const uintptr_t end = (reinterpret_cast<uintptr_t>(data) + uintptr_t(bytes)) / huge * huge;
    if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
#else
    (void)data;
    (void)bytes;
#endif
}
