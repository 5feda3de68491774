#include "agent/base/file.hpp"
#include "dmcrypt/direct_io.hpp"
#include "dmcrypt/disk.hpp"

#include <blkid.h>
#include <fcntl.h>
#include <algorithm>

namespace scratchd {
namespace {

using probe_ptr = c_ptr<blkid_struct_probe, blkid_free_probe>;

constexpr std::size_t window = 1U << 20U;
constexpr std::uint64_t inner_samples = 64;

// libblkid: 0 found something, 1 nothing, -2 several that contradict each other, -1 error.
result<> probe_signature(int fd, std::string const& name, std::string& signature, std::string& label) {
    probe_ptr const probe(blkid_new_probe());
    if (!probe || blkid_probe_set_device(probe.get(), fd, 0, 0) != 0) return fail(errc::io, "probe " + name, EIO);
    blkid_probe_enable_superblocks(probe.get(), 1);
    blkid_probe_set_superblocks_flags(probe.get(), BLKID_SUBLKS_TYPE | BLKID_SUBLKS_LABEL | BLKID_SUBLKS_MAGIC);
    blkid_probe_enable_partitions(probe.get(), 1);
    int const rc = blkid_do_safeprobe(probe.get());
    if (rc == -1) return fail(errc::io, "probe " + name, EIO);
    if (rc == -2) signature = "ambiguous";
    if (rc != 0) return {};
    char const* value = nullptr;
    for (char const* key : {"TYPE", "PTTYPE"})
        if (signature.empty() && blkid_probe_lookup_value(probe.get(), key, &value, nullptr) == 0) signature = value;
    if (blkid_probe_lookup_value(probe.get(), "LABEL", &value, nullptr) == 0) label = value;
    if (signature.empty()) signature = "unknown";
    return {};
}

result<bool> is_zero(int fd, std::uint64_t offset, std::size_t size) {
    direct_buffer buffer(size);
    SCRATCHD_CHECK(read_at(fd, offset, buffer.bytes()));
    return std::ranges::all_of(buffer.bytes(), [](std::byte b) { return b == std::byte{0}; });
}

// The first and the last MiB whole, and blocks spread evenly between.
result<bool> all_zero(int fd, std::uint64_t size) {
    auto const span = std::min<std::uint64_t>(window, size / direct_block * direct_block);
    auto const last = size / direct_block * direct_block - span;
    for (auto const at : {std::uint64_t{0}, last}) {
        SCRATCHD_TRY(bool const zero, is_zero(fd, at, span));
        if (!zero) return false;
    }
    for (std::uint64_t i = 1; i <= inner_samples; ++i) {
        SCRATCHD_TRY(bool const zero,
                     is_zero(fd, last / (inner_samples + 1) * i / direct_block * direct_block, direct_block));
        if (!zero) return false;
    }
    return true;
}

}  // namespace

result<> read_signature(disk_facts& disk) {
    SCRATCHD_TRY(auto const fd, open_file(disk.device, O_RDONLY | O_DIRECT | O_NOFOLLOW));
    if (disk.size_bytes < direct_block) return {};
    SCRATCHD_TRY(auto const buffered, open_file(disk.device, O_RDONLY | O_NOFOLLOW));
    SCRATCHD_CHECK(probe_signature(buffered.get(), disk.name, disk.signature, disk.label));
    if (disk.partitions.size() == 1) {
        auto const inner = "/dev/" + disk.partitions.front();
        SCRATCHD_TRY(auto const part, open_file(inner, O_RDONLY | O_NOFOLLOW));
        SCRATCHD_CHECK(probe_signature(part.get(), inner, disk.inner_signature, disk.inner_label));
    }
    SCRATCHD_TRY(bool const zero, all_zero(fd.get(), disk.size_bytes));
    disk.blank = zero && disk.signature.empty();
    return {};
}

}  // namespace scratchd
