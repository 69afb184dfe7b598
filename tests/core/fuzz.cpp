// Random problems through the C ABI: forward against a plain loop, backward against the definition of an adjoint.
//
// Every buffer is exactly as large as its value needs, and begins at an odd element, so that the sanitizers see a read
// or a write that is one element off. Outputs and gradients start as NaN: what nobody wrote is seen.
//
// For fixed coefficients (y, after) is linear in (x, before), so that  <d_y, y> + <d_after, after> = <d_x, x> +
// <d_before, before>  holds for any d. The gradients of coefficients are compared with central differences.
#include <cmath>
#include <cstdio>
#include <thread>

#include "value.hpp"

namespace {

void run_in_order(int64_t count, void (*task)(void*, int64_t), void* argument) {
    for (int64_t i = count; i-- > 0;) task(argument, i);
}
void run_on_threads(int64_t count, void (*task)(void*, int64_t), void* argument) {
    constexpr int64_t most = 4;
    std::vector<std::thread> threads;
    for (int64_t first = 0; first < most; ++first)
        threads.emplace_back([=] {
            for (int64_t i = first; i < count; i += most) task(argument, i);
        });
    for (std::thread& thread : threads) thread.join();
}

struct Problem {
    fb_kind kind;
    fb_dtype compute, signal;
    int64_t sections, order, steps;
    Sizes lanes;
    std::vector<std::unique_ptr<Value>> inputs;  // x, b, a or x, decay
    std::unique_ptr<Value> before, after, output;

    std::vector<bool> some_broadcast() const {
        std::vector<bool> broadcast(lanes.size());
        for (size_t i = 0; i < lanes.size(); ++i) broadcast[i] = lanes[i] == 1 || draw(0, 2) == 0;
        return broadcast;
    }
    std::unique_ptr<Value> value(fb_dtype dtype, int64_t frames, int64_t rows, int64_t columns, bool whole = false) {
        const std::vector<bool> broadcast = whole ? std::vector<bool>(lanes.size(), false) : some_broadcast();
        auto v = std::make_unique<Value>(dtype, lanes, broadcast, frames, rows, columns);
        broadcasts.push_back(broadcast);
        return v;
    }
    std::vector<std::vector<bool>> broadcasts;  // of x, b, a (or x, decay), before

    fb_problem given() const {
        fb_problem p = {};
        p.kind = kind;
        p.compute = compute;
        p.sections = sections;
        p.order = order;
        p.dims = int32_t(lanes.size());
        p.sizes = lanes.data();
        p.steps = steps;
        for (size_t i = 0; i < inputs.size(); ++i) p.inputs[i] = inputs[i]->given;
        if (before) p.state_before = before->given;
        p.state_after = after->given;
        p.output = output->given;
        return p;
    }

    template <class F>
    void for_lanes(F&& f) const {
        Sizes lane(lanes.size(), 0);
        for (int64_t size : lanes)
            if (!size) return;
        while (true) {
            f(lane);
            size_t i = lanes.size();
            while (i > 0 && ++lane[i - 1] == lanes[i - 1]) lane[--i] = 0;
            if (i == 0) return;
        }
    }

