#include "cleanup/stacked.hpp"

#include "agent/base/file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/sysmacros.h>
#include <algorithm>
#include <cerrno>
#include <fstream>
#include <optional>
#include <ranges>

namespace scratchd {
namespace {

namespace fs = std::filesystem;

bool is_below(std::string const& path, std::string const& folder) {
    return path == folder || (path.starts_with(folder) && (folder == "/" || path[folder.size()] == '/'));
}

struct loop_device {
    std::string node;
    dev_t number = 0;
    dev_t backing = 0;  // device of the file system its file is on
};

std::vector<loop_device> all_loops() {
    std::vector<loop_device> loops;
    std::error_code ec;
    for (auto it = fs::directory_iterator("/sys/block", ec); !ec && it != fs::directory_iterator(); it.increment(ec)) {
        auto const name = it->path().filename().string();
        if (!name.starts_with("loop") || !fs::exists(it->path() / "loop/backing_file", ec)) continue;
        auto const node = "/dev/" + name;
        auto const fd = open_file(node, O_RDONLY);
        loop_info64 info{};
        struct stat st{};
        if (!fd || ::ioctl(fd->get(), LOOP_GET_STATUS64, &info) != 0 || ::fstat(fd->get(), &st) != 0) continue;
        loops.push_back({node, st.st_rdev, static_cast<dev_t>(info.lo_device)});
    }
    return loops;
}

// An overlay shows a device number of its own; its layers stand in the superblock's options (overlayfs.rst).
bool overlay_uses(mount_entry const& overlay, std::vector<mount_entry> const& mounts, std::set<dev_t> const& devices) {
    if (overlay.type != "overlay") return false;
    auto layer_on_device = [&](std::string const& path) {
        mount_entry const* best = nullptr;
        for (auto const& m : mounts)
            if (is_below(path, m.target) && (best == nullptr || m.target.size() >= best->target.size())) best = &m;
        return best != nullptr && devices.contains(best->device);
    };
    for (auto const option : std::views::split(overlay.fs_options, ',')) {
        std::string_view const text(option.begin(), option.end());
        auto const equals = text.find('=');
        if (equals == std::string_view::npos || !text.substr(0, equals).ends_with("dir")) continue;
        for (auto const part : std::views::split(text.substr(equals + 1), ':'))
            if (layer_on_device(std::string(part.begin(), part.end()))) return true;
    }
    return false;
}

// Adds what stands on `devices` until nothing new is found: an overlay on a loop on scratch is three storeys high.
void grow(std::set<dev_t>& devices, std::vector<loop_device> const& loops, namespace_mounts const& namespaces) {
    for (std::size_t before = 0; before != devices.size();) {
        before = devices.size();
        for (auto const& loop : loops)
            if (devices.contains(loop.backing)) devices.insert(loop.number);
        for (auto const& [name, mounts] : namespaces)
            for (auto const& m : mounts)
                if (overlay_uses(m, mounts, devices)) devices.insert(m.device);
    }
}

std::vector<std::string> swaps_on(std::set<dev_t> const& devices) {
    std::vector<std::string> found;
    std::ifstream file("/proc/swaps");
    std::string line;
    std::getline(file, line);
    while (std::getline(file, line)) {
        // Blanks in a name are written \040, and so on (proc(5)).
        std::string path;
        for (std::size_t i = 0; i < line.size() && line[i] != ' ' && line[i] != '\t'; ++i)
            if (line[i] == '\\' && i + 3 < line.size()) {
                path += static_cast<char>(std::stoi(line.substr(i + 1, 3), nullptr, 8));
                i += 3;
            } else path += line[i];
        struct stat st{};
        if (::stat(path.c_str(), &st) == 0 && devices.contains(S_ISBLK(st.st_mode) ? st.st_rdev : st.st_dev))
            found.push_back(path);
    }
    return found;
}

}  // namespace

result<stack> survey_stack(dev_t base, namespace_mounts const& namespaces) {
    stack found;
    found.devices = {base};
    auto const loops = all_loops();
    grow(found.devices, loops, namespaces);
    for (auto const& loop : loops)
        if (found.devices.contains(loop.number)) found.loops.push_back(loop.node);
    found.swaps = swaps_on(found.devices);

    SCRATCHD_TRY(auto const mounts, read_mounts());
    std::set<int> on_base;
    for (auto const& m : mounts)
        if (m.device == base) on_base.insert(m.id);
    for (auto const& m : mounts) {
        // Mounted on a folder of it, whatever it is, or made of it.
        bool const child = on_base.contains(m.parent);
        if (child) on_base.insert(m.id);
        if (m.device != base && (child || found.devices.contains(m.device))) found.mounts.push_back(m);
    }
    return found;
}

result<unstacked> take_down(stack const& what) {
    unstacked done;
    std::optional<error> first;
    auto note = [&](std::string text) {
        auto failed = fail_errno(std::move(text), errc::device_held);
        if (!first) first = std::move(failed).error();
    };
    for (auto const& path : what.swaps)
        if (::swapoff(path.c_str()) == 0) ++done.swaps;
        else note("swapoff " + path);
    for (auto const& m : what.mounts | std::views::reverse) {
        // A FUSE server that is stopped answers nothing: the force flag cuts the connection (fuse.rst).
        if (m.type.starts_with("fuse")) (void)::umount2(m.target.c_str(), MNT_FORCE | UMOUNT_NOFOLLOW);
        if (::umount2(m.target.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0 || errno == EINVAL) ++done.mounts;
        else note("unmount " + m.target);
    }
    for (auto const& node : what.loops) {
        auto const fd = open_file(node, O_RDWR);
        if (fd && (::ioctl(fd->get(), LOOP_CLR_FD, 0) == 0 || errno == ENXIO)) ++done.loops;
        else note("detach " + node);
    }
    if (first) return std::unexpected(*std::move(first));
    return done;
}

}  // namespace scratchd
