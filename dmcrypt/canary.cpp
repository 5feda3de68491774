#include "dmcrypt/canary.hpp"

#include "agent/crypto/digest.hpp"
#include "dmcrypt/direct_io.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <cstring>
#include <set>

namespace scratchd {
namespace {

constexpr std::string_view pattern = "scratchd canary ";  // 16 bytes: one cipher block

void fill(std::span<std::byte> block) {
    for (std::size_t at = 0; at < block.size(); at += pattern.size())
        std::memcpy(block.data() + at, pattern.data(), pattern.size());
}

bool repeats(std::span<std::byte const> block) {
    std::set<std::string_view> seen;
    for (std::size_t at = 0; at < block.size(); at += pattern.size())
        if (!seen.insert({reinterpret_cast<char const*>(block.data() + at), pattern.size()}).second) return true;
    return false;
}

result<> check_place(int mapping_fd, canary_place const& place, std::string& ciphertexts) {
    direct_buffer plain(direct_block);
    direct_buffer before(direct_block);
    direct_buffer raw(direct_block);
    fill(plain.bytes());
    SCRATCHD_CHECK(read_at(place.raw_fd, place.raw_offset, before.bytes()));
    SCRATCHD_CHECK(write_at(mapping_fd, place.mapped_offset, plain.bytes()));
    SCRATCHD_CHECK(read_at(place.raw_fd, place.raw_offset, raw.bytes()));
    if (std::ranges::search(raw.bytes(), as_bytes(pattern)).begin() != raw.bytes().end())
        return fail(errc::not_encrypting,
                    fmt::format("the canary stands in plain text on the disk at byte {}", place.raw_offset));
    if (std::ranges::equal(raw.bytes(), before.bytes()))
        return fail(errc::not_encrypting,
                    fmt::format("a write through the mapping did not reach the disk at byte {}", place.raw_offset));
    if (repeats(raw.bytes()))
        return fail(errc::not_encrypting,
                    fmt::format("equal blocks have equal ciphertext at byte {}", place.raw_offset));
    ciphertexts.append(reinterpret_cast<char const*>(raw.bytes().data()), raw.bytes().size());
    return {};
}

}  // namespace

result<std::string> check_canary(int mapping_fd, std::vector<canary_place> const& places) {
    if (places.empty()) return fail(errc::not_encrypting, "no disk to look for the canary on");
    std::string ciphertexts;
    for (auto const& place : places) SCRATCHD_CHECK(check_place(mapping_fd, place, ciphertexts));
    SCRATCHD_TRY(auto const digest, sha256(ciphertexts));
    return hex(digest);
}

}  // namespace scratchd
