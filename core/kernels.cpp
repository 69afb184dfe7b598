// Every body under the driver, compiled once per instruction set; FB_NAMESPACE names the set.
#include "bodies/cascade.hpp"
#include "bodies/linear.hpp"
#include "driver.hpp"

namespace FB_NAMESPACE {

template <class M, template <class, int> class E, class S>
void run_as(const fb_problem& p, const fb_gradient* g, const fb_threads& threads) {
    if (p.kind == FB_LINEAR) return Driver<M, S>(p, g, Linear<E, S>::body()).run(threads);
    const CascadeShape shape = {p.sections, p.order, p.inputs[1].columns, p.inputs[2].columns};
    Driver<M, S>(p, g, Cascade<E, S>::body(shape)).run(threads);
}

void run(const fb_problem& p, const fb_gradient* g, const fb_threads& threads) {
    const bool narrow_signal = p.output.dtype != p.compute;
    switch (p.compute) {
        case FB_FLOAT32:
            return run_as<float, Real, float>(p, g, threads);
        case FB_FLOAT64:
            return narrow_signal ? run_as<float, Real, double>(p, g, threads)
                                 : run_as<double, Real, double>(p, g, threads);
        case FB_COMPLEX64:
            return run_as<float, Complex, float>(p, g, threads);
        case FB_COMPLEX128:
            return narrow_signal ? run_as<float, Complex, double>(p, g, threads)
                                 : run_as<double, Complex, double>(p, g, threads);
    }
}

}  // namespace FB_NAMESPACE
