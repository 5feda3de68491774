#include "dmcrypt/key.hpp"

#include "agent/base/file.hpp"
#include "agent/crypto/digest.hpp"
#include "dmcrypt/crypt_table.hpp"

#include <fmt/format.h>
#include <sys/random.h>
#include <algorithm>
#include <chrono>
#include <cstring>
#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

namespace scratchd {
namespace {

constexpr std::size_t kernel_bytes = 64;
constexpr std::size_t processor_bytes = 64;

result<> from_kernel(std::span<std::byte> into) {
    while (!into.empty()) {
        auto const n = ::getrandom(into.data(), into.size(), 0);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return fail_errno("getrandom");
        into = into.subspan(static_cast<std::size_t>(n));
    }
    return {};
}

#if defined(__x86_64__)
__attribute__((target("rdrnd"))) void rdrand(std::span<std::byte> into) {
    for (std::size_t at = 0; at + sizeof(unsigned long long) <= into.size(); at += sizeof(unsigned long long)) {
        unsigned long long word = 0;
        for (int attempt = 0; attempt < 10 && _rdrand64_step(&word) == 0; ++attempt) {
        }
        std::memcpy(into.data() + at, &word, sizeof word);
    }
}

// In a virtual machine the host answers this with real randomness, whatever snapshot the guest came from.
void from_processor(std::span<std::byte> into) {
    unsigned a = 0, b = 0, c = 0, d = 0;
    if (__get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_RDRND) != 0) rdrand(into);
}
#else
void from_processor(std::span<std::byte>) {}
#endif

std::string line_or_nothing(char const* path) {
    auto line = read_line(path);
    return line ? *line : "";
}

}  // namespace

result<secret> derive_volume_key(secret const& entropy, key_context const& context) {
    auto const salt = fmt::format("{}\n{}\n{}\n{}\n{}", context.boot_id, context.machine, context.generation,
                                  context.realtime_ns, context.last_fingerprint);
    SCRATCHD_TRY(auto key, hkdf_sha512(entropy.bytes(), as_bytes(salt), "scratchd volume key 1", volume_key_bytes));
    auto const bytes = key.bytes();
    if (std::ranges::equal(bytes.first(volume_key_bytes / 2), bytes.last(volume_key_bytes / 2)))
        return fail(errc::internal, "the two halves of a volume key are equal");
    return key;
}

result<secret> volume_key_entropy() {
    SCRATCHD_TRY(auto entropy, secret::make(kernel_bytes + processor_bytes));
    SCRATCHD_CHECK(from_kernel(entropy.bytes().first(kernel_bytes)));
    from_processor(entropy.bytes().last(processor_bytes));
    return entropy;
}

result<secret> fresh_volume_key(key_context const& context) {
    SCRATCHD_TRY(auto const entropy, volume_key_entropy());
    return derive_volume_key(entropy, context);
}

key_context current_key_context(std::uint64_t generation, std::string last_fingerprint) {
    using namespace std::chrono;
    return {line_or_nothing("/proc/sys/kernel/random/boot_id"),
            line_or_nothing("/sys/class/dmi/id/product_uuid") + line_or_nothing("/etc/machine-id"), generation,
            duration_cast<nanoseconds>(system_clock::now().time_since_epoch()).count(), std::move(last_fingerprint)};
}

}  // namespace scratchd
