#include "agent/broker/wipe_on_free.hpp"

#include <malloc.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <strings.h>
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

namespace {

void wipe_and_free(void* p) noexcept {
    if (p == nullptr) return;
    explicit_bzero(p, malloc_usable_size(p));
    std::free(p);
}

void* get(std::size_t size) {
    void* const p = std::malloc(size == 0 ? 1 : size);
    if (p == nullptr) throw std::bad_alloc();
    return p;
}

void* get_aligned(std::size_t size, std::align_val_t alignment) {
    void* p = nullptr;
    // Boost.JSON asks for an alignment of 1, which posix_memalign(3) refuses.
    if (posix_memalign(&p, std::max(static_cast<std::size_t>(alignment), sizeof(void*)), size) != 0)
        throw std::bad_alloc();
    return p;
}

void* openssl_get(std::size_t size, char const*, int) {
    return std::malloc(size);
}

void openssl_free(void* p, char const*, int) {
    wipe_and_free(p);
}

// realloc(3) may move and leave the old bytes behind.
void* openssl_change(void* p, std::size_t size, char const*, int) {
    if (p == nullptr) return std::malloc(size);
    if (size == 0) {
        wipe_and_free(p);
        return nullptr;
    }
    auto const before = malloc_usable_size(p);
    if (size <= before) return p;
    void* const made = std::malloc(size);
    if (made == nullptr) return nullptr;
    std::memcpy(made, p, before);
    wipe_and_free(p);
    return made;
}

}  // namespace

void* operator new(std::size_t size) {
    return get(size);
}
void* operator new[](std::size_t size) {
    return get(size);
}
void* operator new(std::size_t size, std::align_val_t alignment) {
    return get_aligned(size, alignment);
}
void* operator new[](std::size_t size, std::align_val_t alignment) {
    return get_aligned(size, alignment);
}
void operator delete(void* p) noexcept {
    wipe_and_free(p);
}
void operator delete[](void* p) noexcept {
    wipe_and_free(p);
}
void operator delete(void* p, std::size_t) noexcept {
    wipe_and_free(p);
}
void operator delete[](void* p, std::size_t) noexcept {
    wipe_and_free(p);
}
void operator delete(void* p, std::align_val_t) noexcept {
    wipe_and_free(p);
}
void operator delete[](void* p, std::align_val_t) noexcept {
    wipe_and_free(p);
}
void operator delete(void* p, std::size_t, std::align_val_t) noexcept {
    wipe_and_free(p);
}
void operator delete[](void* p, std::size_t, std::align_val_t) noexcept {
    wipe_and_free(p);
}

namespace scratchd::broker {

bool prepare_openssl() {
    return CRYPTO_set_mem_functions(openssl_get, openssl_change, openssl_free) == 1 &&
           RAND_set_DRBG_type(nullptr, "HASH-DRBG", nullptr, nullptr, "SHA512") == 1;
}

}  // namespace scratchd::broker
