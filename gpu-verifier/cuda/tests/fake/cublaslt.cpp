// What stands in for cuBLASLt: products by the textbook, as its interface describes them, in the fake driver's queue.
#include <cstdint>
#include <cstring>
#include <functional>

using Status = int;
enum { OK = 0, INVALID = 7, BF16 = 14, F32 = 0 };
extern "C" int fake_queue(std::function<int()>* work);

namespace {
struct Desc { int transposed_a = 0; };
struct Layout { int type; uint64_t rows, columns; int64_t leading; };
struct Wishes { uint32_t alignment[4] = {256, 256, 256, 256}; uint64_t workspace = 0; };
// As cublasLtMatmulHeuristicResult_t has it.
struct Found { uint64_t algorithm[8]; size_t workspace; Status state; float waves; int reserved[4]; };

float get(const Layout& layout, const void* at, uint64_t row, uint64_t column) {
    uint64_t index = column * uint64_t(layout.leading) + row;
    if (layout.type == F32) return static_cast<const float*>(at)[index];
    uint32_t bits = uint32_t(static_cast<const uint16_t*>(at)[index]) << 16;
    float value;
    return memcpy(&value, &bits, 4), value;
}

void set(const Layout& layout, void* at, uint64_t row, uint64_t column, float value) {
    uint64_t index = column * uint64_t(layout.leading) + row;
    if (layout.type == F32) {
        static_cast<float*>(at)[index] = value;
        return;
    }
    uint32_t bits;
    memcpy(&bits, &value, 4);
    static_cast<uint16_t*>(at)[index] = uint16_t((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
}  // namespace

extern "C" {
int fake_choices = 0;
size_t cublasLtGetVersion() { return 130002; }
Status cublasLtCreate(void** handle) { return *handle = &fake_choices, OK; }
Status cublasLtDestroy(void*) { return OK; }
Status cublasLtMatmulDescCreate(Desc** desc, int compute, int scale) {
    return *desc = new Desc, compute == 68 && scale == F32 ? OK : INVALID;
}
Status cublasLtMatmulDescDestroy(Desc* desc) { return delete desc, OK; }
Status cublasLtMatmulDescSetAttribute(Desc* desc, int attribute, const void* value, size_t bytes) {
    if (attribute != 3 || bytes != 4) return INVALID;
    return memcpy(&desc->transposed_a, value, 4), OK;
}
Status cublasLtMatrixLayoutCreate(Layout** layout, int type, uint64_t rows, uint64_t columns, int64_t leading) {
    return *layout = new Layout{type, rows, columns, leading}, OK;
}
Status cublasLtMatrixLayoutDestroy(Layout* layout) { return delete layout, OK; }
Status cublasLtMatmulPreferenceCreate(Wishes** wishes) { return *wishes = new Wishes, OK; }
Status cublasLtMatmulPreferenceDestroy(Wishes* wishes) { return delete wishes, OK; }
Status cublasLtMatmulPreferenceSetAttribute(Wishes* wishes, int attribute, const void* value, size_t bytes) {
    if (attribute == 1 && bytes == 8) return memcpy(&wishes->workspace, value, 8), OK;
    if (attribute >= 5 && attribute <= 8 && bytes == 4) return memcpy(&wishes->alignment[attribute - 5], value, 4), OK;
    return INVALID;
}
Status cublasLtMatmulAlgoGetHeuristic(
    void*, Desc*, Layout*, Layout*, Layout*, Layout*, Wishes* wishes, int wanted, Found* found, int* count
) {
    ++fake_choices;
    *found = Found{};
    // What the algorithm relies on; a product with other addresses is refused, as it would be.
    for (int i = 0; i < 4; ++i) found->algorithm[i] = wishes->alignment[i];
    return *count = 1, wanted == 1 && wishes->workspace > 0 ? OK : INVALID;
}
Status cublasLtMatmul(
    void*, Desc* desc, const float* alpha, const void* a, Layout* a_layout, const void* b, Layout* b_layout,
    const float* beta, const void* c, Layout* c_layout, void* d, Layout* d_layout, const uint64_t* algorithm, void* workspace,
    size_t, void*
) {
    const void* addresses[4] = {a, b, c, d};
    for (int i = 0; i < 4; ++i) {
        if (uint64_t(addresses[i]) % algorithm[i] != 0) return INVALID;
    }
    Layout la = *a_layout, lb = *b_layout, lc = *c_layout, ld = *d_layout;
    uint64_t depth = desc->transposed_a ? la.rows : la.columns, rows = desc->transposed_a ? la.columns : la.rows;
    if (!workspace || lb.rows != depth || ld.rows != rows || ld.columns != lb.columns) return INVALID;
    bool transposed = desc->transposed_a;
    float scale = *alpha, keep = *beta;
    std::function<int()> work = [=] {
        for (uint64_t column = 0; column < ld.columns; ++column) {
            for (uint64_t row = 0; row < rows; ++row) {
                float sum = 0;
                for (uint64_t k = 0; k < depth; ++k) {
                    sum += (transposed ? get(la, a, k, row) : get(la, a, row, k)) * get(lb, b, k, column);
                }
                set(ld, d, row, column, scale * sum + (keep != 0 ? keep * get(lc, c, row, column) : 0));
            }
        }
        return 0;
    };
    return fake_queue(&work) ? INVALID : OK;
}
}