    // <d_y, y> + <d_after, after> by the plain loop; `difference` takes the largest error of output and after.
    Number loop(const Value& d_y, const Value& d_after, double* difference) const {
        Number product = 0;
        for_lanes([&](const Sizes& lane) {
            std::vector<Number> s(size_t(sections * order), 0);
            for (int64_t k = 0; before && k < sections; ++k)
                for (int64_t i = 0; i < order; ++i) s[size_t(k * order + i)] = before->at(lane, 0, k, i);
            for (int64_t t = 0; t < steps; ++t) {
                Number value = inputs[0]->now(lane, t, 0, 0);
                for (int64_t k = 0; k < sections; ++k) {
                    Number* z = s.data() + k * order;
                    if (kind == FB_LINEAR) {
                        value = *z = inputs[1]->now(lane, t, 0, 0) * *z + value;
                        continue;
                    }
                    const Number u = value;
                    value = inputs[1]->now(lane, t, k, 0) * u + (order ? z[0] : 0);
                    for (int64_t i = 0; i < order; ++i)
                        z[i] = (i + 1 < order ? z[i + 1] : 0) + inputs[1]->now(lane, t, k, i + 1) * u -
                               inputs[2]->now(lane, t, k, i) * value;
                }
                product += std::conj(d_y.at(lane, t, 0, 0)) * value;
                if (difference) *difference = std::fmax(*difference, distance(value, output->at(lane, t, 0, 0)));
            }
            for (int64_t k = 0; k < sections; ++k)
                for (int64_t i = 0; i < order; ++i) {
                    const Number z = s[size_t(k * order + i)];
                    product += std::conj(d_after.at(lane, 0, k, i)) * z;
                    if (difference) *difference = std::fmax(*difference, distance(z, after->at(lane, 0, k, i)));
                }
        });
        return product;
    }

