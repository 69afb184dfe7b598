// CUDA tensors without a GPU: their memory is the CPU's, and the CPU's kernels compute with it.
//
// Above the kernels they are what tensors on a GPU are: they have CUDA's dispatch key, a device with an index, threads
// of their own in backward, and they mix with no tensor of another device. That is where code that has seen the CPU
// alone goes wrong, and what a suite finds out that runs on them.
//
// A backend fallback (docs.pytorch.org/tutorials/advanced/extend_dispatcher.html) lends the memory of every CUDA
// argument to a CPU tensor, calls the CPU's kernel, and takes back what it returns.

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/InferenceMode.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/library.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace {

using at::Tensor;
using c10::Device;
using c10::DispatchKey;
using c10::IValue;
using c10::Storage;

constexpr c10::DeviceIndex devices = 2;
thread_local c10::DeviceIndex current = 0;

// Streams and events: everything has happened when a call returns.
struct Guard final : c10::impl::DeviceGuardImplInterface {
    static c10::Stream stream(Device d) { return c10::Stream(c10::Stream::DEFAULT, d); }

    c10::DeviceType type() const override { return c10::kCUDA; }
    Device getDevice() const override { return {c10::kCUDA, current}; }
    void setDevice(Device d) const override { current = d.index(); }
    void uncheckedSetDevice(Device d) const noexcept override { current = d.index(); }
    Device exchangeDevice(Device d) const override { return {c10::kCUDA, std::exchange(current, d.index())}; }
    c10::Stream getStream(Device d) const override { return stream(d); }
    c10::Stream exchangeStream(c10::Stream s) const override { return stream(s.device()); }
    c10::DeviceIndex deviceCount() const noexcept override { return devices; }
    void record(void**, const c10::Stream&, c10::DeviceIndex, c10::EventFlag) const override {}
    void block(void*, const c10::Stream&) const override {}
    bool queryEvent(void*) const override { return true; }
    void destroyEvent(void*, c10::DeviceIndex) const noexcept override {}
    bool queryStream(const c10::Stream&) const override { return true; }
    void synchronizeStream(const c10::Stream&) const override {}
    void synchronizeEvent(void*) const override {}
    void recordDataPtrOnStream(const c10::DataPtr&, const c10::Stream&) const override {}
};

C10_REGISTER_GUARD_IMPL(CUDA, Guard);

// Random numbers: those of a generator for the CPU.
struct Random final : c10::GeneratorImpl {
    explicit Random(c10::DeviceIndex index, at::Generator numbers = at::detail::createCPUGenerator())
        : GeneratorImpl({c10::kCUDA, index}, c10::DispatchKeySet(DispatchKey::CUDA)), numbers(std::move(numbers)) {}

    void set_current_seed(uint64_t seed) override { numbers.set_current_seed(seed); }
    uint64_t current_seed() const override { return numbers.current_seed(); }
    uint64_t seed() override { return numbers.seed(); }
    void set_offset(uint64_t offset) override { numbers.set_offset(offset); }
    uint64_t get_offset() const override { return numbers.get_offset(); }
    void set_state(const c10::TensorImpl& state) override { numbers.unsafeGetGeneratorImpl()->set_state(state); }
    c10::intrusive_ptr<c10::TensorImpl> get_state() const override {
        return numbers.unsafeGetGeneratorImpl()->get_state();
    }
    Random* clone_impl() const override { return new Random(device_.index(), numbers.clone()); }

    at::Generator numbers;
};

struct Hooks final : at::CUDAHooksInterface {
    at::Generator getNewGenerator(c10::DeviceIndex index) const override {
        return at::make_generator<Random>(index < 0 ? current : index);
    }
    void init() const override {}
    bool isBuilt() const override { return true; }
    bool isAvailable() const override { return true; }
    bool hasCUDA() const override { return true; }
    bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
    c10::DeviceIndex deviceCount() const override { return devices; }
    c10::DeviceIndex getCurrentDevice() const override { return current; }
    c10::DeviceIndex current_device() const override { return current; }
    int getNumGPUs() const override { return devices; }
};

struct Allocator final : c10::Allocator {
    c10::DataPtr allocate(size_t bytes) override {
        auto* owner = new c10::DataPtr(c10::GetAllocator(c10::kCPU)->allocate(bytes));
        return {owner->get(), owner, [](void* p) { delete static_cast<c10::DataPtr*>(p); }, {c10::kCUDA, current}};
    }
    void copy_data(void* to, const void* from, size_t bytes) const override { default_copy_data(to, from, bytes); }
};

[[maybe_unused]] const bool registered = [] {
    static Allocator allocator;
    c10::SetAllocator(c10::kCUDA, &allocator, 1);
    at::CUDAHooksRegistry()->Register("CUDAHooks", [](at::CUDAHooksArgs) -> std::unique_ptr<at::CUDAHooksInterface> {
        return std::make_unique<Hooks>();
    });
    return true;
}();

c10::DataPtr memory_of(const Storage& storage, Device device) {
    auto* owner = new Storage(storage);
    return {storage.mutable_data(), owner, [](void* p) { delete static_cast<Storage*>(p); }, device};
}

// The memory of a storage as that of another device; it lives as long as either.
Storage lent(const Storage& storage, Device device) {
    return {Storage::use_byte_size_t(), storage.nbytes(), memory_of(storage, device), c10::GetAllocator(c10::kCPU),
            true};
}

Tensor shaped(Storage storage, DispatchKey key, const Tensor& like) {
    c10::InferenceMode mode(like.is_inference());
    auto t = at::detail::make_tensor<c10::TensorImpl>(std::move(storage), c10::DispatchKeySet(key), like.dtype());
    t.unsafeGetTensorImpl()->set_sizes_and_strides(like.sizes(), like.strides(), like.storage_offset());
    t._set_conj(like.is_conj());
    t._set_neg(like.is_neg());
    return t;
}

// One call: the tensors that were lent, and the device that they were on.
class Call {
public:
    explicit Call(const std::string& name)
        : copies_(name == "aten::copy_"),
          indexes_(name == "aten::index" || name == "aten::_unsafe_index" || name.rfind("aten::index_put", 0) == 0 ||
                   name == "aten::_index_put_impl_"),
          ours_(name.rfind("feedbackward::", 0) == 0) {}

    IValue lend(const IValue& value) {
        if (value.isTensor()) return lend(value.toTensor());
        if (value.isTensorList()) {
            c10::List<Tensor> list;
            for (const Tensor& t : value.toTensorVector()) list.push_back(lend(t));
            return list;
        }
        if (value.isOptionalTensorList()) {
            c10::List<std::optional<Tensor>> list;
            for (const std::optional<Tensor>& t : value.toOptionalTensorVector())
                list.push_back(t ? std::optional(lend(*t)) : t);
            return list;
        }
        if (value.isGenerator()) {
            at::Generator given = value.toGenerator();
            TORCH_CHECK(given.device().is_cuda(), "Expected a 'cuda' device type for generator but found 'cpu'");
            return static_cast<Random*>(given.unsafeGetGeneratorImpl())->numbers;
        }
        if (value.isDevice() && value.toDevice().is_cuda()) {
            meet(value.toDevice());
            return Device(c10::kCPU);
        }
        return value;
    }

    // Tensors that the kernel resized, or gave other memory, are so where they came from.
    void settle() {
        for (auto& [given, loan] : loans_) {
            const Storage &there = loan.storage(), &here = given.storage();
            if (there.data() != here.data() || there.nbytes() != here.nbytes()) {
                here.set_data_ptr_noswap(memory_of(there, given.device()));
                here.set_nbytes(there.nbytes());
            }
            given.unsafeGetTensorImpl()->set_sizes_and_strides(loan.sizes(), loan.strides(), loan.storage_offset());
        }
    }

    IValue take(const IValue& value) {
        if (value.isTensor()) return take(value.toTensor());
        if (value.isTensorList()) {
            c10::List<Tensor> list;
            for (const Tensor& t : value.toTensorVector()) list.push_back(take(t));
            return list;
        }
        return value;
    }

private:
    Tensor lend(const Tensor& t) {
        if (!t.defined()) return t;
        if (!t.is_cuda()) {
            TORCH_CHECK(t.dim() == 0 || copies_ || indexes_ || ours_, mixed, device_, " and ", t.device(), "!");
            return t;
        }
        meet(t.device());
        for (auto& [given, loan] : loans_)
            if (given.is_same(t)) return loan;
        loans_.emplace_back(t, shaped(lent(t.storage(), c10::kCPU), DispatchKey::CPU, t));
        return loans_.back().second;
    }

    void meet(Device d) {
        if (!d.has_index()) d = {c10::kCUDA, current};
        if (device_.index() < 0) device_ = d;
        TORCH_CHECK(device_ == d || copies_, mixed, device_, " and ", d, "!");
    }

    Tensor take(const Tensor& t) {
        if (!t.defined() || !t.is_cpu()) return t;
        for (auto& [given, loan] : loans_)
            if (loan.is_same(t)) return given;
        for (auto& [given, loan] : loans_)
            if (t.storage().data() && loan.storage().data() == t.storage().data())
                return shaped(given.storage(), DispatchKey::CUDA, t);
        if (device_.index() < 0) device_ = {c10::kCUDA, current};
        return shaped(lent(t.storage(), device_), DispatchKey::CUDA, t);
    }

    static constexpr auto mixed = "Expected all tensors to be on the same device, but found at least two devices, ";
    std::vector<std::pair<Tensor, Tensor>> loans_;
    Device device_{c10::kCUDA, -1};
    bool copies_, indexes_, ours_;  // what may have arguments on the CPU: a copy, indices, and the text of a program
};

void compute(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
    Call call(op.schema().name());
    auto from = [&](size_t count) { return stack->end() - static_cast<std::ptrdiff_t>(count); };
    std::vector<IValue> given(from(op.schema().arguments().size()), stack->end());  // keeps them alive
    for (auto at = from(given.size()); at != stack->end(); ++at) *at = call.lend(*at);
    op.redispatchBoxed(c10::DispatchKeySet(DispatchKey::CPU), stack);
    call.settle();
    for (auto at = from(op.schema().returns().size()); at != stack->end(); ++at) *at = call.take(*at);
}

Tensor& set_part(Tensor& self, Storage source, int64_t offset, at::IntArrayRef size, at::IntArrayRef stride) {
    auto* impl = self.unsafeGetTensorImpl();
    impl->set_storage_keep_dtype(std::move(source));
    impl->set_sizes_contiguous(size);
    if (stride.size() == size.size()) impl->set_sizes_and_strides(size, stride);
    impl->set_storage_offset(offset);
    return self;
}

Tensor& set_whole(Tensor& self, Storage source) {
    auto count = static_cast<int64_t>(source.nbytes() / self.dtype().itemsize());
    return set_part(self, std::move(source), 0, {count}, {1});
}

Tensor& set_tensor(Tensor& self, const Tensor& source) {
    return set_part(self, source.storage(), source.storage_offset(), source.sizes(), source.strides());
}

Tensor& set_nothing(Tensor& self) { return set_tensor(self, at::empty({0}, self.options())); }

Tensor zeros(c10::SymIntArrayRef size, std::optional<at::ScalarType> dtype, std::optional<at::Layout>,
             std::optional<Device> device, std::optional<bool>) {
    return at::zeros_symint(size, at::TensorOptions().dtype(dtype).device(device));
}

}  // namespace

TORCH_LIBRARY_IMPL(_, CUDA, m) { m.fallback(torch::CppFunction::makeFromBoxedFunction<&compute>()); }

TORCH_LIBRARY_IMPL(aten, CUDA, m) {
    m.impl("copy_", torch::CppFunction::makeFromBoxedFunction<&compute>());
    m.impl("set_.source_Storage_storage_offset", &set_part);
    m.impl("set_.source_Storage", &set_whole);
    m.impl("set_.source_Tensor", &set_tensor);
    m.impl("set_", &set_nothing);
    m.impl("_efficientzerotensor", &zeros);
}

// No device, -1, changes nothing.
extern "C" int exchange_device(int device) {
    return device < 0 ? current : std::exchange(current, static_cast<c10::DeviceIndex>(device));
}
