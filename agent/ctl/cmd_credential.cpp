#include "agent/api/codec.hpp"
#include "agent/base/fields.hpp"
#include "agent/ctl/commands.hpp"
#include "agent/ctl/table.hpp"
#include "agent/ipc/frame_client.hpp"
#include "agent/ipc/job_path.hpp"

#include <unistd.h>
#include <cerrno>
#include <CLI/CLI.hpp>
#include <cstdlib>
#include <memory>

namespace scratchd::ctl {
namespace {

constexpr auto patience = std::chrono::seconds(10);

struct credential_options {
    std::string job;
    std::string name;
    bool force = false;
};

struct credential_line {
    std::string name;
    std::string kind;
    bool available = false;
};
template <class A>
void fields(A& a, credential_line& c) {
    a("name", c.name);
    a("kind", c.kind);
    a("available", c.available);
}

result<std::string> socket_of(credential_options const& o) {
    if (o.job.empty()) {
        auto found = ipc::find_job_socket({nullptr, std::getenv("SCRATCHD_JOB_DIR")});
        if (!found && found.error().code == errc::job_unknown)
            return fail(errc::bad_request, "which job? Give --job, or run it where SCRATCHD_JOB_DIR is set");
        return found;
    }
    SCRATCHD_TRY(auto const job, job_id::parse(o.job));
    return ipc::job_socket(job);
}

// The whole answer, whose first byte says that it is one; a problem becomes its error.
result<secret> ask_broker(credential_options const& o, boost::json::object const& request) {
    auto const until = deadline::in(patience);
    SCRATCHD_TRY(auto const path, socket_of(o));
    SCRATCHD_TRY(auto broker, ipc::frame_client::connect(path, until));
    auto const text = boost::json::serialize(request);
    SCRATCHD_TRY(auto reply, broker.ask(std::as_bytes(std::span(text)), until));
    if (reply.bytes().front() == std::byte{0}) return reply;
    auto const words = reply.bytes().subspan(1);
    SCRATCHD_TRY(auto const problem,
                 api::decode<api::problem>({reinterpret_cast<char const*>(words.data()), words.size()}));
    return std::unexpected(api::from_problem(problem));
}

result<std::vector<credential_line>> read_list(secret const& reply) {
    std::string_view const text(reinterpret_cast<char const*>(reply.bytes().data()) + 1, reply.size() - 1);
    SCRATCHD_TRY(auto const value, json::parse(text, {1U << 20U, 4}));
    std::vector<credential_line> lines;
    if (!value.is_array()) return fail(errc::bad_reply, "a list of credentials was expected");
    for (auto const& item : value.get_array()) {
        SCRATCHD_TRY(auto line, json::read<credential_line>(item));
        lines.push_back(std::move(line));
    }
    return lines;
}

exit_code list(session const& s, credential_options const& o) {
    auto const reply = ask_broker(o, {{"op", "list"}});
    if (!reply) return complain(s, reply.error());
    auto const lines = read_list(*reply);
    if (!lines) return complain(s, {errc::bad_reply, 0, lines.error().what});
    if (s.json) {
        print(json::pretty({{"credentials", json::write(*lines)}}) + "\n");
        return exit_code::done;
    }
    std::vector<std::vector<std::string>> rows;
    for (auto const& l : *lines) rows.push_back({l.name, l.kind, l.available ? "yes" : "no"});
    print(table({{"NAME"}, {"KIND"}, {"AVAILABLE", false, true}}, rows));
    return exit_code::done;
}

exit_code get(session const& s, credential_options const& o) {
    if (::isatty(STDOUT_FILENO) == 1 && !o.force)
        return complain(s, {errc::bad_request, 0, "a secret is not shown on a terminal: redirect it, or give --force"});
    auto const reply = ask_broker(o, {{"op", "get"}, {"name", o.name}});
    if (!reply) return complain(s, reply.error());
    // Straight from locked memory: stdio would keep a copy in a buffer.
    for (auto rest = reply->bytes().subspan(1); !rest.empty();) {
        auto const sent = ::write(STDOUT_FILENO, rest.data(), rest.size());
        if (sent < 0 && errno != EINTR) return complain(s, fail_errno("write the credential").error());
        rest = rest.subspan(static_cast<std::size_t>(std::max<ssize_t>(sent, 0)));
    }
    return exit_code::done;
}

exit_code resync(session const& s) {
    auto const text = ask(s, {"POST", "/v1/credentials/resync", "", std::chrono::minutes(5)}, "credential resync");
    if (!text) return complain(s, text.error());
    if (s.json) print(*text);
    else print("every credential of the jobs that run was fetched anew\n");
    return exit_code::done;
}

}  // namespace

void add_credential(CLI::App& app, session const& s, action& run) {
    auto* const group = app.add_subcommand("credential", "what a job was granted");
    group->require_subcommand(1);
    auto const o = std::make_shared<credential_options>();
    auto const add_job_option = [&](CLI::App* to) {
        to->add_option("--job", o->job, "the job; default: the one this runs in");
    };

    auto* const l = group->add_subcommand("list", "the job's credentials, and whether each is there now");
    add_job_option(l);
    l->callback([&, o] { run = [&s, o] { return list(s, *o); }; });

    auto* const g = group->add_subcommand("get", "writes a credential to standard output, as it is");
    g->add_option("name", o->name, "its name")->required();
    g->add_flag("--force", o->force, "also if that is a terminal");
    add_job_option(g);
    g->callback([&, o] { run = [&s, o] { return get(s, *o); }; });

    auto* const r = group->add_subcommand("resync", "fetches what running jobs were granted anew, with new tokens");
    r->callback([&] { run = [&s] { return resync(s); }; });
}

}  // namespace scratchd::ctl
