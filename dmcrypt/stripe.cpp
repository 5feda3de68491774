#include "dmcrypt/stripe.hpp"

#include "agent/base/mounts.hpp"

#include <fmt/format.h>
#include <algorithm>

namespace scratchd {

result<dm::target> plan_stripe(std::vector<disk_facts> const& disks) {
    if (disks.size() < 2) return fail(errc::internal, "a stripe needs two disks");
    auto const smallest = std::ranges::min(disks, {}, &disk_facts::size_bytes).size_bytes / 512;
    auto const each = smallest / stripe_chunk_sectors * stripe_chunk_sectors;
    if (each == 0) return fail(errc::disk_too_small, "a disk is smaller than one stripe chunk");
    // Documentation/admin-guide/device-mapper/striped.rst: <num devs> <chunk size> [<dev path> <offset>]+
    auto parameters = fmt::format("{} {}", disks.size(), stripe_chunk_sectors);
    for (auto const& disk : disks) parameters += fmt::format(" {} 0", device_text(disk.number));
    return dm::target{0, each * disks.size(), "striped", std::move(parameters)};
}

}  // namespace scratchd
