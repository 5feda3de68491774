#include "agent/base/file.hpp"
#include "dmcrypt/canary.hpp"
#include "dmcrypt/crypt_table.hpp"
#include "dmcrypt/direct_io.hpp"
#include "dmcrypt/disk_rules.hpp"
#include "dmcrypt/filesystem.hpp"
#include "dmcrypt/key.hpp"
#include "dmcrypt/mount_point.hpp"
#include "dmcrypt/samples.hpp"
#include "dmcrypt/stripe.hpp"
#include "tests/support/expect.hpp"
#include "tests/support/temp_folder.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <algorithm>
#include <cstring>

using namespace scratchd;

namespace {

constexpr char as_asked[] =
    "aes-xts-plain64 :64:logon:cryptsetup:7c1b-d0 0 98:16 0 3 no_read_workqueue no_write_workqueue sector_size:4096";

result<> verify(std::string const& parameters, std::string const& type = "crypt", std::uint64_t start = 0,
                std::uint64_t length = 2048) {
    return verify_crypt_table({{start, length, type, parameters}}, {makedev(98, 16), 2048});
}

std::string with(std::string const& from, std::string const& to) {
    std::string text = as_asked;
    return text.replace(text.find(from), from.size(), to);
}

disk_facts good_disk() {
    disk_facts d;
    d.name = "/dev/disk/by-id/x";
    d.size_bytes = 1 << 30;
    d.blank = true;
    return d;
}

std::optional<errc> use(auto change) {
    auto d = good_disk();
    change(d);
    auto const no = refuse_use(d);
    return no ? std::optional(no->code) : std::nullopt;
}

std::optional<errc> adopt(adoption allowed, auto change) {
    auto d = good_disk();
    change(d);
    auto const no = refuse_adoption(d, allowed);
    return no ? std::optional(no->code) : std::nullopt;
}

}  // namespace

TEST_CASE("crypt table: only exactly what was asked for is accepted", "[dmcrypt]") {
    must(verify(as_asked));
    auto const bad = GENERATE(
        as<std::string>(), with("aes-xts-plain64", "cipher_null-ecb"), with("aes-xts-plain64", "aes-cbc-essiv:sha256"),
        with(":64:logon:cryptsetup:7c1b-d0", std::string(128, 'a')), with(":64:", ":32:"), with(":logon:", ":user:"),
        with("98:16", "98:32"), with(" 0 98", " 8 98"), with("98:16 0", "98:16 8"),
        with("sector_size:4096", "sector_size:512"), with("3 no_read_workqueue", "3 allow_discards"),
        with(" 3 ", " 2 "), with("sector_size:4096", ""),
        with("3 no_read_workqueue no_write_workqueue sector_size:4096", "1 no_read_workqueue"), "");
    INFO(bad);
    CHECK(fails_with(verify(bad), errc::table_mismatch));
}

TEST_CASE("crypt table: type, length and number of targets count", "[dmcrypt]") {
    CHECK(fails_with(verify(as_asked, "linear"), errc::table_mismatch));
    CHECK(fails_with(verify(as_asked, "error"), errc::table_mismatch));
    CHECK(fails_with(verify(as_asked, "crypt", 8), errc::table_mismatch));
    CHECK(fails_with(verify(as_asked, "crypt", 0, 2040), errc::table_mismatch));
    CHECK(fails_with(verify_crypt_table({}, {makedev(98, 16), 2048}), errc::table_mismatch));
    dm::target const whole{0, 2048, "crypt", as_asked};
    CHECK(fails_with(verify_crypt_table({whole, whole}, {makedev(98, 16), 2048}), errc::table_mismatch));
}

