// What stands in for NVIDIA's driver and NVRTC where there is no card: enough of them for the host's side to be tested.
//
// It is stricter than a driver where that finds mistakes. Nothing that is queued happens before somebody waits for it, so
// that whoever changes memory too early sends what is wrong; each wait does as much as it must and no more. Kernels run on
// the emulator's library.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <dlfcn.h>
#include <fstream>
#include <functional>
#include <map>
#include <mutex>
#include <sstream>
#include <string>
#include <vector>

using Result = int;
using Address = unsigned long long;
enum { OK = 0, INVALID = 1, OUT_OF_MEMORY = 2, NOT_FOUND = 500, ILLEGAL_ADDRESS = 700 };

namespace {
std::recursive_mutex lock;
std::deque<std::function<Result()>> queue;
uint64_t queued = 0, done = 0;
Result sticky = OK;
std::map<Address, size_t> memory;
size_t used = 0, most_used = 0;
int pinned = 0;

// What a test sets: by `fake_set`, or for a whole process by FAKE_CUDA=NAME=VALUE,…
std::map<std::string, long> settings = {
    {"init", 0}, {"version", 13000}, {"cards", 1}, {"arch", 90}, {"memory", 1L << 30}, {"retain", 0}, {"pools", 1},
    {"load", 0}, {"shared", 227 << 10}, {"compiled", 0}, {"waits", 0}, {"most_queued", 0}, {"nvrtc", 13},
};

[[maybe_unused]] const bool from_environment = [] {
    const char* text = getenv("FAKE_CUDA");
    std::stringstream all(text ? text : "");
    for (std::string one; std::getline(all, one, ',');) {
        size_t equals = one.find('=');
        if (equals != std::string::npos) settings[one.substr(0, equals)] = atol(one.c_str() + equals + 1);
    }
    return true;
}();

Result run(uint64_t until) {
    while (done < until && !queue.empty()) {
        auto work = std::move(queue.front());
        queue.pop_front();
        ++done;
        if (sticky == OK) sticky = work();
    }
    return sticky;
}

Result put(std::function<Result()> work) {
    if (sticky != OK) return sticky;
    queue.push_back(std::move(work));
    ++queued;
    settings["most_queued"] = std::max(settings["most_queued"], long(queue.size()));
    return OK;
}

bool allocated(Address at, size_t bytes) {
    auto next = memory.upper_bound(at);
    if (next == memory.begin()) return false;
    --next;
    return at - next->first + bytes <= next->second;
}

struct Kernel {
    void* entry;
    std::string name;
    uint32_t bytes, threads;
    long most_shared = 48 << 10;
};
std::map<std::string, Kernel> kernels;
void* library = nullptr;
struct Event { uint64_t at; };
}  // namespace

