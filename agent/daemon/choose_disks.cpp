#include "agent/daemon/choose_disks.hpp"

#include "agent/base/notify.hpp"
#include "cleanup/erase_zero.hpp"
#include "dmcrypt/disk_rules.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <filesystem>

namespace scratchd {
namespace {

adoption parse_adoption(std::string const& word) {
    if (word == "temporary") return adoption::temporary;
    return word == "erase" ? adoption::erase : adoption::blank;
}

std::optional<refusal> refuse(disk_facts const& disk, scratch_config const& wanted, disk_ledger const& ledger) {
    if (auto const no = refuse_use(disk)) return no;
    if (!ledger.provenance(disk.identity()).empty()) return std::nullopt;
    return refuse_adoption(disk, parse_adoption(wanted.adopt));
}

// A disk of terabytes takes long; systemd is told that the start goes on.
void tell(disk_facts const& disk, std::uint64_t done) {
    notify_extend(std::chrono::minutes(10));
    notify_status(
        fmt::format("erasing {} before its first use: {} of {} MiB", disk.name, done >> 20U, disk.size_bytes >> 20U));
}

result<> adopt(disk_facts const& disk, disk_ledger& ledger) {
    auto const known = ledger.provenance(disk.identity());
    if (known.empty() && disk.blank) return ledger.enrol(disk.identity(), provenance_blank);
    if (!known.empty() && known != provenance_erasing) return {};
    // Entered first and as unfinished: an erase that is cut short is ours to do again, with the disk's past on record.
    if (known.empty()) SCRATCHD_CHECK(ledger.enrol(disk.identity(), provenance_erasing));
    SCRATCHD_CHECK(erase_zero(disk.device, disk.number, [&](std::uint64_t done) { tell(disk, done); }));
    return ledger.enrol(disk.identity(), provenance_plain);
}

}  // namespace

result<chosen_disks> choose_disks(scratch_config const& wanted, disk_ledger& ledger) {
    SCRATCHD_TRY(auto const names, expand_disk_names(wanted.disks));
    chosen_disks chosen;
    for (auto const& name : names) {
        SCRATCHD_TRY(auto disk, examine_disk(name, true));
        if (auto const no = refuse(disk, wanted, ledger)) return fail(no->code, no->why);
        if (std::ranges::find(chosen.disks, disk.number, &disk_facts::number) != chosen.disks.end()) continue;
        chosen.disks.push_back(std::move(disk));
    }
    for (auto const& disk : chosen.disks) {
        SCRATCHD_CHECK(adopt(disk, ledger));
        chosen.recorded.push_back(
            {disk.name, disk.model, disk.serial, disk.size_bytes, ledger.provenance(disk.identity())});
    }
    return chosen;
}

result<std::vector<judged_disk>> judge_all_disks(scratch_config const& wanted, disk_ledger const& ledger) {
    auto const names = expand_disk_names(wanted.disks);
    std::vector<judged_disk> all;
    std::error_code ec;
    for (auto it = std::filesystem::directory_iterator("/sys/block", ec);
         !ec && it != std::filesystem::directory_iterator(); it.increment(ec)) {
        auto const kernel_name = it->path().filename().string();
        if (kernel_name.starts_with("ram") || kernel_name.starts_with("dm-") || kernel_name.starts_with("zram"))
            continue;
        auto examined = examine_disk("/dev/" + kernel_name, false);
        if (!examined || examined->size_bytes == 0) continue;
        judged_disk one{*std::move(examined), false, "not named in [scratch] disks"};
        for (auto const& name : names ? *names : std::vector<std::string>{}) {
            auto named = examine_disk(name, true);
            if (!named || named->number != one.facts.number) continue;
            one.facts = *std::move(named);
            auto const no = refuse(one.facts, wanted, ledger);
            one.chosen = !no;
            one.why = no ? fmt::format("{} {}", code_text(no->code), no->why) : "named in [scratch] disks";
        }
        all.push_back(std::move(one));
    }
    std::ranges::sort(all, {}, [](auto const& d) { return d.facts.device; });
    return all;
}

}  // namespace scratchd
