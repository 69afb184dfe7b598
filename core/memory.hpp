// Memory of the core: one block per task, carved by walking the same layout twice, first to measure, then to place.
#pragma once
#include <cstdlib>
#include <new>

#include "vec.hpp"

namespace FB_NAMESPACE {

class Arena {
public:
    Arena() = default;
    Arena(const Arena&) = delete;
    Arena& operator=(const Arena&) = delete;
    ~Arena() { std::free(block_); }

    // layout(arena) calls take() for every array it needs.
    template <class F>
    void lay(F&& layout) {
        used_ = 0;
        layout(*this);
        block_ = std::aligned_alloc(64, most<size_t>(used_, 64));
        if (!block_) throw std::bad_alloc();
        used_ = 0;
        layout(*this);
    }

    template <class T>
    void take(T*& array, int64_t count) {
        array = block_ ? reinterpret_cast<T*>(static_cast<char*>(block_) + used_) : nullptr;
        used_ += (size_t(count) * sizeof(T) + 63) / 64 * 64;
    }

private:
    void* block_ = nullptr;
    size_t used_ = 0;
};

// An array of zeros, or of nothing.
template <class T>
class Zeros {
public:
    Zeros() = default;
    explicit Zeros(int64_t count) : data_(static_cast<T*>(std::calloc(most<int64_t>(count, 1), sizeof(T)))) {
        if (!data_) throw std::bad_alloc();
    }
    Zeros(Zeros&& other) noexcept : data_(other.data_) { other.data_ = nullptr; }
    Zeros& operator=(Zeros&& other) noexcept {
        T* mine = data_;
        data_ = other.data_;
        other.data_ = mine;
        return *this;
    }
    ~Zeros() { std::free(data_); }
    T* get() const { return data_; }
    T& operator[](int64_t i) const { return data_[i]; }

private:
    T* data_ = nullptr;
};

}  // namespace FB_NAMESPACE
