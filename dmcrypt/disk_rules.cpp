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
    bool const cloud_made = disk.signature == "ntfs" && disk.label == "Temporary Storage";
    if (allowed == adoption::temporary && cloud_made) return std::nullopt;
    auto const holds = !disk.partitions.empty()  ? fmt::format("the partitions {}", fmt::join(disk.partitions, ", "))
                       : !disk.signature.empty() ? fmt::format("a signature ({})", disk.signature)
                                                 : std::string("data");
    return refusal{errc::disk_foreign, fmt::format("{} was never scratch here and holds {}", disk.name, holds)};
}

std::optional<refusal> refuse_name(std::string const& name) {
    constexpr std::string_view stable[] = {"/dev/disk/by-id/", "/dev/disk/by-path/", "/dev/disk/azure/", "/dev/loop"};
    if (name.contains("..") || std::ranges::none_of(stable, [&](auto prefix) {
            return name.starts_with(prefix) && name.size() > prefix.size();
        }))
        return refusal{errc::config_value, fmt::format("\"{}\" is no stable name: give /dev/disk/by-id/...", name)};
    return std::nullopt;
}

}  // namespace scratchd
