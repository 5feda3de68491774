#include "dmcrypt/devmapper.hpp"

#include "agent/base/deadline.hpp"
#include "agent/base/handle.hpp"

#include <fmt/format.h>
#include <libdevmapper.h>
#include <sys/sysmacros.h>
#include <cerrno>
#include <thread>

namespace scratchd::dm {
namespace {

using task_ptr = c_ptr<dm_task, dm_task_destroy>;

constexpr auto udev_limit = std::chrono::seconds(5);

// libdevmapper prints to standard error by default; its callers here get errno instead.
void quiet(int, char const*, int, int, char const*, ...) {}

result<task_ptr> make_task(int type, std::string const& name) {
    dm_log_with_errno_init(&quiet);
    task_ptr task(dm_task_create(type));
    if (!task || (!name.empty() && dm_task_set_name(task.get(), name.c_str()) == 0))
        return fail(errc::kernel_lacks, "device-mapper task for " + name, errno);
    return task;
}

result<> run(dm_task* task, std::string const& what) {
    if (dm_task_run(task) == 1) return {};
    int const sys = dm_task_get_errno(task);
    return fail(sys == ENXIO || sys == ENODEV ? errc::disk_unknown : errc::io, "device-mapper: " + what, sys);
}

// Runs a task that makes udev events and waits until udev has handled them, but not for ever: a udev that hangs must
// not keep a key alive. The flags keep udev's probing rules off our devices, where they would hold them open.
result<> run_with_udev(dm_task* task, std::string const& what) {
    constexpr auto flags =
        DM_UDEV_DISABLE_SUBSYSTEM_RULES_FLAG | DM_UDEV_DISABLE_DISK_RULES_FLAG | DM_UDEV_DISABLE_OTHER_RULES_FLAG;
    std::uint32_t cookie = 0;
    if (dm_task_set_cookie(task, &cookie, flags) == 0) return fail(errc::io, "device-mapper: udev cookie", errno);
    auto done = run(task, what);
    auto const limit = deadline::in(udev_limit);
    // No cookie: no udev runs, and libdevmapper makes the nodes.
    for (int ready = 0; cookie != 0 && ready == 0;) {
        if (dm_udev_wait_immediate(cookie, &ready) == 0 || ready != 0) break;
        if (limit.passed()) (void)dm_udev_complete(cookie);  // the next look finds it ready
        else std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    dm_task_update_nodes();
    return done;
}

result<> load(int type, std::string const& name, std::string const& uuid, target const& what) {
    SCRATCHD_TRY(auto const task, make_task(type, name));
    if (!uuid.empty() && dm_task_set_uuid(task.get(), uuid.c_str()) == 0)
        return fail(errc::internal, "dm uuid " + uuid);
    if (dm_task_add_target(task.get(), what.start, what.length, what.type.c_str(), what.parameters.c_str()) == 0)
        return fail(errc::no_memory, "dm target for " + name);
    return type == DM_DEVICE_CREATE ? run_with_udev(task.get(), "create " + name) : run(task.get(), "load " + name);
}

}  // namespace

result<std::vector<std::string>> list(std::string_view prefix) {
    SCRATCHD_TRY(auto const task, make_task(DM_DEVICE_LIST, ""));
    SCRATCHD_CHECK(run(task.get(), "list"));
    std::vector<std::string> names;
    auto const* at = dm_task_get_names(task.get());
    if (at == nullptr || at->dev == 0) return names;
    for (;; at = reinterpret_cast<dm_names const*>(reinterpret_cast<char const*>(at) + at->next)) {
        if (std::string_view(at->name).starts_with(prefix)) names.emplace_back(at->name);
        if (at->next == 0) return names;
    }
}

result<status> query(std::string const& name) {
    SCRATCHD_TRY(auto const task, make_task(DM_DEVICE_INFO, name));
    SCRATCHD_CHECK(run(task.get(), "info " + name));
    dm_info info{};
    if (dm_task_get_info(task.get(), &info) == 0) return fail(errc::io, "device-mapper: info " + name);
    char const* const uuid = dm_task_get_uuid(task.get());
    return status{info.exists != 0,
                  info.suspended != 0,
                  info.deferred_remove != 0,
                  info.open_count,
                  makedev(info.major, info.minor),
                  uuid != nullptr ? uuid : ""};
}

result<std::vector<target>> table(std::string const& name) {
    SCRATCHD_TRY(auto const task, make_task(DM_DEVICE_TABLE, name));
    SCRATCHD_CHECK(run(task.get(), "table " + name));
    std::vector<target> all;
    void* next = nullptr;
    do {
        target one;
        char* type = nullptr;
        char* parameters = nullptr;
        next = dm_get_next_target(task.get(), next, &one.start, &one.length, &type, &parameters);
        if (type == nullptr) break;
        one.type = type;
        one.parameters = parameters != nullptr ? parameters : "";
        all.push_back(std::move(one));
    } while (next != nullptr);
    return all;
}

result<dev_t> create(std::string const& name, std::string const& uuid, target const& what) {
    SCRATCHD_CHECK(load(DM_DEVICE_CREATE, name, uuid, what));
    SCRATCHD_TRY(auto const made, query(name));
    return made.device;
}

result<> replace_by_error(std::string const& name) {
    SCRATCHD_TRY(auto const old, table(name));
    std::uint64_t length = 0;
    for (auto const& t : old) length += t.length;
    if (length == 0) return fail(errc::io, "device-mapper: " + name + " has no live table");
    SCRATCHD_CHECK(load(DM_DEVICE_RELOAD, name, "", {0, length, "error", ""}));
    for (int const type : {DM_DEVICE_SUSPEND, DM_DEVICE_RESUME}) {
        SCRATCHD_TRY(auto const task, make_task(type, name));
        // Waiting for writes to reach the disk, or for the file system to freeze, could block for ever.
        (void)dm_task_no_flush(task.get());
        (void)dm_task_skip_lockfs(task.get());
        if (type == DM_DEVICE_SUSPEND) SCRATCHD_CHECK(run(task.get(), "suspend " + name));
        else SCRATCHD_CHECK(run_with_udev(task.get(), "resume " + name));
    }
    return {};
}

result<> remove(std::string const& name) {
    SCRATCHD_TRY(auto const task, make_task(DM_DEVICE_REMOVE, name));
    return run_with_udev(task.get(), "remove " + name);
}

result<> remove_deferred(std::string const& name) {
    SCRATCHD_TRY(auto const task, make_task(DM_DEVICE_REMOVE, name));
    (void)dm_task_deferred_remove(task.get());
    return run_with_udev(task.get(), "remove " + name + " when it is closed");
}

}  // namespace scratchd::dm
