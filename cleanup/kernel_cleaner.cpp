#include "agent/base/file.hpp"
#include "cleanup/cgroup.hpp"
#include "cleanup/cleaner.hpp"
#include "cleanup/holders.hpp"
#include "cleanup/remove_tree.hpp"
#include "cleanup/stacked.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

namespace scratchd {
namespace {

// Where a job's folder goes before it is removed: out of its user's reach.
constexpr char trash[] = ".scratchd-trash";

struct view {
    stack above;
    std::vector<holder> holders;
};

result<view> look(dev_t device) {
    auto namespaces = read_all_namespaces();
    SCRATCHD_TRY(auto above, survey_stack(device, namespaces));
    auto holders = find_holders(above.devices, std::move(namespaces));
    return view{std::move(above), std::move(holders)};
}

class kernel_cleaner final : public cleaner {
public:
    result<> kill_groups(std::vector<std::string> const& cgroups, residue& found, deadline until) override {
        // One that does not die must not keep the others alive.
        result<> first;
        for (auto const& group : cgroups) {
            auto done = kill_cgroup(group, until);
            if (done) found["processes"] += done->killed;
            else if (first) first = std::unexpected(std::move(done).error());
        }
        return first;
    }

    result<> kill_users(dev_t device, residue& found, deadline until) override {
        // Twice without a find: a process that forked while it was looked at shows in the second pass.
        for (int quiet = 0; quiet < 2;) {
            SCRATCHD_TRY(auto const now, look(device));
            std::size_t killed = 0;
            result<> first;
            for (auto const& h : now.holders) {
                if (h.how != hold::file) continue;
                if (kill_process(h.process, until)) ++killed;
                else if (first)
                    first =
                        fail(errc::processes_survive, fmt::format("{} holds scratch by {} and does not die (state {})",
                                                                  describe(h.process), h.what, h.process.state));
            }
            found["holders"] += killed;
            if (!first) return first;
            quiet = killed == 0 ? quiet + 1 : 0;
            if (until.passed())
                return fail(errc::processes_survive, "new processes take hold of scratch faster than they are killed");
        }
        return {};
    }

    result<> unstack(dev_t device, residue& found) override {
        SCRATCHD_TRY(auto const above, survey_stack(device, read_all_namespaces()));
        SCRATCHD_TRY(auto const done, take_down(above));
        found["swaps"] += done.swaps;
        found["mounts"] += done.mounts;
        found["loops"] += done.loops;
        return {};
    }

    result<> clear_namespaces(dev_t device, residue& found, deadline until) override {
        SCRATCHD_TRY(auto const now, look(device));
        result<> first;
        for (auto const& h : now.holders) {
            // A file's holder shows here when something was mounted over the place where it stands.
            ++found[h.how == hold::file ? "holders" : "namespaces"];
            if (h.how != hold::file && unmount_inside(h.ns, now.above.devices)) continue;
            if (!kill_process(h.process, until) && first)
                first = fail(errc::processes_survive,
                             fmt::format("{} keeps scratch by {} and does not die", describe(h.process), h.what));
        }
        return first;
    }

    std::vector<std::string> name_holders(dev_t device) override {
        std::vector<std::string> names;
        if (auto now = look(device))
            for (auto const& h : now->holders) names.push_back(fmt::format("{} by {}", describe(h.process), h.what));
        return names;
    }

    result<std::size_t> remove_folder(int root_fd, std::string const& name, deadline until) override {
        if (::mkdirat(root_fd, trash, 0700) != 0 && errno != EEXIST) return fail_errno("make the trash folder");
        unique_fd const bin(::openat(root_fd, trash, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        if (!bin) return fail_errno("open the trash folder");
        if (::renameat(root_fd, name.c_str(), bin.get(), name.c_str()) != 0 && errno != ENOENT)
            return fail_errno("move " + name + " away");
        return remove_tree(bin.get(), name, until);
    }
};

}  // namespace

std::unique_ptr<cleaner> make_kernel_cleaner() {
    return std::make_unique<kernel_cleaner>();
}

}  // namespace scratchd
