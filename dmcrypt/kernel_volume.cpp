#include "dmcrypt/kernel_volume.hpp"

#include "agent/base/failpoint.hpp"
#include "agent/base/file.hpp"
#include "agent/base/mounts.hpp"
#include "dmcrypt/canary.hpp"
#include "dmcrypt/crypt_table.hpp"
#include "dmcrypt/key.hpp"
#include "dmcrypt/luks.hpp"
#include "dmcrypt/mount_point.hpp"
#include "dmcrypt/samples.hpp"
#include "dmcrypt/stripe.hpp"
#include "dmcrypt/teardown.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <algorithm>
#include <future>
#include <map>
#include <optional>

namespace scratchd {
namespace {

std::filesystem::path node_of(dev_t device) {
    std::error_code ec;
    auto const link = std::filesystem::read_symlink("/sys/dev/block/" + device_text(device), ec);
    return "/dev" / link.filename();  // devtmpfs names it as sysfs does
}

struct open_disk {
    disk_facts facts;
    unique_fd raw;  // O_DIRECT: the canary is looked for here
};

class kernel_volume final : public volume {
public:
    explicit kernel_volume(volume_settings settings) : settings_(std::move(settings)) {}

    result<std::vector<remnant>> survey() override { return survey_mappings(); }

    result<generation> create(create_request const& request, std::vector<check>& proven, deadline until) override {
        auto const name = fmt::format("{}{}-{}", mapping_prefix, settings_.boot_id.substr(0, 8), request.number);
        auto made = build(name, request, proven, until);
        if (made) return made;
        // Nothing half-made stays: what cannot be undone here, survey() shows and the next wipe ends.
        if (auto found = survey_mappings())
            for (auto const& r : *found)
                if (r.mapping.starts_with(name)) {
                    (void)detach_everywhere(r.device);
                    roots_.erase(r.device);
                    (void)end_mapping(r.mapping);
                }
        return made;
    }

    result<> adopt(generation const& expected) override {
        SCRATCHD_CHECK(open_disks(false));
        SCRATCHD_TRY(auto const now, dm::query(expected.mapping));
        if (!now.exists) return fail(errc::table_mismatch, expected.mapping + " does not exist");
        SCRATCHD_TRY(dev_t const below, below_of(expected.mapping));
        SCRATCHD_CHECK(verify(expected.mapping, below, expected.size_bytes / 512));
        SCRATCHD_TRY(roots_[now.device], open_mounted(expected.mount, now.device));
        return {};
    }

    result<unique_fd> open_root() override {
        SCRATCHD_TRY(auto const mounts, read_mounts());
        auto const m = std::ranges::find(mounts, settings_.mount.string(), &mount_entry::target);
        if (m == mounts.end() || !roots_.contains(m->device)) return fail(errc::node_not_ready, "no volume is mounted");
        return open_mounted(settings_.mount, m->device);
    }

    result<> shut_down(remnant const& what) override {
        auto& root = roots_[what.device];
        if (!root) {
            // After a restart there is no descriptor yet: one mount of it is enough to reach the file system.
            SCRATCHD_TRY(auto const mounts, read_mounts());
            auto const m = std::ranges::find(mounts, what.device, &mount_entry::device);
            if (m == mounts.end()) return {};
            SCRATCHD_TRY(root, open_mounted(m->target, what.device));
        }
        return scratchd::shut_down(root.get(), what.device);
    }

    result<> sample(remnant const& what) override {
        if (!what.live) return {};
        samples_.reset();
        SCRATCHD_TRY(auto const fd, open_file(node_of(what.device), O_RDONLY | O_DIRECT));
        std::uint64_t size = 0;
        if (::ioctl(fd.get(), BLKGETSIZE64, &size) != 0) return fail_errno("size of " + what.mapping);
        SCRATCHD_TRY(samples_, take_samples(fd.get(), size));
        return {};
    }

