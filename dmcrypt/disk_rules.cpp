#include "dmcrypt/disk_rules.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <algorithm>

namespace scratchd {

std::optional<refusal> refuse_use(disk_facts const& disk) {
    constexpr std::string_view system[] = {"/", "/boot", "/boot/efi", "/usr", "/var", "/home"};
    for (auto const& target : disk.mounts)
        if (std::ranges::find(system, target) != std::end(system))
            return refusal{errc::disk_is_system, fmt::format("{} carries {}", disk.name, target)};
    // What an earlier run left on it is ended before anything new is made.
    if (!disk.ours && !disk.mounts.empty())
        return refusal{errc::disk_in_use, fmt::format("{} is mounted on {}", disk.name, fmt::join(disk.mounts, ", "))};
    if (!disk.ours && disk.swap) return refusal{errc::disk_in_use, disk.name + " is swap space"};
    if (!disk.ours && !disk.holders.empty())
        return refusal{errc::disk_in_use, fmt::format("{} is held by {}", disk.name, fmt::join(disk.holders, ", "))};
    if (disk.partition) return refusal{errc::disk_in_use, disk.name + " is a partition, not a whole disk"};
    if (!disk.ours && disk.claimed) return refusal{errc::disk_in_use, disk.name + " is open exclusively elsewhere"};
    if (disk.read_only) return refusal{errc::disk_read_only, disk.name + " is read-only"};
    if (disk.size_bytes < least_disk_bytes)
        return refusal{errc::disk_too_small,
                       fmt::format("{} has {} bytes, {} are needed", disk.name, disk.size_bytes, least_disk_bytes)};
    return std::nullopt;
}

std::optional<refusal> refuse_adoption(disk_facts const& disk, adoption allowed) {
    if (disk.blank || allowed == adoption::erase) return std::nullopt;
    // What Azure puts on a fresh temporary disk (cloud-init, azure-vm-utils): one NTFS partition of that label.
    auto const is_temporary = [](auto const& type, auto const& label) {
        return type == "ntfs" && label == "Temporary Storage";
    };
    bool const cloud_made =
        is_temporary(disk.signature, disk.label) || is_temporary(disk.inner_signature, disk.inner_label);
    if (allowed == adoption::temporary && cloud_made) return std::nullopt;
    auto const holds = !disk.partitions.empty()  ? fmt::format("the partitions {}", fmt::join(disk.partitions, ", "))
                       : !disk.signature.empty() ? fmt::format("a signature ({})", disk.signature)
                                                 : std::string("data");
    return refusal{errc::disk_foreign, fmt::format("{} was never scratch here and holds {}", disk.name, holds)};
}

}  // namespace scratchd
