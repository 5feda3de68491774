#include "dmcrypt/samples.hpp"

#include "dmcrypt/direct_io.hpp"

#include <sys/random.h>

namespace scratchd {
namespace {

result<> random_bytes(std::span<std::byte> into) {
    // Up to 256 bytes come whole (getrandom(2)).
    if (::getrandom(into.data(), into.size(), 0) != static_cast<ssize_t>(into.size())) return fail_errno("getrandom");
    return {};
}

result<digest256> hash_block(int fd, std::uint64_t offset, digest256 const& salt, direct_buffer& buffer) {
    SCRATCHD_CHECK(read_at(fd, offset, buffer.bytes()));
    return hmac_sha256(salt, buffer.bytes());
}

}  // namespace

result<volume_samples> take_samples(int mapping_fd, std::uint64_t size_bytes) {
    auto const blocks = size_bytes / direct_block;
    if (blocks == 0) return fail(errc::disk_too_small, "a volume without a block");
    volume_samples taken;
    SCRATCHD_CHECK(random_bytes(taken.salt));
    direct_buffer buffer(direct_block);
    auto take = [&](std::uint64_t block) -> result<> {
        SCRATCHD_TRY(auto const hash, hash_block(mapping_fd, block * direct_block, taken.salt, buffer));
        taken.blocks.emplace(block * direct_block, hash);
        return {};
    };
    SCRATCHD_CHECK(take(0));
    SCRATCHD_CHECK(take(blocks - 1));
    for (std::size_t i = 2; i < sample_count; ++i) {
        std::uint64_t number = 0;
        SCRATCHD_CHECK(random_bytes(std::as_writable_bytes(std::span(&number, 1))));
        SCRATCHD_CHECK(take(number % blocks));
    }
    return taken;
}

result<std::size_t> count_equal(int mapping_fd, volume_samples const& samples) {
    direct_buffer buffer(direct_block);
    std::size_t equal = 0;
    for (auto const& [offset, hash] : samples.blocks) {
        SCRATCHD_TRY(auto const now, hash_block(mapping_fd, offset, samples.salt, buffer));
        if (now == hash) ++equal;
    }
    return equal;
}

}  // namespace scratchd
