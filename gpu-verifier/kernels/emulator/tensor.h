// Twins of the instructions that instructions.h writes in PTX. Products of a tensor core are summed in the order of their index, with
// a rounding each, where a card adds several at once in an undocumented way: equal up to rounding.
#pragma once

namespace emulator {
struct Fragments { unsigned a[4], b[2]; };
// Completes this thread's copies when they are waited for; what they will overwrite is undefined until then.
void copy_later(void* to, const void* from, bool some);
void finish_copies();
inline float half_of(unsigned both, unsigned index) {
    unsigned bits = (index & 1 ? both >> 16 : both & 0xffffu) << 16;
    float value;
    std::memcpy(&value, &bits, 4);
    return value;
}
// Of the four matrices that the lanes name rows of, this lane's elements.
template <typename F> void matrices(unsigned (&to)[4], const unsigned short* at, F element) {
    const unsigned own = lane();
    if (reinterpret_cast<std::uintptr_t>(at) % 16) fault("a row of a matrix is not aligned to 16 bytes");
    begin_collective();
    std::memcpy(warp_slot(own), &at, sizeof(at));
    warp_barrier(0xffffffffu);
    for (unsigned m = 0; m < 4; ++m) {
        unsigned short pair[2];
        for (unsigned j = 0; j < 2; ++j) {
            auto [row, column] = element(own, j);
            pair[j] = of_lane<const unsigned short*>(m * 8 + row)[column];
        }
        to[m] = pair[0] | unsigned(pair[1]) << 16;
    }
}
struct Element { unsigned row, column; };
}  // namespace emulator

static inline void multiply_add(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
    const emulator::Fragments own{{a[0], a[1], a[2], a[3]}, {b0, b1}};
    emulator::begin_collective();
    std::memcpy(emulator::warp_slot(emulator::lane()), &own, sizeof(own));
    emulator::warp_barrier(0xffffffffu);
    const unsigned group = emulator::lane() / 4, first = emulator::lane() % 4 * 2;
    float left[2][16], right[2][16];
    for (unsigned t = 0; t < 4; ++t) {
        // Lane 4 g + t holds, of row g and of row g + 8, elements 2t, 2t + 1 and 8 more; of column g likewise.
        const auto of_row = emulator::of_lane<emulator::Fragments>(group * 4 + t);
        for (unsigned i = 0; i < 8; ++i) {
            unsigned h = i / 4, k = i / 2 % 2 * 8 + t * 2 + i % 2;
            left[h][k] = emulator::half_of(of_row.a[i / 2 % 2 * 2 + h], i);
        }
        for (unsigned n = 0; n < 2; ++n) {
            const auto of_column = emulator::of_lane<emulator::Fragments>((first + n) * 4 + t);
            for (unsigned i = 0; i < 4; ++i) right[n][i / 2 * 8 + t * 2 + i % 2] = emulator::half_of(of_column.b[i / 2], i);
        }
    }
    for (unsigned i = 0; i < 4; ++i)
        for (unsigned k = 0; k < 16; ++k) c[i] += left[i / 2][k] * right[i % 2][k];
}
static inline void load_matrices(unsigned (&to)[4], const unsigned short* own, unsigned offset) {
    emulator::matrices(to, own + offset, [](unsigned lane, unsigned j) { return emulator::Element{lane / 4, lane % 4 * 2 + j}; });
}
static inline void load_matrices_transposed(unsigned (&to)[4], const unsigned short* own, unsigned offset) {
    emulator::matrices(to, own + offset, [](unsigned lane, unsigned j) { return emulator::Element{lane % 4 * 2 + j, lane / 4}; });
}
static inline void copy_async(unsigned short* to, const unsigned short* from, bool some) {
    emulator::copy_later(to, from, some);
}
static inline void wait_for_copies() { emulator::finish_copies(); }
static inline float power_of_two(float x) {
    float y = exp2f(x);
    return y < 1.17549435e-38f ? 0.0f : y;
}
static inline unsigned narrow_two(float low, float high) {
    auto nearest = [](float value) {
        unsigned bits;
        std::memcpy(&bits, &value, 4);
        if ((bits & 0x7fffffffu) > 0x7f800000u) return 0x7fffu;
        return (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
    };
    return nearest(low) | nearest(high) << 16;
}
