// Random programs through the C ABI against a plain loop over lanes and steps, forward and with a random adjoint.
//
// All numbers are integers that float32 holds exactly, so that results must be equal to the last bit, whatever the
// order of a sum. An adjoint here is any program that reads the forward program's slots, not a derivative. Buffers are
// exactly as large as their values.
#include <cmath>
#include <cstdio>
#include <functional>
#include <thread>

#include "program.hpp"

namespace {

fb_values values(std::vector<fb_value>& kept, const Many& many, const std::vector<bool>* lacking) {
    kept.clear();
    for (size_t i = 0; i < many.size(); ++i) {
        kept.push_back(many[i].given);
        if (lacking && (*lacking)[i]) kept.back().data = nullptr;
    }
    return {kept.data(), int64_t(kept.size())};
}

fb_pass pass_of(Made& m) {
    std::vector<fb_value>& matrices = m.given[5];
    matrices.clear();
    for (const Matrix& matrix : m.matrices) matrices.push_back(matrix.value->given);
    return {{m.words.data(), int64_t(m.words.size())},   values(m.given[0], m.held, nullptr),
            {matrices.data(), int64_t(matrices.size())}, values(m.given[1], m.sequences, &m.no_sequence),
            values(m.given[2], m.outputs, &m.no_output), values(m.given[3], m.before, &m.no_before),
            values(m.given[4], m.after, &m.no_after)};
}

double apply(const std::string& op, double a, double b, double c) {
    static const std::map<std::string, std::function<double(double, double, double)>> functions = {
        {"copy", [](double a, double, double) { return a; }},
        {"neg", [](double a, double, double) { return -a; }},
        {"abs", [](double a, double, double) { return std::fabs(a); }},
        {"floor", [](double a, double, double) { return std::floor(a); }},
        {"ceil", [](double a, double, double) { return std::ceil(a); }},
        {"trunc", [](double a, double, double) { return std::trunc(a); }},
        {"round", [](double a, double, double) { return std::nearbyint(a); }},
        {"sign", [](double a, double, double) { return double((a > 0) - (a < 0)); }},
        {"float32", [](double a, double, double) { return double(float(a)); }},
        {"is_nan", [](double a, double, double) { return double(a != a); }},
        {"add", [](double a, double b, double) { return a + b; }},
        {"sub", [](double a, double b, double) { return a - b; }},
        {"mul", [](double a, double b, double) { return a * b; }},
        {"min", [](double a, double b, double) { return a < b ? a : b; }},
        {"max", [](double a, double b, double) { return a > b ? a : b; }},
        {"fmod", [](double a, double b, double) { return std::fmod(a, b); }},
        {"remainder", [](double a, double b, double) { return a - b * std::floor(a / b); }},
        {"lt", [](double a, double b, double) { return double(a < b); }},
        {"le", [](double a, double b, double) { return double(a <= b); }},
        {"gt", [](double a, double b, double) { return double(a > b); }},
        {"ge", [](double a, double b, double) { return double(a >= b); }},
        {"eq", [](double a, double b, double) { return double(a == b); }},
        {"ne", [](double a, double b, double) { return double(a != b); }},
        {"where", [](double a, double b, double c) { return a != 0 ? b : c; }},
        {"fma", [](double a, double b, double c) { return a * b + c; }},
        {"fms", [](double a, double b, double c) { return a * b - c; }},
        {"fnma", [](double a, double b, double c) { return c - a * b; }},
    };
    return functions.at(op)(a, b, c);
}

// One step of one lane, by the definition of every instruction.
void step(const Made& m, Lane& lane) {
    const auto at = [&](int64_t slot, int64_t row) -> double& {
        const int64_t root = m.root(slot);
        return lane[size_t(root)][size_t(row + (root == slot ? 0 : m.slots[size_t(slot)].extra))];
    };
    for (const Code& c : m.codes) {
        const std::string& op = op_names[size_t(c.op)];
        std::vector<double> result(static_cast<size_t>(c.rows));
        const int64_t a = c.operand[0], number = c.operand[2], source = m.slots[size_t(a)].rows;
        for (int64_t r = 0; r < c.rows; ++r) {
            double& y = result[size_t(r)];
            if (op == "gather") {
                const int64_t from = m.table[size_t(c.extra + r)];
                y = from < 0 ? 0 : at(a, from);
            } else if (op == "sum_rows" || op == "max_rows") {
                const int64_t count = m.table[size_t(c.extra)], inner = m.table[size_t(c.extra + 1)];
                for (int64_t k = 0; k < count; ++k) {
                    const double x = at(a, (r / inner * count + k) * inner + r % inner);
                    y = k == 0 ? x : op == "sum_rows" ? y + x : std::max(y, x);
                }
            } else if (op == "dense") {
                for (int64_t j = 0; j < source; ++j) y += m.matrices[size_t(c.extra)].at(r, j) * at(a, j);
            } else if (op == "banded") {
                const Matrix& matrix = m.matrices[size_t(c.extra)];
                for (int64_t d = 0; d < matrix.rows; ++d)
                    if (r + d - number >= 0 && r + d - number < source) y += matrix.at(d, r) * at(a, r + d - number);
            } else if (op == "block") {
                const int64_t group = r / (c.rows / number), columns = source / number;
                for (int64_t j = 0; j < columns; ++j)
                    y += m.matrices[size_t(c.extra)].at(r, j) * at(a, group * columns + j);
            } else {
                double x[3] = {};
                const int count = c.op >= op_codes["where"] ? 3 : c.op >= op_codes["add"] ? 2 : 1;
                for (int k = 0; k < count; ++k) x[k] = at(c.operand[k], c.broadcast >> k & 1 ? 0 : r);
                y = apply(op, x[0], x[1], x[2]);
            }
        }
        for (int64_t r = 0; r < c.rows; ++r) at(c.dst, r) = result[size_t(r)];
    }
}

int failures = 0;
void fail(int64_t round, const char* what, const std::string& about) {
    ++failures;
    std::fprintf(stderr, "round %lld: %s (%s)\n", (long long)round, what, about.c_str());
}

// Runs a program over one lane. `trace` receives what an adjoint may see of every step; `seen` is that, for an adjoint.
bool lane_agrees(const Made& m, const Sizes& lane, int64_t steps, bool compare, std::vector<Lane>* trace,
                 const std::vector<Lane>* seen, const Made* other) {
    Lane slots(m.slots.size());
    for (size_t i = 0; i < m.slots.size(); ++i) {
        const Slot& s = m.slots[i];
        if (s.kind == view) continue;
        slots[i].resize(size_t(s.rows), 0);
        for (int64_t r = 0; r < s.rows; ++r) {
            double& x = slots[i][size_t(r)];
            if (s.kind == constant) std::memcpy(&x, &s.extra, 8);
            if (s.kind == held) x = m.held[size_t(s.index)].at(lane, 0, r);
            if (s.kind == state && !m.no_before[size_t(s.index)]) x = m.before[size_t(s.index)].at(lane, 0, r);
        }
    }
    for (int64_t i = 0; i < steps; ++i) {
        const int64_t t = seen ? steps - 1 - i : i;
        for (size_t k = 0; k < m.slots.size(); ++k) {
            const Slot& s = m.slots[k];
            for (int64_t r = 0; r < s.rows; ++r) {
                if (s.kind == sequence)
                    slots[k][size_t(r)] =
                        m.no_sequence[size_t(s.index)] ? 0 : m.sequences[size_t(s.index)].at(lane, t, r);
                if (s.kind == forward) {
                    const int64_t root = other->root(s.index);
                    const int64_t first = root == s.index ? 0 : other->slots[size_t(s.index)].extra;
                    slots[k][size_t(r)] = (*seen)[size_t(t)][size_t(root)][size_t(first + r)];
                }
            }
        }
        for (size_t k = 0; k < m.slots.size(); ++k)
            if (m.slots[k].kind == before) slots[k] = slots[size_t(m.slots[k].index)];
        const Lane at_first = slots;
        step(m, slots);
        if (trace) {
            trace->push_back(slots);
            for (size_t k = 0; k < m.slots.size(); ++k)
                if (m.slots[k].kind == state) trace->back()[k] = at_first[k];
        }
        for (size_t k = 0; compare && k < m.slots.size(); ++k) {
            const Slot& s = m.slots[k];
            if (s.kind != output || m.no_output[size_t(s.index)]) continue;
            for (int64_t r = 0; r < s.rows; ++r)
                if (slots[k][size_t(r)] != m.outputs[size_t(s.index)].at(lane, t, r)) return false;
        }
    }
    for (size_t k = 0; compare && k < m.slots.size(); ++k) {
        const Slot& s = m.slots[k];
        if (s.kind != state || m.no_after[size_t(s.index)]) continue;
        for (int64_t r = 0; r < s.rows; ++r)
            if (slots[k][size_t(r)] != m.after[size_t(s.index)].at(lane, 0, r)) return false;
    }
    return true;
}

template <class F>
void for_lanes(const Sizes& lanes, F&& f) {
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

void run_on_threads(int64_t count, void (*task)(void*, int64_t), void* argument) {
    std::vector<std::thread> threads;
    for (int64_t first = 0; first < 3; ++first)
        threads.emplace_back([=] {
            for (int64_t i = first; i < count; i += 3) task(argument, i);
        });
    for (std::thread& thread : threads) thread.join();
}
void run_in_order(int64_t count, void (*task)(void*, int64_t), void* argument) {
    for (int64_t i = count; i-- > 0;) task(argument, i);
}

// A word changed at random is refused or harmless.
void spoil(Made& m, const std::function<int()>& call, int64_t round, const std::string& about) {
    const int64_t odd[] = {-1, 0, 1, 2, 3, 5, 8, 13, 100, int64_t(1) << 40, INT64_MAX, INT64_MIN};
    for (int i = 0; i < 6; ++i) {
        int64_t& word = m.words[size_t(draw(0, int64_t(m.words.size()) - 1))];
        const int64_t kept = word;
        word = coin() ? odd[draw(0, 11)] : word + draw(-2, 2);
        const int code = call();
        if (code != 0 && code != 2) fail(round, "a spoiled program came back with a strange code", about);
        word = kept;
    }
}

void test(int64_t round) {
    engine.seed(uint64_t(round));
    const fb_dtype dtype = coin() ? FB_FLOAT32 : FB_FLOAT64;
    const int64_t lane_sizes[] = {1, 1, 2, 3, 4, 5, 8, 9, 16, 17, 33, 64, 130, 150};
    const int64_t step_counts[] = {0, 1, 2, 3, 7, 16, 17, 40};
    Sizes lanes;
    const bool many = draw(0, 19) == 0;  // wide tiles
    if (many) lanes.push_back(16 * draw(8, 80));
    for (int64_t i = many ? 0 : draw(0, 2), count = 1; i > 0; --i) {
        const int64_t size = draw(0, 40) ? lane_sizes[draw(0, 13)] : 0;
        if (count * size > 160) continue;
        lanes.push_back(size);
        count *= std::max<int64_t>(size, 1);
    }
    int64_t count = 1;
    for (int64_t size : lanes) count *= size;
    const int64_t steps = count <= 4 && draw(0, 9) == 0 ? draw(1000, 1100) : step_counts[draw(0, 7)];
    Made program = random_program(dtype, lanes, steps, nullptr),
         adjoint = random_program(dtype, lanes, steps, &program);
    const fb_pass pass = pass_of(program), back = pass_of(adjoint);
    const fb_threads threads = {coin() ? run_in_order : run_on_threads};
    const int64_t intervals[] = {0, 0, -1, -1, 1, 3, 16, 1000};
    fb_scan scan = {dtype, int32_t(lanes.size()), lanes.data(), steps, intervals[draw(0, 7)], nullptr};
    std::string about = (dtype == FB_FLOAT32 ? "float32, " : "float64, ") + std::to_string(steps) +
                        " steps, checkpoint " + std::to_string(scan.checkpoint) + ", lanes";
    for (int64_t size : lanes) about += " " + std::to_string(size);

    std::unique_ptr<char, void (*)(void*)> saved(nullptr, std::free);
    if (coin()) {
        const int64_t bytes = fb_scan_saved(&scan, &pass);
        if (bytes < 0) return fail(round, fb_error(), about);
        saved.reset(static_cast<char*>(std::malloc(size_t(bytes))));
        if (bytes) scan.saved = saved.get();
    }
    if (fb_scan_forward(&scan, &pass, &threads)) return fail(round, fb_error(), about);
    // Backward may find what forward wrote, or not.
    std::vector<fb_value> written(pass.outputs.data, pass.outputs.data + pass.outputs.count),
        trails(size_t(pass.after.count));
    for (fb_value& output : written)
        if (coin()) output.data = nullptr;
    fb_pass again = pass;
    again.outputs.data = written.data();
    again.after.data = trails.data();
    if (fb_scan_backward(&scan, &again, &back, &threads)) return fail(round, fb_error(), about);
    bool same = true, same_back = true;
    for_lanes(lanes, [&](const Sizes& lane) {
        std::vector<Lane> trace;
        same &= lane_agrees(program, lane, steps, true, &trace, nullptr, nullptr);
        same_back &= lane_agrees(adjoint, lane, steps, true, nullptr, &trace, &program);
    });
    if (!same) fail(round, "forward differs from the loop", about);
    if (!same_back) fail(round, "backward differs from the loop", about);

    scan.saved = nullptr;
    const auto backward = [&] { return fb_scan_backward(&scan, &again, &back, &threads); };
    // Any states will do to see what is read of them.
    std::vector<std::vector<double>> states;
    std::vector<Sizes> strides(size_t(pass.after.count), Sizes(lanes.size()));
    for (int64_t i = 0; i < pass.after.count; ++i) {
        const int64_t rows = program.before[size_t(i)].given.columns;
        int64_t stride = rows;
        for (size_t d = lanes.size(); d-- > 0; stride *= lanes[d]) strides[size_t(i)][d] = stride;
        states.emplace_back(size_t(steps * stride), 0.5);
        trails[size_t(i)] = {states.back().data(),     dtype, 0, 1, steps, stride, 1, 0, rows, 1,
                             strides[size_t(i)].data()};
    }
    if (backward()) return fail(round, fb_error(), about);

    spoil(program, [&] { return fb_scan_forward(&scan, &pass, &threads); }, round, about);
    spoil(adjoint, backward, round, about);
}

}  // namespace

int main(int, char** arguments) {
    if (!fb_isa()) {
        std::puts("this processor lacks the instruction set");
        return 77;
    }
    const int64_t rounds = std::atoll(arguments[1]);
    for (int64_t round = 0; round < rounds && failures < 10; ++round) test(round);
    std::printf("%s: %lld programs, %d failures\n", fb_isa(), (long long)rounds, failures);
    return failures ? 1 : 0;
}
