// What every operator needs of XLA's FFI: arrays, threads, errors. Headers only: no framework is linked.
#pragma once
#include <exception>
#include <new>

#include "passes.hpp"
#include "threads.hpp"
#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;

inline Array array_of(const ffi::AnyBuffer& buffer) {
    static const auto dtype_of = [](ffi::DataType type) {
        switch (type) {
            case ffi::DataType::F32:
                return FB_FLOAT32;
            case ffi::DataType::F64:
                return FB_FLOAT64;
            case ffi::DataType::C64:
                return FB_COMPLEX64;
            case ffi::DataType::C128:
                return FB_COMPLEX128;
            default:
                throw std::invalid_argument("feedbackward: arrays are float32, float64, complex64 or complex128");
        }
    };
    static int64_t nowhere[2];  // an empty array is there all the same
    const auto sizes = buffer.dimensions();
    void* const data = buffer.element_count() ? buffer.untyped_data() : nowhere;
    return {data, dtype_of(buffer.element_type()), Sizes(sizes.begin(), sizes.end())};
}

// The arguments, and the results, whose memory is fresh.
inline Arrays arrays_of(const ffi::RemainingArgs& arguments) {
    Arrays arrays;
    for (size_t i = 0; i < arguments.size(); ++i) arrays.push_back(array_of(arguments.get<ffi::AnyBuffer>(i).value()));
    return arrays;
}
inline Arrays arrays_of(const ffi::RemainingRets& results) {
    Arrays arrays;
    for (size_t i = 0; i < results.size(); ++i) {
        auto buffer = results.get<ffi::AnyBuffer>(i).value();
        fb_prepare(buffer->untyped_data(), int64_t(buffer->size_bytes()));
        arrays.push_back(array_of(*buffer));
    }
    return arrays;
}

using Numbers = ffi::Span<const int64_t>;
inline Sizes sizes_of(Numbers numbers) { return Sizes(numbers.begin(), numbers.end()); }

// XLA's own threads: the caller's part is done by the caller, so that a busy pool only makes it slower.
inline thread_local ffi::ThreadPool* current_pool = nullptr;

inline void run_on_xla_threads(int64_t count, Job::Task task, void* argument) {
    ffi::ThreadPool& pool = *current_pool;
    const int64_t helpers = std::min(count, std::max<int64_t>(pool.num_threads(), 1)) - 1;
    Job::run(count, task, argument, helpers, [&](const std::shared_ptr<Job>& job) {
        for (int64_t i = 0; i < helpers; ++i) pool.Schedule([job] { job->take_all(); });
    });
}
inline constexpr fb_threads xla_threads = {run_on_xla_threads};

// Runs f(arguments, results), and says in XLA's words what went wrong.
template <class F>
ffi::Error guarded(ffi::ThreadPool& pool, const ffi::RemainingArgs& arguments, const ffi::RemainingRets& results,
                   F&& f) try {
    require_instruction_set();
    ffi::ThreadPool* const outer = current_pool;
    struct Restore {
        ffi::ThreadPool* outer;
        ~Restore() { current_pool = outer; }
    } restore = {outer};
    current_pool = &pool;
    f(arrays_of(arguments), arrays_of(results));
    return ffi::Error::Success();
} catch (const std::bad_alloc&) {
    return ffi::Error(ffi::ErrorCode::kResourceExhausted, "feedbackward: out of memory");
} catch (const std::exception& error) {
    return ffi::Error::InvalidArgument(error.what());
}

// Every operator takes its arrays as they come; the settings follow.
inline auto operator_binding() { return ffi::Ffi::Bind().Ctx<ffi::ThreadPool>().RemainingArgs().RemainingRets(); }

#define FEEDBACKWARD_OPERATOR(name, implementation, ...)          \
    extern "C" FB_EXPORT XLA_FFI_Error* name(XLA_FFI_CallFrame*); \
    XLA_FFI_DEFINE_HANDLER_SYMBOL(name, implementation, operator_binding() __VA_ARGS__)
