// What every operator needs of TensorFlow: tensors as arrays, attributes, outputs, and errors as its statuses.
#pragma once
#include "arrays.hpp"
#include "tensorflow_api.h"
#include "threads.hpp"

class Status {
public:
    Status() = default;
    Status(const Status&) = delete;
    ~Status() { TF_DeleteStatus(status_); }
    operator TF_Status*() const { return status_; }
    bool failed() const { return TF_GetCode(status_) != TF_OK; }
    void check() const {
        if (failed()) throw std::invalid_argument(TF_Message(status_));
    }

private:
    TF_Status* status_ = TF_NewStatus();
};

// Runs f; what it throws is handed to `fail` as a status.
template <class F, class Fail>
void reporting(F&& f, Fail&& fail) {
    const Status status;
    try {
        return f();
    } catch (const std::bad_alloc&) {
        TF_SetStatus(status, TF_RESOURCE_EXHAUSTED, "feedbackward: out of memory");
    } catch (const std::exception& error) {
        TF_SetStatus(status, TF_INVALID_ARGUMENT, error.what());
    }
    fail(status);
}

inline fb_dtype dtype_of(TF_DataType type) {
    switch (type) {
        case TF_FLOAT:
            return FB_FLOAT32;
        case TF_DOUBLE:
            return FB_FLOAT64;
        case TF_COMPLEX64:
            return FB_COMPLEX64;
        default:
            return FB_COMPLEX128;
    }
}
inline TF_DataType type_of(fb_dtype dtype) {
    const TF_DataType types[] = {TF_FLOAT, TF_DOUBLE, TF_COMPLEX64, TF_COMPLEX128};
    return types[dtype];
}
inline size_t bytes_of(fb_dtype dtype) {
    const size_t bytes[] = {4, 8, 8, 16};
    return bytes[dtype];
}

class Attributes {
public:
    explicit Attributes(TF_OpKernelConstruction* construction) : construction_(construction) {}

    int64_t integer(const char* name) const {
        int64_t value = 0;
        TF_OpKernelConstruction_GetAttrInt64(construction_, name, &value, status_);
        status_.check();
        return value;
    }
    bool boolean(const char* name) const {
        unsigned char value = 0;
        TF_OpKernelConstruction_GetAttrBool(construction_, name, &value, status_);
        status_.check();
        return value;
    }
    Sizes integers(const char* name) const {
        int32_t count = 0, total = 0;
        TF_OpKernelConstruction_GetAttrSize(construction_, name, &count, &total, status_);
        status_.check();
        Sizes values(size_t(std::max(count, 0)));
        TF_OpKernelConstruction_GetAttrInt64List(construction_, name, values.data(), count, status_);
        status_.check();
        return values;
    }

private:
    TF_OpKernelConstruction* construction_;
    Status status_;
};

// One run of a kernel: its inputs, all of them fetched, and its outputs, allocated as they are asked for.
class Run {
public:
    explicit Run(TF_OpKernelContext* context) : context_(context) {
        for (int i = 0; i < TF_NumInputs(context); ++i) {
            TF_Tensor* tensor = nullptr;
            TF_GetInput(context, i, &tensor, status_);
            status_.check();
            tensors_.push_back(tensor);
            Array& array = inputs_.emplace_back(Array{TF_TensorData(tensor), dtype_of(TF_TensorType(tensor)), {}});
            for (int axis = 0; axis < TF_NumDims(tensor); ++axis) array.sizes.push_back(TF_Dim(tensor, axis));
        }
    }
    Run(const Run&) = delete;
    ~Run() {
        for (TF_Tensor* tensor : tensors_) TF_DeleteTensor(tensor);
    }

    const Array& input(int64_t index) const { return inputs_.at(size_t(index)); }
    const Array* optional(int64_t index) const {
        return size_t(index) < inputs_.size() ? &inputs_[size_t(index)] : nullptr;
    }
    std::vector<Array> inputs(int64_t from, int64_t count) const {
        return {inputs_.begin() + from, inputs_.begin() + from + count};
    }

    Array output(int index, fb_dtype dtype, const Sizes& sizes) {
        size_t bytes = bytes_of(dtype);
        for (int64_t size : sizes) bytes *= size_t(size);
        TF_Tensor* tensor =
            TF_AllocateOutput(context_, index, type_of(dtype), sizes.data(), int(sizes.size()), bytes, status_);
        if (status_.failed()) throw std::bad_alloc();
        tensors_.push_back(tensor);
        fb_prepare(TF_TensorData(tensor), int64_t(bytes));
        return {TF_TensorData(tensor), dtype, sizes};
    }

    // The gradient of an array, if it is wanted; if not, an output of no elements.
    Array gradient(int index, const Array& of, bool wanted) {
        return output(index, of.dtype, wanted ? of.sizes : Sizes{0});
    }

private:
    TF_OpKernelContext* context_;
    Status status_;
    std::vector<TF_Tensor*> tensors_;
    std::vector<Array> inputs_;
};

// A kernel is made of its attributes once per node; what a run throws fails the node's run, not the process.
template <class Kernel>
void register_kernel(const char* operation) {
    const auto create = [](TF_OpKernelConstruction* construction) -> void* {
        Kernel* kernel = nullptr;
        reporting([&] { kernel = new Kernel(Attributes(construction)); },
                  [&](TF_Status* status) { TF_OpKernelConstruction_Failure(construction, status); });
        return kernel;
    };
    const auto compute = [](void* kernel, TF_OpKernelContext* context) {
        reporting(
            [&] {
                Run run(context);
                static_cast<const Kernel*>(kernel)->compute(run);
            },
            [&](TF_Status* status) { TF_OpKernelContext_Failure(context, status); });
    };
    const auto destroy = [](void* kernel) { delete static_cast<Kernel*>(kernel); };
    const Status status;
    TF_RegisterKernelBuilder(operation, TF_NewKernelBuilder(operation, "CPU", create, compute, destroy), status);
    status.check();
}

// The shapes of outputs depend on attributes, which this API does not show to shape functions: Python, which knows
// them, sets what is known of the shapes.
inline void register_operation(const char* name, std::initializer_list<const char*> attributes,
                               std::initializer_list<const char*> inputs, std::initializer_list<const char*> outputs) {
    TF_OpDefinitionBuilder* builder = TF_NewOpDefinitionBuilder(name);
    for (const char* attribute : attributes) TF_OpDefinitionBuilderAddAttr(builder, attribute);
    for (const char* input : inputs) TF_OpDefinitionBuilderAddInput(builder, input);
    for (const char* output : outputs) TF_OpDefinitionBuilderAddOutput(builder, output);
    TF_OpDefinitionBuilderSetShapeInferenceFunction(builder, TF_ShapeInferenceContextSetUnknownShape);
    const Status status;
    TF_RegisterOpDefinition(builder, status);
    status.check();
}