    result<> detach(remnant const& what) override { return detach_everywhere(what.device); }

    result<ending> destroy_key(remnant const& what) override {
        // The last reference to the file system: the kernel drops its cached files now, which takes long when there
        // are many. That is not waited for.
        std::erase_if(closing_,
                      [](auto& f) { return f.wait_for(std::chrono::seconds(0)) == std::future_status::ready; });
        if (auto root = roots_.extract(what.device); root && root.mapped())
            closing_.push_back(
                std::async(std::launch::async, [fd = std::move(root.mapped())]() mutable { fd.reset(); }));
        return end_mapping(what.mapping);
    }

    result<> prove_dead(std::vector<remnant> const& ended, std::vector<check>& proven,
                        std::vector<remnant>& pending) override {
        for (auto const& r : ended) SCRATCHD_CHECK(prove_mapping_dead(r, proven, pending));
        SCRATCHD_TRY(auto const keys, leftover_volume_keys());
        proven.push_back({"no-key-in-keyring", keys.empty(), keys.empty() ? "no logon key of dm-crypt" : keys});
        if (!keys.empty()) return fail(errc::key_not_dead, "a volume key is left in a keyring: " + keys);
        SCRATCHD_TRY(auto const mounts, read_mounts());
        bool const mounted = std::ranges::any_of(mounts, [&](auto const& m) {
            return std::ranges::any_of(ended, [&](auto const& r) { return r.device == m.device; });
        });
        proven.push_back({"unmounted", !mounted, "in the mount namespace of PID 1"});
        if (mounted) return fail(errc::device_held, "the ended volume is still mounted");
        for (auto const& disk : disks_)
            if (::ioctl(disk.raw.get(), BLKFLSBUF, 0) != 0) return fail_errno("drop the cache of " + disk.facts.name);
        return {};
    }

private:
    // Opens the disks and demands that they are the ones that were allowed. `alone`: nobody may have them open.
    result<> open_disks(bool alone) {
        disks_.clear();
        for (auto const& known : settings_.disks) {
            SCRATCHD_TRY(auto now, examine_disk(known.name, false));
            if (now.identity() != known.identity() || now.number != known.number || now.sequence != known.sequence)
                return fail(errc::disk_changed,
                            fmt::format("{} was {} and is now {}", known.name, known.identity(), now.identity()));
            if (alone && (now.claimed || !now.holders.empty() || !now.mounts.empty()))
                return fail(errc::disk_in_use, known.name + " came into use elsewhere");
            SCRATCHD_TRY(auto raw, open_file(now.device, O_RDWR | O_DIRECT | O_NOFOLLOW));
            struct stat st{};
            if (::fstat(raw.get(), &st) != 0 || st.st_rdev != known.number)
                return fail(errc::disk_changed, known.name + " changed while it was opened");
            disks_.push_back({std::move(now), std::move(raw)});
        }
        if (disks_.empty()) return fail(errc::not_configured, "no disk is configured");
        return {};
    }

    // The device below the crypt mapping: the stripe, or the only disk.
    result<dev_t> below_of(std::string const& mapping) {
        if (disks_.size() == 1) return disks_.front().facts.number;
        SCRATCHD_TRY(auto const stripe, dm::query(stripe_name(mapping)));
        return stripe.device;
    }

    static result<> verify(std::string const& mapping, dev_t below, std::uint64_t sectors) {
        SCRATCHD_TRY(auto const live, dm::table(mapping));
        return verify_crypt_table(live, {below, sectors});
    }

