// Runs the blocks of a launch one after the other, and the threads of a block as fibers.
#include "emulator.h"

#include <csetjmp>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <sys/mman.h>
#include <ucontext.h>
#include <vector>

namespace emulator {
__thread Dim3 thread, block, block_size, grid_size;
__thread unsigned char* dynamic_shared;

namespace {
constexpr std::size_t STACK = 256 * 1024;
enum class State { Ready, AtBlockBarrier, AtWarpBarrier, Done };

// 16 bytes on their way to shared memory.
struct Copy {
    void* to;
    const void* from;
    bool some;
};

struct Fiber {
    ucontext_t first;
    jmp_buf resume;
    bool begun = false;
    State state = State::Done;
    bool second_slots = false;
    Dim3 index;
    unsigned char* stack = nullptr;
    std::vector<Copy> copies;
    ~Fiber() { if (stack) munmap(stack, STACK); }
};

struct Machine {
    std::vector<std::unique_ptr<Fiber>> fibers;
    std::vector<unsigned char> slots;
    jmp_buf scheduler;
    ucontext_t home;
    std::size_t running = 0;
    void (*kernel)(const void*) = nullptr;
    const void* args = nullptr;
};
// This thread's machine->
__thread Machine* machine;

void yield(State state) {
    Fiber& fiber = *machine->fibers[machine->running];
    fiber.state = state;
    if (!_setjmp(fiber.resume)) _longjmp(machine->scheduler, 1);
}

// A fiber lives on when its thread is done, and runs another block's next.
void live() {
    for (;;) {
        machine->kernel(machine->args);
        yield(State::Done);
    }
}

void run(std::size_t index) {
    Fiber& fiber = *machine->fibers[index];
    machine->running = index;
    thread = fiber.index;
    if (_setjmp(machine->scheduler)) return;
    if (fiber.begun) _longjmp(fiber.resume, 1);
    fiber.begun = true;
    fiber.stack = static_cast<unsigned char*>(
        mmap(nullptr, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    getcontext(&fiber.first);
    fiber.first.uc_stack.ss_sp = fiber.stack;
    fiber.first.uc_stack.ss_size = STACK;
    fiber.first.uc_link = nullptr;
    makecontext(&fiber.first, live, 0);
    setcontext(&fiber.first);
}

const char* run_block(std::size_t count, bool backwards) {
    for (std::size_t i = 0; i < count; ++i) {
        machine->fibers[i]->state = State::Ready;
        machine->fibers[i]->second_slots = false;
    }
    for (;;) {
        for (std::size_t i = 0; i < count; ++i) {
            std::size_t index = backwards ? count - 1 - i : i;
            if (machine->fibers[index]->state == State::Ready) run(index);
        }
        std::size_t done = 0, at_block = 0;
        bool released = false;
        for (std::size_t warp = 0; warp < count; warp += 32) {
            std::size_t end = warp + 32 < count ? warp + 32 : count, waiting = 0, ready = 0;
            for (std::size_t i = warp; i < end; ++i) {
                State state = machine->fibers[i]->state;
                done += state == State::Done;
                at_block += state == State::AtBlockBarrier;
                waiting += state == State::AtWarpBarrier;
                ready += state == State::Ready;
            }
            if (waiting == 0) continue;
            if (waiting != end - warp || waiting != 32) return "not all lanes of a warp reached a collective";
            for (std::size_t i = warp; i < end; ++i) machine->fibers[i]->state = State::Ready;
            released = true;
        }
        if (released) continue;
        if (done == count) {
            for (std::size_t i = 0; i < count; ++i)
                if (!machine->fibers[i]->copies.empty()) return "a thread ended before its copies";
            return nullptr;
        }
        if (at_block != count) return "not all threads of a block reached a barrier";
        for (std::size_t i = 0; i < count; ++i) machine->fibers[i]->state = State::Ready;
    }
}
}  // namespace

unsigned lane() { return unsigned(machine->running % 32); }
void block_barrier() { yield(State::AtBlockBarrier); }
void fault(const char* reason) {
    std::fprintf(stderr, "emulator: %s\n", reason);
    std::abort();
}
void warp_barrier(unsigned mask) {
    if (mask != 0xffffffffu) fault("collectives of part of a warp are not known");
    yield(State::AtWarpBarrier);
}
void copy_later(void* to, const void* from, bool some) {
    if (reinterpret_cast<std::uintptr_t>(to) % 16 || reinterpret_cast<std::uintptr_t>(from) % 16)
        fault("a copy is not aligned to 16 bytes");
    std::memset(to, 0xff, 16);
    machine->fibers[machine->running]->copies.push_back({to, from, some});
}
void finish_copies() {
    auto& copies = machine->fibers[machine->running]->copies;
    for (const Copy& copy : copies) {
        if (copy.some) std::memcpy(copy.to, copy.from, 16);
        else std::memset(copy.to, 0, 16);
    }
    copies.clear();
}
void begin_collective() {
    bool& second = machine->fibers[machine->running]->second_slots;
    second = !second;
}
unsigned char* warp_slot(unsigned lane) {
    std::size_t set = machine->fibers[machine->running]->second_slots ? machine->slots.size() / 2 : 0;
    return &machine->slots[set + (machine->running / 32 * 32 + lane) * 64];
}
}  // namespace emulator

// Runs a kernel. `backwards` lets threads, and blocks, take turns in reverse order: results that depend on the order show
// a race. Null, or what went wrong.
extern "C" const char* emulate(void (*kernel)(const void*), const void* args, const unsigned* grid, const unsigned* size,
                               unsigned char* dynamic_shared, int backwards) {
    using namespace emulator;
    static thread_local Machine own;
    machine = &own;
    grid_size = {grid[0], grid[1], grid[2]};
    block_size = {size[0], size[1], size[2]};
    emulator::dynamic_shared = dynamic_shared;
    std::size_t count = std::size_t(size[0]) * size[1] * size[2];
    machine->kernel = kernel;
    machine->args = args;
    while (machine->fibers.size() < count) machine->fibers.push_back(std::make_unique<Fiber>());
    machine->slots.resize((count + 31) / 32 * 32 * 64 * 2);
    for (std::size_t i = 0; i < count; ++i)
        machine->fibers[i]->index = {unsigned(i % size[0]), unsigned(i / size[0] % size[1]), unsigned(i / size[0] / size[1])};
    std::size_t blocks = std::size_t(grid[0]) * grid[1] * grid[2];
    for (std::size_t i = 0; i < blocks; ++i) {
        std::size_t b = backwards ? blocks - 1 - i : i;
        block = {unsigned(b % grid[0]), unsigned(b / grid[0] % grid[1]), unsigned(b / grid[0] / grid[1])};
        const char* fault = run_block(count, backwards != 0);
        if (fault) {
            // Fibers stand in the middle of a block: the next launch begins with new ones.
            machine->fibers.clear();
            return fault;
        }
    }
    return nullptr;
}
