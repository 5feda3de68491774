#include "agent/daemon/app.hpp"

#include "agent/api/catalog.hpp"
#include "agent/api/codec.hpp"
#include "agent/base/file.hpp"
#include "agent/base/log.hpp"
#include "agent/base/notify.hpp"
#include "agent/base/version.hpp"
#include "agent/config/parse.hpp"
#include "agent/daemon/broker_link.hpp"
#include "agent/daemon/routes.hpp"
#include "agent/daemon/worker.hpp"
#include "agent/ipc/http_server.hpp"
#include "agent/ipc/listen.hpp"
#include "dmcrypt/kernel_volume.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <csignal>
#include <cstdio>

namespace scratchd {
namespace {

constexpr mode_t socket_mode = 0660;
constexpr auto settle_every = std::chrono::milliseconds(100);

exit_code give_up(error const& why) {
    std::fputs((full_text(why) + "\n").c_str(), stderr);
    return explain(why.code).exit;
}

std::unique_ptr<volume> real_volume(config const& c, std::string const& boot_id, std::vector<disk_facts> disks) {
    fs_options const fs{c.scratch.filesystem == "xfs" ? fs_type::xfs : fs_type::ext4, c.scratch.bytes_per_inode};
    return make_kernel_volume({c.scratch.mount, fs, std::move(disks), boot_id});
}

// Everybody may read it; it replaces itself whole.
void write_status_file(std::filesystem::path const& runtime, api::status const& now) {
    auto const written = replace_file(runtime / "status.json", api::encode(now), 0644);
    if (!written) log::warn("status.unwritten", {{"reason", written.error().message()}});
    notify_status(fmt::format("{}{}{}: {} job(s), hbi {}", now.state, now.reason.empty() ? "" : ": ", now.reason,
                              now.jobs.size(), now.hbi ? "on" : "off"));
}

}  // namespace

exit_code run_daemon(app_options const& options) {
    if (auto guarded = protect_process_memory(); !guarded) return give_up(guarded.error());
    auto settings = load_config(options.config_file);
    if (!settings && settings.error().code == errc::config_missing && !options.config_given) settings = config{};
    if (!settings) return give_up(settings.error());
    auto const boot_id = read_line("/proc/sys/kernel/random/boot_id");
    if (!boot_id) return give_up(boot_id.error());
    ::umask(0077);
    auto const& runtime = options.paths.runtime;
    if ((::mkdir(runtime.c_str(), 0755) != 0 && errno != EEXIST) || ::chmod(runtime.c_str(), 0755) != 0)
        return give_up(fail_errno("make " + runtime.string()).error());

    ipc::loop loop;
    auto const cleaning = make_kernel_cleaner();
    broker_link credentials(loop, *settings, {options.paths.runtime / "jobs", options.broker});
    control_api* published_to = nullptr;
    auto inside = service::open(
        *settings, options.paths,
        {[&](config const& c, std::vector<disk_facts> disks) { return real_volume(c, *boot_id, std::move(disks)); },
         choose_disks, *cleaning, credentials,
         [&](api::status now) {
             write_status_file(options.paths.runtime, now);
             loop.post([&published_to, now = std::move(now)]() mutable { published_to->publish(std::move(now)); });
         },
         *boot_id});
    if (!inside) return give_up(inside.error());
    auto listening = ipc::listen_at(options.paths.runtime / "control.sock",
                                    {.mode = socket_mode, .group = ipc::group_id("scratchd")});
    if (!listening) return give_up(listening.error());

    service& node = **inside;
    worker disk;  // joined before what it works on goes
    control_api api(loop, disk, node, credentials);
    published_to = &api;
    api.publish({.state = "quarantine",
                 .reason = "starting",
                 .step = "",
                 .hbi = settings->workspace.hbi,
                 .version = std::string(version)});
    ipc::http_server const server(loop, *std::move(listening), {}, [&](ipc::request asked, ipc::reply back) {
        api.answer(std::move(asked), std::move(back));
    });

    loop.on_signals({SIGTERM, SIGINT}, [&](int number) {
        log::info("daemon.stopping", {{"signal", number}});
        notify_stopping();
        disk.post([&] {
            if (auto stopped = node.stop(); !stopped)
                log::error("daemon.stop-failed", {{"reason", stopped.error().message()}});
            loop.stop();
        });
    });
    // A hangup is no reason to leave a node without its daemon.
    loop.on_signals({SIGHUP}, [](int) { log::info("daemon.hangup-ignored"); });
    loop.every(settle_every, [&] {
        if (!api.now().pending.empty()) disk.post([&] { (void)node.settle(); });
    });
    disk.post([&] {
        node.start();
        notify_ready();
    });
    loop.run();
    return exit_code::done;
}

}  // namespace scratchd