    result<generation> build(std::string const& name, create_request const& request, std::vector<check>& proven,
                             deadline until) {
        SCRATCHD_CHECK(open_disks(true));
        SCRATCHD_CHECK(prepare_mount_point(settings_.mount));
        SCRATCHD_TRY(auto key, fresh_volume_key(current_key_context(request.number, request.last_fingerprint)));
        SCRATCHD_TRY(auto fingerprint, request.admit_key(key));

        std::vector<disk_facts> facts;
        for (auto const& d : disks_) facts.push_back(d.facts);
        auto below = facts.front().number;
        auto sectors = facts.front().size_bytes / volume_sector_bytes * volume_sector_bytes / 512;
        if (facts.size() > 1) {
            SCRATCHD_TRY(auto const plan, plan_stripe(facts));
            SCRATCHD_TRY(below, dm::create(stripe_name(name), "SCRATCHD-STRIPE-" + name, plan));
            sectors = plan.length;
        }
        SCRATCHD_CHECK(SCRATCHD_FAILPOINT("volume.activate"));
        SCRATCHD_CHECK(activate_luks(name, node_of(below), key));
        key.clear();
        SCRATCHD_CHECK(SCRATCHD_FAILPOINT("volume.activated"));

        SCRATCHD_TRY(auto const live, dm::query(name));
        SCRATCHD_CHECK(verify(name, below, sectors));
        proven.push_back(
            {"table-as-asked", true, fmt::format("{}, 512-bit key by keyring, 4096-byte sectors", volume_cipher)});
        generation made{request.number,
                        name,
                        {},
                        settings_.mount,
                        volume_cipher,
                        static_cast<int>(volume_key_bytes * 8),
                        volume_sector_bytes,
                        sectors * 512,
                        std::move(fingerprint),
                        ""};
        for (auto const& d : facts) made.devices.push_back(d.name);
        SCRATCHD_CHECK(prove_encrypting(live.device, request, made, proven));
        SCRATCHD_CHECK(make_filesystem(settings_.filesystem, node_of(live.device), until));
        SCRATCHD_CHECK(SCRATCHD_FAILPOINT("volume.formatted"));
        SCRATCHD_TRY(roots_[live.device],
                     mount_scratch("/dev/mapper/" + name, live.device, settings_.mount, settings_.filesystem));
        proven.push_back({"mounted", true, fmt::format("{} on {}, seen by PID 1", name, made.mount)});
        return made;
    }

    result<> prove_encrypting(dev_t device, create_request const& request, generation& made,
                              std::vector<check>& proven) {
        SCRATCHD_TRY(auto const mapping, open_file(node_of(device), O_RDWR | O_DIRECT));
        if (samples_) {
            SCRATCHD_TRY(auto const equal, count_equal(mapping.get(), *samples_));
            proven.push_back(
                {"old-data-unreadable", equal == 0,
                 fmt::format("{} of {} samples of the last generation read equal", equal, samples_->blocks.size())});
            if (equal != 0) return fail(errc::key_not_dead, "the new mapping reads data of the last generation");
            samples_.reset();
        }
        std::vector<canary_place> places;
        for (auto const& d : disks_) places.push_back({d.raw.get(), 0, places.size() * stripe_chunk_sectors * 512});
        SCRATCHD_TRY(made.canary, check_canary(mapping.get(), places));
        if (made.canary == request.last_canary)
            return fail(errc::key_repeated, "the canary has the same ciphertext as in the last generation");
        proven.push_back(
            {"disk-encrypts", true, fmt::format("canary read back as ciphertext from {} disk(s)", places.size())});
        SCRATCHD_CHECK(zero_ends(mapping.get(), made.size_bytes));
        proven.push_back({"ends-zeroed", true, "no signature shows through the new key"});
        return {};
    }

    volume_settings settings_;
    std::vector<open_disk> disks_;
    std::map<dev_t, unique_fd> roots_;  // the mounted file system's root, to shut it down even when its path is gone
    std::optional<volume_samples> samples_;
    std::vector<std::future<void>> closing_;
};

}  // namespace

std::unique_ptr<volume> make_kernel_volume(volume_settings settings) {
    return std::make_unique<kernel_volume>(std::move(settings));
}

}  // namespace scratchd
