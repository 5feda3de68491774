#include "dmcrypt/disk.hpp"

#include "agent/base/file.hpp"
#include "agent/base/mounts.hpp"
#include "dmcrypt/volume.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <glob.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <algorithm>
#include <cerrno>
#include <charconv>
#include <fstream>
#include <set>

namespace scratchd {
namespace {

namespace fs = std::filesystem;

std::string attribute(fs::path const& path) {
    auto line = read_line(path);
    if (!line) return "";
    auto const first = line->find_first_not_of(' ');
    auto const last = line->find_last_not_of(' ');
    return first == std::string::npos ? "" : line->substr(first, last - first + 1);
}

std::uint64_t number(std::string const& text) {
    std::uint64_t value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

std::vector<std::string> entries(fs::path const& folder) {
    std::vector<std::string> names;
    std::error_code ec;
    for (auto it = fs::directory_iterator(folder, ec); !ec && it != fs::directory_iterator(); it.increment(ec))
        names.push_back(it->path().filename());
    std::ranges::sort(names);
    return names;
}

fs::path sysfs(dev_t device) {
    return "/sys/dev/block/" + device_text(device);
}

dev_t parse_device(std::string const& text) {
    auto const colon = text.find(':');
    if (colon == std::string::npos) return 0;
    return makedev(static_cast<unsigned>(number(text.substr(0, colon))),
                   static_cast<unsigned>(number(text.substr(colon + 1))));
}

// The device, its partitions, what is stacked on them, and so on upwards.
void collect_above(dev_t device, std::set<dev_t>& all) {
    if (!all.insert(device).second) return;
    auto const folder = sysfs(device);
    for (auto const& name : entries(folder / "holders"))
        collect_above(parse_device(attribute(folder / "holders" / name / "dev")), all);
    for (auto const& name : entries(folder))
        if (fs::exists(folder / name / "partition")) collect_above(parse_device(attribute(folder / name / "dev")), all);
}

dev_t node_number(std::string const& path) {
    struct stat st{};
    return path.starts_with("/dev/") && ::stat(path.c_str(), &st) == 0 && S_ISBLK(st.st_mode) ? st.st_rdev : 0;
}

result<> find_users(disk_facts& disk) {
    std::set<dev_t> above;
    collect_above(disk.number, above);
    SCRATCHD_TRY(auto const mounts, read_mounts("/proc/1/mountinfo"));
    // btrfs and overlay show a device number of their own: the source names the real one.
    for (auto const& m : mounts)
        if (above.contains(m.device) || above.contains(node_number(m.source))) disk.mounts.push_back(m.target);
    std::ifstream swaps("/proc/swaps");
    std::string line;
    std::getline(swaps, line);
    while (std::getline(swaps, line))
        if (above.contains(node_number(line.substr(0, line.find_first_of(" \t"))))) disk.swap = true;
    return {};
}

void describe(disk_facts& disk) {
    auto const folder = sysfs(disk.number);
    disk.sequence = number(attribute(folder / "diskseq"));
    disk.partition = fs::exists(folder / "partition");
    for (auto const& name : entries(folder))
        if (fs::exists(folder / name / "partition")) disk.partitions.push_back(name);
    disk.holders = entries(folder / "holders");
    disk.ours = !disk.holders.empty() && std::ranges::all_of(disk.holders, [&](auto const& name) {
        return attribute(folder / "holders" / name / "dm/name").starts_with(mapping_prefix);
    });
    disk.model = attribute(folder / "device/model");
    disk.serial = attribute(folder / "device/serial");
    if (disk.serial.empty()) disk.serial = attribute(folder / "device/wwid");
    if (auto const file = attribute(folder / "loop/backing_file"); !file.empty()) {
        disk.model = "loop";
        disk.serial = file;
    }
    // A virtual disk without a serial: the link that udev gave it is all the identity there is.
    if (disk.serial.empty() && disk.name.starts_with("/dev/disk/by-id/")) disk.serial = fs::path(disk.name).filename();
}

}  // namespace

std::string disk_facts::identity() const {
    return fmt::format("{}|{}|{}", model, serial, size_bytes);
}

result<disk_facts> examine_disk(std::string const& name, bool read_content) {
    disk_facts disk;
    disk.name = name;
    std::error_code ec;
    disk.device = fs::canonical(name, ec);
    if (ec) return fail(errc::disk_unknown, name, ec.value());
    SCRATCHD_TRY(auto const fd, open_file(disk.device, O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
    struct stat st{};
    if (::fstat(fd.get(), &st) != 0) return fail_errno("stat " + name);
    if (!S_ISBLK(st.st_mode)) return fail(errc::disk_unknown, name + " is not a block device");
    disk.number = st.st_rdev;
    int read_only = 0;
    if (::ioctl(fd.get(), BLKGETSIZE64, &disk.size_bytes) != 0 || ::ioctl(fd.get(), BLKROGET, &read_only) != 0)
        return fail_errno("read the size of " + name);
    disk.read_only = read_only != 0;
    describe(disk);
    SCRATCHD_CHECK(find_users(disk));
    // The one test that catches every kind of user, those included that sysfs does not show.
    unique_fd const alone(::open(disk.device.c_str(), O_RDONLY | O_EXCL | O_CLOEXEC | O_NOFOLLOW));
    disk.claimed = !alone;
    if (read_content) SCRATCHD_CHECK(read_signature(disk));
    return disk;
}

result<std::vector<std::string>> expand_disk_names(std::vector<std::string> const& names) {
    std::vector<std::string> all;
    for (auto const& name : names) {
        glob_t found{};
        int const rc = ::glob(name.c_str(), GLOB_ERR, nullptr, &found);
        std::vector<std::string> matches(found.gl_pathv, found.gl_pathv + (rc == 0 ? found.gl_pathc : 0));
        ::globfree(&found);
        if (name.contains('*') || name.contains('?'))
            std::erase_if(matches, [](auto const& m) { return m.contains("-part"); });
        if (matches.empty()) return fail(errc::disk_unknown, name + ": no such device");
        for (auto& match : matches)
            if (std::ranges::find(all, match) == all.end()) all.push_back(std::move(match));
    }
    return all;
}

}  // namespace scratchd