TEST_CASE("disk rules: whatever is in use is refused", "[dmcrypt]") {
    CHECK_FALSE(use([](auto&) {}).has_value());
    CHECK(use([](auto& d) { d.mounts = {"/"}; }) == errc::disk_is_system);
    CHECK(use([](auto& d) { d.mounts = {"/data"}; }) == errc::disk_in_use);
    CHECK(use([](auto& d) { d.swap = true; }) == errc::disk_in_use);
    CHECK(use([](auto& d) { d.holders = {"dm-0"}; }) == errc::disk_in_use);
    CHECK(use([](auto& d) { d.partition = true; }) == errc::disk_in_use);
    CHECK(use([](auto& d) { d.claimed = true; }) == errc::disk_in_use);
    CHECK(use([](auto& d) { d.read_only = true; }) == errc::disk_read_only);
    CHECK(use([](auto& d) { d.size_bytes = 1 << 20; }) == errc::disk_too_small);
}

TEST_CASE("disk rules: what an earlier run of ours left is no use, but the system is never ours", "[dmcrypt]") {
    CHECK_FALSE(
        use([](auto& d) { d.ours = d.claimed = true, d.holders = {"dm-1"}, d.mounts = {"/mnt/scratch"}; }).has_value());
    CHECK(use([](auto& d) { d.ours = true, d.mounts = {"/"}; }) == errc::disk_is_system);
    CHECK(use([](auto& d) { d.ours = true, d.read_only = true; }) == errc::disk_read_only);
}

TEST_CASE("disk rules: what a new disk may hold is the operator's word", "[dmcrypt]") {
    auto const data = [](auto& d) { d.blank = false; };
    auto const ext4 = [](auto& d) { d.blank = false, d.signature = "ext4"; };
    auto const azure = [](auto& d) {
        d.blank = false, d.signature = "dos", d.partitions = {"sdb1"};
        d.inner_signature = "ntfs", d.inner_label = "Temporary Storage";
    };
    for (auto const allowed : {adoption::blank, adoption::temporary, adoption::erase})
        CHECK_FALSE(adopt(allowed, [](auto&) {}).has_value());
    CHECK(adopt(adoption::blank, data) == errc::disk_foreign);
    CHECK(adopt(adoption::blank, azure) == errc::disk_foreign);
    CHECK_FALSE(adopt(adoption::temporary, azure).has_value());
    CHECK(adopt(adoption::temporary, ext4) == errc::disk_foreign);
    CHECK(adopt(adoption::temporary, [](auto& d) { d.blank = false, d.signature = "ntfs", d.label = "Data"; }) ==
          errc::disk_foreign);
    CHECK_FALSE(adopt(adoption::erase, ext4).has_value());
    auto d = good_disk();
    ext4(d);
    CHECK_THAT(refuse_adoption(d, adoption::blank)->why, ContainsSubstring("(ext4)"));
}

TEST_CASE("stripe: each disk gives what the smallest has, in whole chunks", "[dmcrypt]") {
    auto a = good_disk();
    auto b = good_disk();
    a.number = makedev(259, 0);
    b.number = makedev(259, 4);
    b.size_bytes = (1 << 30) - 4096;
    auto const plan = must(plan_stripe({a, b}));
    CHECK(plan.type == "striped");
    CHECK(plan.parameters == "2 512 259:0 0 259:4 0");
    CHECK(plan.length == 2 * ((1ULL << 30) / 512 - 512));
    CHECK_FALSE(plan_stripe({a}).has_value());
}

TEST_CASE("volume key: equal entropy gives different keys where anything else differs", "[dmcrypt]") {
    auto const entropy = must(secret::make(128));
    key_context const base{"boot", "machine", 1, 1000, "last"};
    auto const same = [&](key_context const& c) {
        auto const a = must(derive_volume_key(entropy, base));
        auto const b = must(derive_volume_key(entropy, c));
        return std::ranges::equal(a.bytes(), b.bytes());
    };
    CHECK(same(base));
    CHECK_FALSE(same({"Boot", "machine", 1, 1000, "last"}));
    CHECK_FALSE(same({"boot", "Machine", 1, 1000, "last"}));
    CHECK_FALSE(same({"boot", "machine", 2, 1000, "last"}));
    CHECK_FALSE(same({"boot", "machine", 1, 1001, "last"}));
    CHECK_FALSE(same({"boot", "machine", 1, 1000, "lasT"}));
}

