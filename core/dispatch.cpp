// The C ABI, and the choice of an instruction set: once, at the first call.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <stdexcept>
#include <string>
#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "feedbackward.h"
#include "program/check.hpp"
#include "program/operations.hpp"

#define FB_DECLARE(isa)                                                                   \
    namespace isa {                                                                       \
    void run(const fb_problem&, const fb_gradient*, const fb_threads&);                   \
    void scan(const fb_scan&, const fb_pass&, const fb_pass* adjoint, const fb_threads&); \
    int64_t scan_saved(const fb_scan&, const fb_pass&);                                   \
    void band_outer(const fb_band&, const fb_threads&);                                   \
    void multiply(const fb_product&, const fb_threads&);                                  \
    }
#define FB_FUNCTIONS(isa) isa::run, isa::scan, isa::scan_saved, isa::band_outer, isa::multiply
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
    void (*scan)(const fb_scan&, const fb_pass&, const fb_pass*, const fb_threads&);
    int64_t (*scan_saved)(const fb_scan&, const fb_pass&);
    void (*band_outer)(const fb_band&, const fb_threads&);
    void (*multiply)(const fb_product&, const fb_threads&);
};

Isa choose() {
    const Isa known[] = {
#if defined(FB_X86)
        {"avx512", __builtin_cpu_supports("x86-64-v4") != 0, FB_FUNCTIONS(fb_avx512)},
        {"avx2", __builtin_cpu_supports("x86-64-v3") != 0, FB_FUNCTIONS(fb_avx2)},
#endif
        {"baseline", true, FB_FUNCTIONS(fb_baseline)},
    };
    const char* wanted = std::getenv("FEEDBACKWARD_ISA");
    for (const Isa& isa : known)
        if (isa.supported && (!wanted || !*wanted || !std::strcmp(wanted, isa.name))) return isa;
    return {};
}

const Isa& chosen() {
    static const Isa isa = choose();
    return isa;
}

thread_local std::string error;

// Codes of the C ABI: 0, 1 out of memory, 2 malformed.
template <class F>
int guarded(F&& f) {
    try {
        f();
        return 0;
    } catch (const std::bad_alloc&) {
        return 1;
    } catch (const std::invalid_argument& malformed) {
        error = malformed.what();
        return 2;
    }
}

}  // namespace

int fb_forward(const fb_problem* problem, const fb_threads* threads) {
    return guarded([&] { chosen().run(*problem, nullptr, *threads); });
}

int fb_backward(const fb_problem* problem, const fb_gradient* gradient, const fb_threads* threads) {
    return guarded([&] { chosen().run(*problem, gradient, *threads); });
}

int64_t fb_scan_saved(const fb_scan* scan, const fb_pass* forward) {
    int64_t bytes = -1;
    guarded([&] {
        fb_check::check(*scan, *forward, nullptr);
        bytes = chosen().scan_saved(*scan, *forward);
    });
    return bytes;
}

int fb_scan_forward(const fb_scan* scan, const fb_pass* forward, const fb_threads* threads) {
    return guarded([&] {
        fb_check::check(*scan, *forward, nullptr);
        chosen().scan(*scan, *forward, nullptr, *threads);
    });
}

int fb_scan_backward(const fb_scan* scan, const fb_pass* forward, const fb_pass* adjoint, const fb_threads* threads) {
    return guarded([&] {
        fb_check::check(*scan, *forward, adjoint);
        chosen().scan(*scan, *forward, adjoint, *threads);
    });
}

int64_t fb_slot_rows(const fb_program* program, int64_t kind, int64_t index) {
    int64_t rows = -1;
    guarded([&] { rows = fb_check::slot_rows(*program, kind, index); });
    return rows;
}

int fb_band_outer(const fb_band* band, const fb_threads* threads) {
    return guarded([&] { chosen().band_outer(*band, *threads); });
}

int fb_multiply(const fb_product* product, const fb_threads* threads) {
    return guarded([&] { chosen().multiply(*product, *threads); });
}

const char* fb_operations(void) {
#define FB_NAME(name) #name " "
    return FB_OPERATIONS(FB_NAME);
#undef FB_NAME
}

const char* fb_error(void) { return error.c_str(); }

const char* fb_isa(void) { return chosen().name; }

void fb_prepare(void* data, int64_t bytes) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    constexpr uintptr_t huge = 2 << 20;
    if (bytes < int64_t(huge)) return;
    const uintptr_t begin = reinterpret_cast<uintptr_t>(data) / huge * huge;
    const uintptr_t end = (reinterpret_cast<uintptr_t>(data) + uintptr_t(bytes) + huge - 1) / huge * huge;
    madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
#else
    (void)data;
    (void)bytes;
#endif
}
