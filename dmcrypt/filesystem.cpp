#include "dmcrypt/filesystem.hpp"

#include "agent/base/process.hpp"
#include "dmcrypt/direct_io.hpp"

#include <fmt/format.h>
#include <algorithm>

namespace scratchd {

mkfs_command plan_mkfs(fs_options const& options, std::filesystem::path const& device) {
    if (options.type == fs_type::xfs) return {"/sbin/mkfs.xfs", {"-q", "-f", "-K", "-l", "size=64m", device.string()}};
    return {
        "/sbin/mke2fs",
        {"-q", "-F", "-t", "ext4", "-b", "4096", "-m", "0", "-i", std::to_string(options.bytes_per_inode), "-O",
         "^has_journal,^resize_inode,sparse_super2,metadata_csum,64bit,extent,dir_index,large_dir,extra_isize", "-E",
         "packed_meta_blocks=1,num_backup_sb=0,lazy_itable_init=1,nodiscard,root_owner=0:0", device.string()}};
}

result<> make_filesystem(fs_options const& options, std::filesystem::path const& device, deadline until) {
    auto command = plan_mkfs(options, device);
    SCRATCHD_TRY(auto const outcome, run_program(command.program, std::move(command.arguments), until));
    if (outcome.status == 0) return {};
    auto words = outcome.output.substr(0, 500);
    std::ranges::replace(words, '\n', ' ');
    return fail(errc::mkfs_failed, fmt::format("{} gave {}: {}", command.program.string(), outcome.status, words));
}

result<> zero_ends(int mapping_fd, std::uint64_t size_bytes) {
    constexpr std::uint64_t end_bytes = 1U << 20U;
    auto const span = std::min(end_bytes, size_bytes / direct_block * direct_block);
    direct_buffer const zeros(span);
    SCRATCHD_CHECK(write_at(mapping_fd, 0, zeros.bytes()));
    return write_at(mapping_fd, size_bytes / direct_block * direct_block - span, zeros.bytes());
}

}  // namespace scratchd