TEST_CASE("volume key: equal context gives different keys where the entropy differs, in either half", "[dmcrypt]") {
    auto entropy = must(secret::make(128));
    key_context const context{"boot", "machine", 1, 1000, "last"};
    auto const before = must(derive_volume_key(entropy, context));
    auto const at = GENERATE(0U, 63U, 64U, 127U);
    entropy.bytes()[at] = std::byte{1};
    CHECK_FALSE(std::ranges::equal(before.bytes(), must(derive_volume_key(entropy, context)).bytes()));
}

TEST_CASE("volume key: the kernel and the processor each give their half of the entropy", "[dmcrypt]") {
    auto const a = must(volume_key_entropy());
    auto const b = must(volume_key_entropy());
    CHECK_FALSE(std::ranges::equal(a.bytes().first(64), b.bytes().first(64)));
    if (!must(read_file("/proc/cpuinfo", 16U << 20U)).contains(" rdrand")) {
        WARN("this processor has no RDRAND: skipped");
        return;
    }
    CHECK_FALSE(std::ranges::equal(a.bytes().last(64), b.bytes().last(64)));
    for (std::size_t at = 64; at < 128; at += 8)  // every word was drawn
        CHECK_FALSE(std::ranges::equal(a.bytes().subspan(at, 8), b.bytes().subspan(at, 8)));
}

TEST_CASE("volume key: its context is this boot of this machine at this moment", "[dmcrypt]") {
    auto const now = current_key_context(7, "last");
    CHECK(now.boot_id == must(read_line("/proc/sys/kernel/random/boot_id")));
    auto const of = [](char const* path) { return read_line(path).value_or(""); };
    CHECK(now.machine == of("/sys/class/dmi/id/product_uuid") + of("/etc/machine-id"));
    CHECK(now.generation == 7);
    CHECK(now.last_fingerprint == "last");
    CHECK(current_key_context(7, "last").realtime_ns > now.realtime_ns);
}

TEST_CASE("volume key: 512 bits, two different halves, never the same twice", "[dmcrypt]") {
    auto const a = must(fresh_volume_key(current_key_context(1, "")));
    auto const b = must(fresh_volume_key(current_key_context(1, "")));
    CHECK(a.size() == volume_key_bytes);
    CHECK_FALSE(std::ranges::equal(a.bytes(), b.bytes()));
    CHECK_FALSE(std::ranges::equal(a.bytes().first(32), a.bytes().last(32)));
}

TEST_CASE("file system: nothing is journaled, discarded or initialised that need not be", "[dmcrypt]") {
    auto const ext4 = plan_mkfs({fs_type::ext4, 32768}, "/dev/dm-7");
    CHECK(ext4.program == "/sbin/mke2fs");
    CHECK(ext4.arguments.back() == "/dev/dm-7");
    auto const has = [&](char const* word) {
        return std::ranges::any_of(ext4.arguments, [&](auto const& a) { return a.contains(word); });
    };
    for (char const* word : {"^has_journal", "nodiscard", "lazy_itable_init=1", "packed_meta_blocks=1", "32768"})
        CHECK(has(word));
    auto const xfs = plan_mkfs({fs_type::xfs, 0}, "/dev/dm-7");
    CHECK(xfs.program == "/sbin/mkfs.xfs");
    CHECK(std::ranges::find(xfs.arguments, "-K") != xfs.arguments.end());
}

