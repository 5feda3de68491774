#include "agent/broker/app.hpp"

#include "agent/api/catalog.hpp"
#include "agent/base/log.hpp"
#include "agent/base/notify.hpp"
#include "agent/broker/conversation.hpp"
#include "agent/broker/serve.hpp"
#include "agent/broker/source_reader.hpp"
#include "agent/broker/wipe_on_free.hpp"
#include "agent/config/parse.hpp"
#include "agent/ipc/listen.hpp"
#include "agent/vault/net_transport.hpp"
#include "agent/vault/providers.hpp"

#include <csignal>
#include <cstdio>

namespace scratchd::broker {
namespace {

exit_code give_up(error const& why) {
    std::fputs((full_text(why) + "\n").c_str(), stderr);
    return explain(why.code).exit;
}

result<std::unique_ptr<vault::provider>> make_provider(config const& c, vault::transport& net, vault::timing& time,
                                                       vault::source_reader read) {
    if (c.broker.provider == "azure-key-vault")
        return vault::make_azure_provider(c.broker, c.identities, net, time, std::move(read));
    return vault::make_directory_provider(std::move(read));
}

}  // namespace

exit_code run_broker(app_options const& options) {
    if (!wipe_what_openssl_frees()) return give_up({errc::internal, 0, "OpenSSL was used too early"});
    if (auto guarded = protect_process_memory(); !guarded) return give_up(guarded.error());
    auto settings = load_config(options.config_file);
    if (!settings && settings.error().code == errc::config_missing && !options.config_given) settings = config{};
    if (!settings) return give_up(settings.error());

    ipc::loop loop;
    auto const time = vault::make_timing();
    auto const net = vault::make_net_transport({settings->broker.ca_file});
    if (!net) return give_up(net.error());
    // Whoever connects must be root, which no mode keeps out; the mode keeps others from trying.
    auto for_units = ipc::listen_at(options.runtime / "credential.sock", {.mode = 0600});
    if (!for_units) return give_up(for_units.error());
    // Last: who reaches it finds the other.
    auto for_root = ipc::listen_at(options.runtime / "broker.sock", {.mode = 0600, .type = SOCK_SEQPACKET});
    if (!for_root) return give_up(for_root.error());

    std::unique_ptr<conversation> talk;
    root_link root(loop, *std::move(for_root),
                   {[&talk](root_packet p) { talk->asked(std::move(p)); }, [&talk] { talk->lost(); }});
    auto const from = make_provider(*settings, **net, *time, make_source_reader(root));
    if (!from) return give_up(from.error());
    store values(**from, *time, settings->broker);
    grants given(*settings, values, *time, root, make_job_servers(loop));
    talk = std::make_unique<conversation>(loop, *settings, given, root);
    unit_server const units(loop, *std::move(for_units), make_unit_service(given, settings->broker.budget));

    loop.on_signals({SIGTERM, SIGINT}, [&](int number) {
        log::info("broker.stopping", {{"signal", number}});
        notify_stopping();
        given.keep_only({});
        loop.stop();
    });
    loop.on_signals({SIGHUP}, [](int) { log::info("broker.hangup-ignored"); });
    loop.post([&] {
        log::info("broker.started",
                  {{"provider", settings->broker.provider}, {"credentials", settings->credentials.size()}});
        notify_ready();
    });
    loop.run();
    return exit_code::done;
}

}  // namespace scratchd::broker
