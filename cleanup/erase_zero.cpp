#include "cleanup/erase_zero.hpp"

#include "agent/base/failpoint.hpp"
#include "agent/base/file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <algorithm>

namespace scratchd {

result<> erase_zero(std::filesystem::path const& device, dev_t number,
                    std::function<void(std::uint64_t)> const& progress) {
    constexpr std::uint64_t piece = 64ULL << 20U;
    SCRATCHD_TRY(auto const disk, open_file(device, O_RDWR | O_EXCL | O_NOFOLLOW));
    struct stat st{};
    std::uint64_t size = 0;
    if (::fstat(disk.get(), &st) != 0 || ::ioctl(disk.get(), BLKGETSIZE64, &size) != 0)
        return fail_errno("look at " + device.string());
    if (!S_ISBLK(st.st_mode) || st.st_rdev != number)
        return fail(errc::disk_changed, device.string() + " is another device now");
    for (std::uint64_t at = 0; at < size; at += piece) {
        std::uint64_t range[2] = {at, std::min(piece, size - at)};
        if (::ioctl(disk.get(), BLKZEROOUT, &range) != 0)
            return fail_errno(fmt::format("write zeros to {} at {}", device.string(), at));
        progress(at + range[1]);
        SCRATCHD_CHECK(SCRATCHD_FAILPOINT("erase.piece"));
    }
    if (::fsync(disk.get()) != 0) return fail_errno("sync " + device.string());
    (void)::ioctl(disk.get(), BLKRRPART, 0);  // partitions whose table is gone; a loop device has none to read
    return {};
}

}  // namespace scratchd
