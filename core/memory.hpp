// Memory of the core: one block per task, carved by walking the same layout twice, first to measure, then to place.
//
// A thread keeps the last small block that it freed: given back and taken again for every call, it would come from the
// system each time, a page at a time.
#pragma once
#include <cstdlib>
#include <new>

#include "vec.hpp"

namespace FB_NAMESPACE {

// Of one thread.
struct Spare {
#if defined(__SANITIZE_ADDRESS__)
    static constexpr size_t most_bytes = 0;  // every block ends where its owner's memory ends
#else
    static constexpr size_t most_bytes = size_t(2) << 20;
#endif

    void* block = nullptr;
    size_t bytes = 0;

    ~Spare() { std::free(block); }

    static Spare& mine() {
        static thread_local Spare spare;
        return spare;
    }

    // A block of at least that many bytes; `wanted` becomes how many it has.
    void* take(size_t& wanted) {
        if (bytes >= wanted) {
            void* const found = block;
            wanted = bytes;
            block = nullptr;
            bytes = 0;
            return found;
        }
        return std::aligned_alloc(64, wanted);
    }
    void give(void* other, size_t size) {
        if (size > most_bytes || size <= bytes) return std::free(other);
        std::free(block);
        block = other;
        bytes = size;
    }
};

class Arena {
public:
    Arena() = default;
    Arena(const Arena&) = delete;
    Arena& operator=(const Arena&) = delete;
    ~Arena() {
        if (block_) Spare::mine().give(block_, bytes_);
    }

    // layout(arena) calls take() for every array it needs.
    template <class F>
    void lay(F&& layout) {
        used_ = 0;
        layout(*this);
        bytes_ = most<size_t>(used_, 64);
        block_ = Spare::mine().take(bytes_);
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
    size_t used_ = 0, bytes_ = 0;
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
