// The program machine, compiled once per instruction set; FB_NAMESPACE names the set.
#include "../product.hpp"
#include "band.hpp"
#include "scan.hpp"

namespace FB_NAMESPACE {

int64_t scan_saved(const fb_scan& scan, const fb_pass& forward) {
    if (scan.dtype == FB_FLOAT32) return Scan<float>(scan, forward, nullptr).saved_bytes();
    return Scan<double>(scan, forward, nullptr).saved_bytes();
}

void scan(const fb_scan& scan, const fb_pass& forward, const fb_pass* adjoint, const fb_threads& threads) {
    if (scan.dtype == FB_FLOAT32) return Scan<float>(scan, forward, adjoint).run(threads);
    Scan<double>(scan, forward, adjoint).run(threads);
}

void band_outer(const fb_band& band, const fb_threads& threads) {
    if (band.dtype == FB_FLOAT32) return BandOuter<float>(band).run(threads);
    BandOuter<double>(band).run(threads);
}

void multiply(const fb_product& product, const fb_threads& threads) {
    if (product.dtype == FB_FLOAT32) return Product<float>(product).run(threads);
    Product<double>(product).run(threads);
}

}  // namespace FB_NAMESPACE