    // NaN anywhere is an infinite distance.
    static double distance(Number a, Number b) {
        const double d = std::abs(a - b);
        return d == d ? d : std::numeric_limits<double>::infinity();
    }
};

Problem random_problem() {
    Problem p;
    p.kind = draw(0, 3) ? FB_CASCADE : FB_LINEAR;
    p.compute = fb_dtype(draw(0, 3));
    p.signal = p.compute == FB_FLOAT64 && coin()      ? FB_FLOAT32
               : p.compute == FB_COMPLEX128 && coin() ? FB_COMPLEX64
                                                      : p.compute;
    p.sections = p.kind == FB_LINEAR ? 1 : draw(1, 3);
    p.order = p.kind == FB_LINEAR ? 1 : draw(0, 6);
    const int64_t lengths[] = {0, 1, 2, 3, 15, 16, 17, 31, 33, 64, 65, 129, 257, 300};
    p.steps = lengths[draw(0, 13)];
    const int64_t sizes[] = {1, 1, 2, 3, 5, 16, 17, 20, 65};
    for (int64_t i = draw(0, 3), lanes = 1; i > 0; --i) {
        const int64_t size = draw(0, 40) ? sizes[draw(0, 8)] : 0;
        if (lanes * size > 300) continue;
        p.lanes.push_back(size);
        lanes *= std::max<int64_t>(size, 1);
    }
    if (draw(0, 7) == 0) {  // a long signal of few lanes is cut in time
        p.lanes.assign(size_t(draw(0, 2)), draw(1, 2));
        p.steps = draw(0, 9) ? draw(2048, 3000) : draw(65536, 70000);  // and a very long one shared out
    }

    int64_t hop = coin() ? 0 : lengths[draw(1, 13)];
    const bool linear = coin();
    const int64_t needed = hop ? (p.steps + hop - 1) / hop : 1;
    const auto coefficients = [&](int64_t rows, int64_t columns, double scale) {
        const bool single = !hop || needed == 0 || draw(0, 5) == 0;
        const int64_t frames = single ? 1 : needed + (linear && coin());
        auto v = p.value(p.compute, frames, rows, columns);
        v->given.hop = single ? 0 : hop;
        v->given.linear = linear;
        v->fill(scale);
        return v;
    };
    const auto signal = [&](fb_dtype dtype, bool whole) {
        const bool held = !whole && draw(0, 5) == 0;
        auto v = p.value(dtype, held ? 1 : p.steps, 1, 1, whole);
        v->given.hop = held ? 0 : 1;
        return v;
    };
    p.inputs.push_back(signal(p.signal, false));
    p.inputs[0]->given.hop = 1;
    if (p.inputs[0]->given.frames != p.steps) {
        p.inputs.clear();
        p.broadcasts.clear();
        p.inputs.push_back(p.value(p.signal, p.steps, 1, 1));
        p.inputs[0]->given.hop = 1;
    }
    p.inputs[0]->fill(1);
    if (p.kind == FB_LINEAR) {
        p.inputs.push_back(signal(p.compute, false));
        p.inputs[1]->fill(0.6);
    } else {
        const int64_t a_terms = p.order ? draw(0, p.order) : 0;
        const int64_t b_terms = a_terms == p.order ? draw(1, p.order + 1) : p.order + 1;
        p.inputs.push_back(coefficients(p.sections, b_terms, 0.5));
        p.inputs.push_back(coefficients(p.sections, a_terms, 0.15 / double(std::max<int64_t>(p.order, 1))));
    }
    if (coin()) {
        p.before = p.value(p.compute, 1, p.sections, p.order);
        p.before->fill(1);
    }
    p.after = std::make_unique<Value>(p.compute, p.lanes, std::vector<bool>(p.lanes.size()), 1, p.sections, p.order);
    p.output = std::make_unique<Value>(p.signal, p.lanes, std::vector<bool>(p.lanes.size()), p.steps, 1, 1);
    p.output->given.hop = 1;
    return p;
}

int failures = 0;
void expect(bool holds, const char* what, int64_t round, double error, double bound, const Problem& p) {
    if (holds) return;
    ++failures;
    std::fprintf(stderr,
                 "round %lld: %s is off by %g, allowed %g (kind %d compute %d signal %d order %lld sections %lld "
                 "steps %lld lanes",
                 (long long)round, what, error, bound, p.kind, p.compute, p.signal, (long long)p.order,
                 (long long)p.sections, (long long)p.steps);
    for (int64_t size : p.lanes) std::fprintf(stderr, " %lld", (long long)size);
    for (const auto& v : p.inputs)
        std::fprintf(stderr, "; hop %lld frames %lld columns %lld", (long long)v->given.hop, (long long)v->given.frames,
                     (long long)v->given.columns);
    std::fprintf(stderr, ")\n");
}

void test(int64_t round) {
    engine.seed(uint64_t(round));
    Problem p = random_problem();
    const fb_threads threads = {coin() ? run_in_order : run_on_threads};
    const bool single = is_single(p.signal) || is_single(p.compute);
    const double eps = single ? 1.2e-7 : 2.3e-16;

    p.output->poison();
    p.after->poison();
    const fb_problem given = p.given();
    int code = fb_forward(&given, &threads);
    expect(code == 0, "the code of forward", round, code, 0, p);

    Value d_y(p.signal, p.lanes, std::vector<bool>(p.lanes.size()), p.steps, 1, 1);
    Value d_after(p.compute, p.lanes, std::vector<bool>(p.lanes.size()), 1, p.sections, p.order);
    d_y.given.hop = 1;
    d_y.fill(1);
    d_after.fill(1);
    double difference = 0;
    const Number product = p.loop(d_y, d_after, &difference);
    const double forward_bound = 2000 * eps;  // coefficients this small amplify by less than ten per section
    expect(difference <= forward_bound, "forward", round, difference, forward_bound, p);

    // Every gradient or any subset of them; the layout of a gradient is that of a fresh value of the same shape.
    std::vector<std::unique_ptr<Value>> d(p.inputs.size() + 1);
    fb_gradient gradient = {};
    const bool all = coin();
    if (all || coin()) gradient.d_output = d_y.given;
    if (all || coin()) gradient.d_state_after = d_after.given;
    for (size_t i = 0; i < d.size(); ++i) {
        const bool is_state = i == p.inputs.size();
        if ((is_state && !p.before) || (!all && coin())) continue;
        const fb_value& of = is_state ? p.before->given : p.inputs[i]->given;
        d[i] = std::make_unique<Value>(of.dtype, p.lanes, p.broadcasts[i], of.frames, of.rows, of.columns);
        d[i]->given.hop = of.hop;
        d[i]->given.linear = of.linear;
        d[i]->poison();
        (is_state ? gradient.d_state_before : gradient.d_inputs[i]) = d[i]->given;
    }
    code = fb_backward(&given, &gradient, &threads);
    expect(code == 0, "the code of backward", round, code, 0, p);
    for (const auto& one : d) expect(!one || !one->has_poison(), "a gradient that nobody wrote", round, NAN, 0, p);
    if (!all) return;

    // The adjoint identity in (x, before); a broadcast value has one gradient for all its lanes.
    const auto inner = [&](const Value& gradient_of, const Value& value, const std::vector<bool>& broadcast) {
        Number sum = 0;
        p.for_lanes([&](const Sizes& lane) {
            for (size_t i = 0; i < lane.size(); ++i)
                if (broadcast[i] && lane[i]) return;
            for (int64_t f = 0; f < value.given.frames; ++f)
                for (int64_t r = 0; r < value.given.rows; ++r)
                    for (int64_t c = 0; c < value.given.columns; ++c)
                        sum += std::conj(gradient_of.at(lane, f, r, c)) * value.at(lane, f, r, c);
        });
        return sum;
    };
    Number adjoint = inner(*d[0], *p.inputs[0], p.broadcasts[0]);
    if (p.before) adjoint += inner(*d.back(), *p.before, p.broadcasts.back());
    int64_t count = 1;
    for (int64_t size : p.lanes) count *= size;
    const double scale = 1 + std::sqrt(double(count) * double(p.steps + p.sections * p.order));
    const double bound = 3000 * eps * scale;
    const double error = Problem::distance(adjoint.real(), product.real());
    expect(error <= bound, "the adjoint of x and before", round, error, bound, p);

    // A central difference along one random direction of all coefficients at once.
    if (single) return;
    double expected = 0;
    std::vector<std::pair<Value*, std::vector<Number>>> saved;
    constexpr double h = 1e-5;
    std::vector<std::vector<Number>> direction;
    for (size_t i = 1; i < p.inputs.size(); ++i) {
        Value v(p.compute, p.lanes, p.broadcasts[i], p.inputs[i]->given.frames, p.inputs[i]->given.rows,
                p.inputs[i]->given.columns);
        v.fill(1);
        expected += inner(*d[i], v, p.broadcasts[i]).real();
        for (const double sign : {1.0, -1.0}) {
            std::vector<std::pair<int64_t, Number>> undo;
            p.for_lanes([&](const Sizes& lane) {
                for (size_t j = 0; j < lane.size(); ++j)
                    if (p.broadcasts[i][j] && lane[j]) return;
                for (int64_t f = 0; f < v.given.frames; ++f)
                    for (int64_t r = 0; r < v.given.rows; ++r)
                        for (int64_t c = 0; c < v.given.columns; ++c) {
                            const int64_t at = p.inputs[i]->index(lane, f, r, c);
                            undo.emplace_back(at, p.inputs[i]->get(at));
                            p.inputs[i]->set(at, undo.back().second + sign * h * v.at(lane, f, r, c));
                        }
            });
            expected -= sign * p.loop(d_y, d_after, nullptr).real() / (2 * h);
            for (const auto& [at, value] : undo) p.inputs[i]->set(at, value);
        }
    }
    const double slope_bound = 1e-5 * scale;
    expect(std::fabs(expected) <= slope_bound, "the gradient of the coefficients", round, expected, slope_bound, p);
}

}  // namespace

int main(int, char** arguments) {
    if (!fb_isa()) {
        std::puts("this processor lacks the instruction set");
        return 77;
    }
    const int64_t rounds = std::atoll(arguments[1]);
    for (int64_t round = 0; round < rounds && failures < 10; ++round) test(round);
    std::printf("%s: %lld rounds, %d failures\n", fb_isa(), (long long)rounds, failures);
    return failures ? 1 : 0;
}
