#include "agent/broker/serve.hpp"

#include "agent/base/log.hpp"
#include "agent/broker/job_socket.hpp"
#include "agent/broker/key_ring.hpp"
#include "agent/broker/ssh_agent.hpp"
#include "agent/ipc/frame_server.hpp"
#include "agent/ipc/peer.hpp"

namespace scratchd::broker {
namespace {

void log_refused(std::string const& job, char const* socket, ipc::peer const& who) {
    log::warn("credential.refused",
              {{"job", job}, {"socket", socket}, {"uid", who.uid}, {"pid", who.pid}, {"program", who.program}});
}

void log_asked(std::string const& job, ipc::peer const& who, job_event const& event) {
    if (event.op == "list" || event.op == "docker-list") return;
    auto const line = {log::field{"job", job},
                       {"op", event.op},
                       {"credential", event.credential},
                       {"asked", event.asked},
                       {"uid", who.uid},
                       {"pid", who.pid},
                       {"program", ipc::program_of(who.pid)},
                       {"code", event.problem ? code_text(*event.problem) : ""}};
    log::write(event.problem ? log::level::warn : log::level::info, "credential.asked", line);
}

void log_signature(std::string const& job, ipc::peer const& who, agent_event const& event) {
    auto const line = {log::field{"job", job},
                       {"credential", event.credential},
                       {"login", event.user},
                       {"host", event.host},
                       {"uid", who.uid},
                       {"pid", who.pid},
                       {"program", ipc::program_of(who.pid)},
                       {"refused", event.refusal}};
    log::write(event.refusal.empty() ? log::level::info : log::level::warn, "ssh.signature", line);
}

// What serves one job; members end before what they refer to.
struct job_servers final : job_service {
    job_servers(ipc::loop& on, unique_fd requests, unique_fd agent, grant const& of)
        : keys(of,
               [job = of.job()](std::string const& credential, error const& why) {
                   log::error("ssh.no-key", {{"job", job}, {"credential", credential}, {"reason", why.message()}});
               }),
          request_server(
              on, std::move(requests),
              {{of.uid()},
               job_sessions(of, [job = of.job()](auto const& who, auto const& e) { log_asked(job, who, e); }),
               [job = of.job()](auto const& who) { log_refused(job, "credential.sock", who); }},
              job_socket_limits),
          agent_server(on, std::move(agent),
                       {{of.uid()},
                        ssh_agent_sessions(
                            keys, [job = of.job()](auto const& who, auto const& e) { log_signature(job, who, e); }),
                        [job = of.job()](auto const& who) { log_refused(job, "ssh-agent.sock", who); }}) {}

    void changed() override { (void)keys.refresh(); }

    key_ring keys;
    ipc::frame_server request_server;
    ipc::frame_server agent_server;
};

}  // namespace

serve_job make_job_servers(ipc::loop& on) {
    return [&on](unique_fd requests, unique_fd agent, grant const& of) -> std::unique_ptr<job_service> {
        return std::make_unique<job_servers>(on, std::move(requests), std::move(agent), of);
    };
}

unit_service make_unit_service(grants& from, std::chrono::milliseconds budget) {
    return {[&from, budget](unit_request asked) {
                return from.for_unit(std::move(asked.unit), std::move(asked.credential), deadline::in(budget));
            },
            [](ipc::peer const& who, std::optional<unit_request> const& asked, error const& why) {
                log::warn("unit.refused", {{"unit", asked ? asked->unit : ""},
                                           {"credential", asked ? asked->credential : ""},
                                           {"uid", who.uid},
                                           {"pid", who.pid},
                                           {"program", who.program},
                                           {"code", code_text(why.code)},
                                           {"reason", why.message()}});
            },
            [](ipc::peer const& who, unit_request const& asked) {
                log::info("unit.served", {{"unit", asked.unit}, {"credential", asked.credential}, {"pid", who.pid}});
            }};
}

}  // namespace scratchd::broker