TEST_CASE("canary: plain text, a missing write and repeating blocks are seen", "[dmcrypt]") {
    temp_folder const t;
    auto const file = [&](char const* name) {
        auto fd = must(open_file(t.path() / name, O_RDWR | O_CREAT, 0600));
        REQUIRE(ftruncate(fd.get(), 1 << 20) == 0);
        return fd;
    };
    auto const mapping = file("mapping");
    auto const disk = file("disk");
    // The mapping is the disk itself: nothing encrypts.
    auto const plain = check_canary(mapping.get(), {{mapping.get(), 4096, 4096}});
    REQUIRE(fails_with(plain, errc::not_encrypting));
    CHECK_THAT(plain.error().what, ContainsSubstring("plain text"));
    // What is written to the mapping goes elsewhere.
    CHECK(fails_with(check_canary(mapping.get(), {{disk.get(), 4096, 4096}}), errc::not_encrypting));
    direct_buffer noise(direct_block);  // no two blocks alike
    for (std::size_t i = 0; i < direct_block; i += 2) std::memcpy(noise.bytes().data() + i, &i, 2);
    must(write_at(disk.get(), 8192, noise.bytes()));
    auto const lost = check_canary(mapping.get(), {{disk.get(), 8192, 8192}});
    REQUIRE(fails_with(lost, errc::not_encrypting));
    CHECK_THAT(lost.error().what, ContainsSubstring("did not reach the disk"));
    // Something arrives, no plain text, but most of its blocks are alike: half a pattern and zeros.
    auto const alike = check_canary(disk.get(), {{disk.get(), 16384, 16384 - 4088}});
    REQUIRE(fails_with(alike, errc::not_encrypting));
    CHECK_THAT(alike.error().what, ContainsSubstring("equal ciphertext"));
    CHECK(fails_with(check_canary(mapping.get(), {}), errc::not_encrypting));
}

TEST_CASE("samples: equal data is counted, changed data is not, plaintext is not kept", "[dmcrypt]") {
    temp_folder const t;
    auto const fd = must(open_file(t.path() / "v", O_RDWR | O_CREAT, 0600));
    direct_buffer block(direct_block);
    constexpr std::uint64_t blocks = 64;
    auto const fill = [&](int seed) {
        for (std::uint64_t i = 0; i < blocks; ++i) {
            for (auto& b : block.bytes()) b = static_cast<std::byte>(seed + static_cast<int>(i));
            must(write_at(fd.get(), i * direct_block, block.bytes()));
        }
    };
    fill(1);
    auto const taken = must(take_samples(fd.get(), blocks * direct_block));
    CHECK(taken.blocks.contains(0));
    CHECK(taken.blocks.contains((blocks - 1) * direct_block));
    CHECK(must(count_equal(fd.get(), taken)) == taken.blocks.size());
    fill(100);
    CHECK(must(count_equal(fd.get(), taken)) == 0);
    CHECK(fails_with(take_samples(fd.get(), 100), errc::disk_too_small));
    CHECK_FALSE(take_samples(fd.get(), 1ULL << 40).has_value());
}

TEST_CASE("shutdown: a descriptor of another file system is refused", "[dmcrypt]") {
    // One that knows no shutdown: without the check, this test must not take down the file system it runs on.
    auto const fd = must(open_file("/proc", O_RDONLY | O_DIRECTORY));
    struct stat st{};
    REQUIRE(fstat(fd.get(), &st) == 0);
    CHECK(fails_with(shut_down(fd.get(), st.st_dev + 1), errc::internal));
    CHECK(fails_with(shut_down(fd.get(), 0), errc::internal));
}

TEST_CASE("mount point: a path that others can change is refused", "[dmcrypt]") {
    temp_folder const t;
    std::filesystem::create_directory_symlink("/mnt", t.path() / "link");
    std::filesystem::create_directory(t.path() / "open");
    chmod((t.path() / "open").c_str(), 0777);
    for (auto const& bad : {t.path() / "link/x", t.path() / "open/x", t.path() / "a/../b",
                            std::filesystem::path("relative"), std::filesystem::path("/")})
        CHECK(fails_with(prepare_mount_point(bad), errc::mount_point_unsafe));
}
