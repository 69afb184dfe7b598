// Elementary functions against the C library in a longer format: errors in units of the last place, and what is exact.
//
// Samples run over every exponent of the type, positive and negative, subnormals, zeros, infinities and NaN included;
// the first argument is the step between the bit patterns of the floats. Each function runs in a whole register, in
// half of one, and as a scalar.
#include "math.hpp"

#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

namespace {

using namespace FB_NAMESPACE;

template <class S, int W>
using Vector = typename vector_of<S, W>::type;
template <class S>
using Limits = std::numeric_limits<S>;
// What a reference is computed in.
template <class S>
using Longer = std::conditional_t<std::is_same_v<S, float>, double, long double>;

constexpr size_t batch = 64;
int failures = 0;
std::mt19937_64 engine(1);
double uniform(double low, double high) { return std::uniform_real_distribution<double>(low, high)(engine); }

// |got - want| in units of the last place of want. A zero has a sign; overflow begins one unit after the largest
// number.
template <class S>
double error(S got, Longer<S> want) {
    using L = Longer<S>;
    if (got == S(want) && want != 0) return 0;
    if (std::isnan(want) || std::isnan(got))
        return std::isnan(want) && std::isnan(got) ? 0 : Limits<double>::infinity();
    if (want == 0 && (got != 0 || std::signbit(got) != std::signbit(want))) return Limits<double>::infinity();
    const L top = std::ldexp(L(1), Limits<S>::max_exponent);
    const auto within = [&](L x) { return x > top ? top : x < -top ? -top : x; };
    int exponent = 0;
    std::frexp(within(want), &exponent);
    const int last = most(exponent, int(Limits<S>::min_exponent)) - Limits<S>::digits;
    return double(std::abs(within(L(got)) - within(want)) / std::ldexp(L(1), last));
}

template <class S>
std::vector<S> specials() {
    std::vector<S> x = {0,
                        Limits<S>::denorm_min(),
                        Limits<S>::min() / 2,
                        Limits<S>::min(),
                        S(0.25),
                        S(0.3),
                        S(0.5),
                        S(0.75),
                        1,
                        S(1.5),
                        2,
                        S(2.5),
                        3,
                        4,
                        6,
                        10,
                        20,
                        S(88.722839),
                        S(88.8),
                        89,
                        S(103.97),
                        104,
                        S(709.782712893384),
                        S(709.79),
                        710,
                        S(745.13),
                        746,
                        8388607,
                        8388609,
                        S(4503599627370495.5),
                        S(4503599627370497),
                        S(9007199254740993),
                        S(1048575.9),
                        1048577,
                        Limits<S>::max() / 4,
                        Limits<S>::max() / 2,
                        Limits<S>::max(),
                        Limits<S>::infinity(),
                        Limits<S>::quiet_NaN()};
    for (size_t i = x.size(); i-- > 0;) x.push_back(-x[i]);
    return x;
}
template <class S>
std::vector<S> samples(uint64_t stride) {
    std::vector<S> x = specials<S>();
    if constexpr (std::is_same_v<S, float>) {
        for (uint64_t pattern = 0; pattern <= 0xffffffff; pattern += stride)
            x.push_back(__builtin_bit_cast(float, uint32_t(pattern)));
    } else {
        for (int i = 0; i < 30000; ++i) x.push_back(__builtin_bit_cast(double, uint64_t(engine())));
    }
    // Most bit patterns are numbers without an interesting function.
    for (int i = 0; i < 30000; ++i)
        for (double range : {0.3, 1.0, 10.0, 800.0, 1e5}) x.push_back(S(uniform(-range, range)));
    for (int i = 0; i < 30000; ++i) x.push_back(S(1 + uniform(-1, 1) * std::exp2(uniform(-30, 0))));
    // Close to a multiple of pi/2, reduction of the argument cancels.
    for (int i = 0; i < 30000; ++i) x.push_back(S(1.57079632679489661923L * int64_t(std::exp2(uniform(0, 19.3)))));
    while (x.size() % batch) x.push_back(0);
    return x;
}
// Numbers among themselves, then pairs (x, y) of which x^y is neither 0 nor infinite.
template <class S>
void pairs(std::vector<S>& x, std::vector<S>& y) {
    for (S a : specials<S>())
        for (S b : specials<S>()) x.push_back(a), y.push_back(b);
    for (int i = 0; i < 300000; ++i) {
        const double a = std::exp2(uniform(-30, 30) * (i % 2 ? 1 : 0.01));
        const double range = i % 3 ? 2 : std::log(double(Limits<S>::max())) / std::abs(std::log(a));
        x.push_back(S(a)), y.push_back(S(uniform(-range, range)));
    }
    while (x.size() % batch) x.push_back(1), y.push_back(1);
}

// The worst error in `count` results.
template <class S>
struct Worst {
    double error = 0;
    S x = 0, y = 0, got = 0;
    Longer<S> want = 0;
};
template <class S, int W, class F>
void compare(const F& f, const S* x, const S* y, const Longer<S>* want, Worst<S>& worst) {
    for (size_t i = 0; i < batch; i += W) {
        Vector<S, W> a, b;
        std::memcpy(&a, x + i, sizeof a);
        std::memcpy(&b, y + i, sizeof b);
        const Vector<S, W> result = f.template operator()<W>(a, b);
        S got[W];
        std::memcpy(got, &result, sizeof got);
        for (size_t j = 0; j < W; ++j) {
            const double e = error<S>(got[j], want[i + j]);
            if (e > worst.error) worst = {e, x[i + j], y[i + j], got[j], want[i + j]};
        }
    }
}
template <class S, class F, class G>
void check(const char* name, double bound, const std::vector<S>& x, const std::vector<S>& y, const F& f,
           const G& reference) {
    Worst<S> worst;
    for (size_t i = 0; i < x.size(); i += batch) {
        Longer<S> want[batch];
        for (size_t j = 0; j < batch; ++j) want[j] = reference(Longer<S>(x[i + j]), Longer<S>(y[i + j]));
        compare<S, 1>(f, &x[i], &y[i], want, worst);
        compare<S, native<S> / 2>(f, &x[i], &y[i], want, worst);
        compare<S, native<S>>(f, &x[i], &y[i], want, worst);
    }
    const bool bad = !(worst.error <= bound);
    failures += bad;
    std::printf("%-10s %-6s %6.3f of %4.2f", name, sizeof(S) == 4 ? "float" : "double", worst.error, bound);
    if (bad) std::printf("  x %a y %a got %a want %La", worst.x, worst.y, worst.got, (long double)worst.want);
    std::puts("");
}

#define FUNCTION(name, bound, ...)                                                                                   \
    check<S>(                                                                                                        \
        #name, bound, x, y, []<int W>(Vector<S, W> a, [[maybe_unused]] Vector<S, W> b) { return v##name<S, W>(a); }, \
        [](Longer<S> x, Longer<S>) -> Longer<S> { return __VA_ARGS__; });
#define FUNCTION2(name, bound, ...)                                                                    \
    check<S>(                                                                                          \
        #name, bound, x, y, []<int W>(Vector<S, W> a, Vector<S, W> b) { return v##name<S, W>(a, b); }, \
        [](Longer<S> x, Longer<S> y) -> Longer<S> { return __VA_ARGS__; });

template <class L>
L remainder_of(L x, L y) {
    const L r = std::fmod(x, y);
    return r != 0 && (r < 0) != (y < 0) ? r + y : r;
}

template <class S>
void functions(const std::vector<S>& x, const std::vector<S>& y) {
    FUNCTION(exp, 1.1, std::exp(x))
    FUNCTION(expm1, 2.2, std::expm1(x))
    FUNCTION(tanh, 1.6, std::tanh(x))
    FUNCTION(sigmoid, 2.4, x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x)))
    FUNCTION(sinh, 1.8, std::sinh(x))
    FUNCTION(cosh, 1.6, std::cosh(x))
    FUNCTION(log, 1, std::log(x))
    FUNCTION(log1p, 1.6, std::log1p(x))
    FUNCTION(log2, 1.9, std::log2(x))
    FUNCTION(log10, 2.1, std::log10(x))
    FUNCTION(asinh, 2.1, std::asinh(x))
    FUNCTION(acosh, 2.7, std::acosh(x))
    FUNCTION(atanh, 2.2, std::atanh(x))
    FUNCTION(sin, 1.7, std::sin(x))
    FUNCTION(cos, 1.7, std::cos(x))
    FUNCTION(tan, 3.8, std::tan(x))
    FUNCTION(asin, 2.5, std::asin(x))
    FUNCTION(acos, 1.3, std::acos(x))
    FUNCTION(atan, 2.3, std::atan(x))
    FUNCTION(erf, 1.8, std::erf(x))
    FUNCTION(erfc, 4.4, std::erfc(x))
    FUNCTION(sqrt, 0.501, std::sqrt(x))
    FUNCTION(abs, 0, std::abs(x))
    FUNCTION(floor, 0, std::floor(x))
    FUNCTION(ceil, 0, std::ceil(x))
    FUNCTION(trunc, 0, std::trunc(x))
    FUNCTION(round, 0, std::rint(x))
    FUNCTION(sign, 0, Longer<S>(int(x > 0) - int(x < 0)))
}
template <class S>
void functions_of_two(const std::vector<S>& x, const std::vector<S>& y) {
    FUNCTION2(pow, 1.3, std::pow(x, y))
    FUNCTION2(atan2, 2.4, std::atan2(x, y))
    FUNCTION2(fmod, 0, std::fmod(x, y))
    FUNCTION2(remainder, 0.501, remainder_of(x, y))
    FUNCTION2(min, 0, x != x ? x : y != y ? y : x < y ? x : y)
    FUNCTION2(max, 0, x != x ? x : y != y ? y : x > y ? x : y)
}
template <class S>
void all(uint64_t stride) {
    std::vector<S> x = samples<S>(stride), y;
    functions<S>(x, x);
    x.clear();
    pairs<S>(x, y);
    functions_of_two<S>(x, y);
}

bool supported() {
#if defined(__AVX512F__)
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl");
#elif defined(__AVX2__)
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
    return true;
#endif
}

}  // namespace

int main(int count, char** arguments) {
    if (!supported()) return 77;
    const uint64_t stride = count > 1 ? std::strtoull(arguments[1], nullptr, 10) : 1009;
    all<float>(stride);
    all<double>(stride);
    if (failures) std::printf("%d functions past their bounds\n", failures);
    return failures != 0;
}
