#include "cleanup/holders.hpp"

#include "agent/base/file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <map>
#include <optional>
#include <sstream>

namespace scratchd {
namespace {

namespace fs = std::filesystem;

std::string link_text(fs::path const& link) {
    std::error_code ec;
    auto const target = fs::read_symlink(link, ec);
    return ec ? "" : target.string();
}

// The mount of an open file, from proc(5) fdinfo; -1 when it cannot be read.
int fdinfo_mount(fs::path const& file) {
    auto const text = read_file(file, 65536);
    auto const at = text ? text->find("mnt_id:") : std::string::npos;
    if (at == std::string::npos) return -1;
    int id = -1;
    auto const digits = text->find_first_not_of(" \t", at + 7);
    if (digits != std::string::npos) std::from_chars(text->data() + digits, text->data() + text->size(), id);
    return id;
}

// Asks the kernel without asking the file's server: cached attributes do for a device number.
std::optional<dev_t> device_of(fs::path const& link) {
    struct statx found{};
    if (::statx(AT_FDCWD, link.c_str(), AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, STATX_INO, &found) != 0)
        return std::nullopt;
    return makedev(found.stx_dev_major, found.stx_dev_minor);
}

// A path on NFS, CIFS or FUSE must not be looked up at all: a dead server blocks even that.
bool may_block(std::string const& path, std::vector<mount_entry> const& mounts) {
    mount_entry const* best = nullptr;
    for (auto const& m : mounts) {
        bool const below =
            path == m.target || m.target == "/" || (path.starts_with(m.target) && path[m.target.size()] == '/');
        if (below && (best == nullptr || m.target.size() >= best->target.size())) best = &m;
    }
    return best != nullptr && (best->type.starts_with("nfs") || best->type.starts_with("fuse") ||
                               best->type == "cifs" || best->type == "9p" || best->type == "ceph");
}

class scan {
public:
    scan(std::set<dev_t> const& devices, namespace_mounts namespaces)
        : devices_(devices), home_(namespace_name("/proc/self/ns/mnt")), namespaces_(std::move(namespaces)) {
        for (auto const& [name, mounts] : namespaces_)
            for (auto const& m : mounts) devices_by_mount_.emplace(m.id, m.device);
    }

    std::vector<holder> run() {
        for (auto const pid : all_processes()) {
            if (pid == 1 || pid == ::getpid()) continue;
            auto const process = read_process(pid);
            if (!process || process->kernel_thread) continue;
            for (auto const& folder : task_folders(pid))
                if (look_at(*process, folder)) break;
        }
        return std::move(found_);
    }

private:
    [[nodiscard]] bool holds(std::vector<mount_entry> const& mounts) const {
        return std::ranges::any_of(mounts, [&](auto const& m) { return devices_.contains(m.device); });
    }

    bool look_at(process_info const& process, fs::path const& folder) {
        auto const ns = folder / "ns/mnt";
        auto const name = namespace_name(ns);
        auto const& mounts = mounts_of(name, folder);
        auto add = [&](hold how, std::string what, fs::path where = {}) {
            found_.push_back({process, how, std::move(what), std::move(where)});
            return true;
        };
        if (auto what = open_file_on(folder, mounts); !what.empty()) return add(hold::file, std::move(what));
        if (auto what = link_on(folder, mounts); !what.empty()) return add(hold::file, std::move(what));
        if (mapped(folder)) return add(hold::file, "memory map");
        if (name != home_ && holds(mounts)) return add(hold::mount, "mount namespace " + name, ns);
        auto [what, where] = kept_namespace(folder);
        return !what.empty() && add(hold::name_space, std::move(what), std::move(where));
    }

    // A thread can live in a mount namespace where no process does.
    std::vector<mount_entry> const& mounts_of(std::string const& name, fs::path const& folder) {
        static std::vector<mount_entry> const none;
        auto space = namespaces_.find(name);
        if (space == namespaces_.end() && !name.empty())
            if (auto mounts = read_mounts(folder / "mountinfo")) {
                space = namespaces_.emplace(name, *std::move(mounts)).first;
                for (auto const& m : space->second) devices_by_mount_.emplace(m.id, m.device);
            }
        return space != namespaces_.end() ? space->second : none;
    }

    [[nodiscard]] std::string open_file_on(fs::path const& folder, std::vector<mount_entry> const& mounts) const {
        std::error_code ec;
        for (auto it = fs::directory_iterator(folder / "fd", ec); !ec && it != fs::directory_iterator();
             it.increment(ec)) {
            auto const number = it->path().filename();
            std::optional<dev_t> device;
            if (auto const known = devices_by_mount_.find(fdinfo_mount(folder / "fdinfo" / number));
                known != devices_by_mount_.end())
                device = known->second;
            else if (!may_block(link_text(it->path()), mounts)) device = device_of(it->path());
            if (device && devices_.contains(*device)) return "fd " + number.string();
        }
        return "";
    }

    [[nodiscard]] std::string link_on(fs::path const& folder, std::vector<mount_entry> const& mounts) const {
        for (char const* name : {"cwd", "root", "exe"}) {
            if (may_block(link_text(folder / name), mounts)) continue;
            auto const device = device_of(folder / name);
            if (device && devices_.contains(*device)) return name;
        }
        return "";
    }

    [[nodiscard]] bool mapped(fs::path const& folder) const {
        auto const text = read_file(folder / "maps", 64U << 20U);
        if (!text) return false;
        std::istringstream lines(*text);
        for (std::string line; std::getline(lines, line);) {
            // address perms offset major:minor inode path, the numbers in hexadecimal (proc(5))
            unsigned hi = 0;
            unsigned lo = 0;
            if (std::sscanf(line.c_str(), "%*s %*s %*s %x:%x", &hi, &lo) == 2 && devices_.contains(makedev(hi, lo)))
                return true;
        }
        return false;
    }

    // A mount namespace that nobody lives in any more, but a descriptor keeps (threat model F2).
    std::pair<std::string, fs::path> kept_namespace(fs::path const& folder) {
        std::error_code ec;
        for (auto it = fs::directory_iterator(folder / "fd", ec); !ec && it != fs::directory_iterator();
             it.increment(ec)) {
            auto const name = namespace_name(it->path());
            if (name.empty() || name == home_) continue;
            auto known = namespaces_.find(name);
            if (known == namespaces_.end()) {
                auto mounts = mounts_inside(it->path());
                if (!mounts) continue;
                known = namespaces_.emplace(name, *std::move(mounts)).first;
            }
            if (holds(known->second))
                return {fmt::format("fd {} of mount namespace {}", it->path().filename().string(), name), it->path()};
        }
        return {};
    }

    std::set<dev_t> const& devices_;
    std::string home_;
    namespace_mounts namespaces_;
    std::map<int, dev_t> devices_by_mount_;  // mount ids are unique over all namespaces
    std::vector<holder> found_;
};

}  // namespace

std::vector<holder> find_holders(std::set<dev_t> const& devices, namespace_mounts namespaces) {
    return scan(devices, std::move(namespaces)).run();
}

}  // namespace scratchd