extern "C" {
// For tests.
void fake_set(const char* name, long value) { settings[name] = value; }
long fake_get(const char* name) {
    std::lock_guard<std::recursive_mutex> hold(lock);
    if (!strcmp(name, "used")) return long(used);
    if (!strcmp(name, "pinned")) return pinned;
    if (!strcmp(name, "waiting")) return long(queue.size());
    return settings[name];
}
int fake_kernels(const char* path) { return (library = dlopen(path, RTLD_NOW)) != nullptr; }
Result fake_queue(std::function<Result()>* work) {
    std::lock_guard<std::recursive_mutex> hold(lock);
    return put(*work);
}

// The driver.
Result cuInit(unsigned) { return Result(settings["init"]); }
Result cuDriverGetVersion(int* version) { return *version = int(settings["version"]), OK; }
Result cuDeviceGetCount(int* count) { return *count = int(settings["cards"]), OK; }
Result cuDeviceGet(int* device, int ordinal) { return *device = ordinal, OK; }
Result cuDeviceTotalMem_v2(size_t* bytes, int) { return *bytes = size_t(settings["memory"]), OK; }
Result cuDeviceGetUuid_v2(unsigned char* uuid, int device) {
    for (int i = 0; i < 16; ++i) uuid[i] = (unsigned char)(0xa0 + i);
    return uuid[0] = (unsigned char)device, OK;
}
Result cuDeviceGetName(char* name, int length, int device) { return snprintf(name, length, "Fake %d", device), OK; }
Result cuDeviceGetAttribute(int* value, int attribute, int) {
    switch (attribute) {
    case 75: *value = int(settings["arch"] / 10); break;
    case 76: *value = int(settings["arch"] % 10); break;
    case 97: *value = int(settings["shared"]); break;
    case 115: *value = int(settings["pools"]); break;
    default: return INVALID;
    }
    return OK;
}
Result cuGetErrorString(Result, const char** text) { return *text = "in other words", OK; }
Result cuDevicePrimaryCtxRetain(void** context, int) { return *context = &memory, Result(settings["retain"]); }
Result cuDevicePrimaryCtxRelease_v2(int) { return OK; }
Result cuCtxSetCurrent(void* context) { return context == &memory ? OK : INVALID; }
Result cuDeviceGetDefaultMemPool(void** pool, int) { return *pool = &used, OK; }
Result cuMemPoolSetAttribute(void* pool, int attribute, uint64_t* value) {
    std::lock_guard<std::recursive_mutex> hold(lock);
    if (pool != &used || (attribute != 4 && (attribute != 6 || *value != 0))) return INVALID;
    if (attribute == 6) most_used = used;
    return OK;
}
// It keeps nothing: what is reserved is what is used.
Result cuMemPoolGetAttribute(void* pool, int attribute, uint64_t* value) {
    std::lock_guard<std::recursive_mutex> hold(lock);
    if (pool != &used || attribute < 5 || attribute > 8) return INVALID;
    return *value = attribute % 2 == 0 ? most_used : used, OK;
}
Result cuMemPoolTrimTo(void*, size_t) { return OK; }
Result cuMemAlloc_v2(Address* address, size_t bytes) {
    std::lock_guard<std::recursive_mutex> hold(lock);
    if (sticky != OK) return sticky;
    if (bytes > size_t(settings["memory"]) - used) return OUT_OF_MEMORY;
    void* at = aligned_alloc(256, (bytes + 255) / 256 * 256);
    memset(at, 0xff, bytes);
    memory[Address(at)] = bytes;
    used += bytes;
    most_used = std::max(most_used, used);
    return *address = Address(at), OK;
}
Result cuMemAllocFromPoolAsync(Address* address, size_t bytes, void*, void*) { return cuMemAlloc_v2(address, bytes); }
static Result release(Address address) {
    auto found = memory.find(address);
    if (found == memory.end()) return INVALID;
    used -= found->second;
    memory.erase(found);
    free(reinterpret_cast<void*>(address));
    return OK;
}
Result cuMemFree_v2(Address address) {
    std::lock_guard<std::recursive_mutex> hold(lock);
    Result before = run(queued);
    return before != OK ? before : release(address);
}
Result cuMemFreeAsync(Address address, void*) {
    std::lock_guard<std::recursive_mutex> hold(lock);
    return put([=] { return release(address); });
}
Result cuMemHostAlloc(void** at, size_t bytes, unsigned) { return ++pinned, *at = malloc(bytes), OK; }
Result cuMemFreeHost(void* at) { return --pinned, free(at), OK; }
Result cuMemGetInfo_v2(size_t* free, size_t* total) {
    std::lock_guard<std::recursive_mutex> hold(lock);
    return *total = size_t(settings["memory"]), *free = *total - used, sticky;
}
Result cuEventCreate(Event** event, unsigned) { return *event = new Event{0}, OK; }
Result cuEventDestroy_v2(Event* event) { return delete event, OK; }
Result cuEventRecord(Event* event, void*) {
    std::lock_guard<std::recursive_mutex> hold(lock);
    return event->at = queued, sticky;
}
Result cuEventSynchronize(Event* event) {
    std::lock_guard<std::recursive_mutex> hold(lock);
    settings["waits"] += event->at > done;
    return run(event->at);
}
Result cuStreamCreate(void** stream, unsigned) { return *stream = &queue, OK; }
Result cuStreamDestroy_v2(void*) { return OK; }
Result cuStreamSynchronize(void*) {
    std::lock_guard<std::recursive_mutex> hold(lock);
    settings["waits"] += queued > done;
    return run(queued);
}
static Result queue_copy(Address to, Address from, size_t bytes, bool check_to, bool check_from) {
    std::lock_guard<std::recursive_mutex> hold(lock);
    return put([=] {
        if ((check_to && !allocated(to, bytes)) || (check_from && !allocated(from, bytes))) return Result(ILLEGAL_ADDRESS);
        return memmove(reinterpret_cast<void*>(to), reinterpret_cast<void*>(from), bytes), Result(OK);
    });
}
Result cuMemcpyHtoDAsync_v2(Address to, const void* from, size_t bytes, void*) {
    return queue_copy(to, Address(from), bytes, true, false);
}
Result cuMemcpyDtoHAsync_v2(void* to, Address from, size_t bytes, void*) {
    return queue_copy(Address(to), from, bytes, false, true);
}
Result cuMemcpyDtoDAsync_v2(Address to, Address from, size_t bytes, void*) { return queue_copy(to, from, bytes, true, true); }
Result cuModuleLoadDataEx(void** module, const char* ptx, unsigned, int*, void** values) {
    if (settings["load"]) return strcpy(static_cast<char*>(values[0]), "line 1: what it does not like"), Result(settings["load"]);
    return *module = new std::string(ptx), OK;
}
Result cuModuleUnload(std::string* module) { return delete module, OK; }
Result cuModuleGetFunction(Kernel** function, std::string* module, const char* name) {
    if (module->find(std::string(".entry ") + name + "(") == std::string::npos || !library) return NOT_FOUND;
    auto number = [&](const char* what) {
        auto at = static_cast<uint32_t*>(dlsym(library, (std::string(name) + what).c_str()));
        return at ? *at : 0;
    };
    void* entry = dlsym(library, name);
    if (!entry) return NOT_FOUND;
    auto made = kernels.emplace(name, Kernel{entry, name, number("_argument_bytes"), number("_most_threads")});
    return *function = &made.first->second, OK;
}
Result cuFuncGetAttribute(int* value, int attribute, Kernel* kernel) {
    return *value = attribute == 0 ? int(kernel->threads) : 0, OK;
}
Result cuFuncSetAttribute(Kernel* kernel, int attribute, int value) {
    if (attribute != 8 || value > settings["shared"]) return INVALID;
    return kernel->most_shared = value, OK;
}
Result cuLaunchKernel(
    Kernel* kernel, unsigned x, unsigned y, unsigned z, unsigned a, unsigned b, unsigned c, unsigned shared, void*,
    void** parameters, void**
) {
    using Emulate = const char* (*)(void*, const void*, const uint32_t*, const uint32_t*, uint8_t*, int);
    std::lock_guard<std::recursive_mutex> hold(lock);
    if (long(shared) > kernel->most_shared) return INVALID;
    std::vector<uint64_t> arguments((kernel->bytes + 7) / 8);
    memcpy(arguments.data(), parameters[0], kernel->bytes);
    return put([=] {
        uint32_t grid[3] = {x, y, z}, block[3] = {a, b, c};
        std::vector<uint64_t> dynamic(shared / 8 + 4, ~0ull);
        auto emulate = reinterpret_cast<Emulate>(dlsym(library, "emulate"));
        auto aligned = (uintptr_t(dynamic.data()) + 15) & ~uintptr_t(15);
        // A structure of addresses begins with one; a test that wants a fault gives none.
        if (arguments.empty() || arguments[0] == 0) return Result(ILLEGAL_ADDRESS);
        const char* fault = emulate(kernel->entry, arguments.data(), grid, block, reinterpret_cast<uint8_t*>(aligned), 0);
        return Result(fault ? ILLEGAL_ADDRESS : OK);
    });
}

// NVRTC: whatever is compiled, the PTX is that of the file beside this library.
struct Program { std::string source, name, ptx; };
int nvrtcVersion(int* major, int* minor) { return *major = int(settings["nvrtc"]), *minor = 0, 0; }
int nvrtcGetNumSupportedArchs(int* count) { return *count = 4, 0; }
int nvrtcGetSupportedArchs(int* archs) { return archs[0] = 75, archs[1] = 80, archs[2] = 90, archs[3] = 100, 0; }
int nvrtcCreateProgram(Program** program, const char* source, const char* name, int, const char**, const char**) {
    return *program = new Program{source, name, ""}, 0;
}
int nvrtcCompileProgram(Program* program, int, const char**) {
    std::lock_guard<std::recursive_mutex> hold(lock);
    Dl_info where;
    dladdr(reinterpret_cast<void*>(nvrtcVersion), &where);
    std::string folder(where.dli_fname);
    std::ifstream file(folder.substr(0, folder.rfind('/')) + "/all.ptx");
    std::stringstream text;
    text << file.rdbuf();
    program->ptx = text.str();
    return ++settings["compiled"], program->source.find("#error") == std::string::npos ? 0 : 6;
}
int nvrtcDestroyProgram(Program** program) { return delete *program, 0; }
int nvrtcGetProgramLogSize(Program*, size_t* size) { return *size = 1, 0; }
int nvrtcGetProgramLog(Program*, char* log) { return *log = 0; }
int nvrtcGetPTXSize(Program* program, size_t* size) { return *size = program->ptx.size() + 1, 0; }
int nvrtcGetPTX(Program* program, char* ptx) { return strcpy(ptx, program->ptx.c_str()), 0; }
const char* nvrtcGetErrorString(int) { return "in other words"; }
}
