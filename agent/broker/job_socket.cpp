#include "agent/broker/job_socket.hpp"

#include "agent/api/codec.hpp"
#include "agent/base/fields.hpp"
#include "agent/broker/docker_login.hpp"
#include "agent/broker/registry_name.hpp"

#include <algorithm>
#include <cstring>

namespace scratchd::broker {
namespace {

// A registry's own login after an exchange (azure: docs of acr login).
constexpr std::string_view exchange_user = "00000000-0000-0000-0000-000000000000";
constexpr json::limits request_limits{4096, 4};
constexpr std::size_t longest_asked = 255;

struct job_request {
    std::string op;
    std::optional<std::string> name;
    std::optional<std::string> server;
};
template <class A>
void fields(A& a, job_request& r) {
    a("op", r.op);
    a("name", r.name);
    a("server", r.server);
}

std::string_view username_of(credential_config const& c) {
    return c.exchange ? exchange_user : std::string_view(c.username);
}

result<secret> reply(std::byte status, std::span<std::byte const> payload) {
    SCRATCHD_TRY(auto out, secret::make(payload.size() + 1));
    out.bytes().front() = status;
    if (!payload.empty()) std::memcpy(out.bytes().data() + 1, payload.data(), payload.size());
    return out;
}
result<secret> reply(std::byte status, std::string_view text) {
    return reply(status, std::as_bytes(std::span(text.data(), text.size())));
}

result<secret> get(job_source const& source, job_request const& wanted, job_event& event) {
    if (!wanted.name || wanted.server) return fail(errc::bad_request, "get needs a name");
    event.asked = wanted.name->substr(0, longest_asked);
    auto const all = source.granted();
    auto const found = std::ranges::find(all, *wanted.name, &credential_config::name);
    if (found != all.end() && found->kind == "ssh")
        return fail(errc::credential_denied, "a private key does not leave the broker: use it through SSH_AUTH_SOCK");
    SCRATCHD_TRY(auto const value, source.value(*wanted.name));
    event.credential = *wanted.name;
    return reply(reply_ok, value->bytes());
}

result<secret> docker(job_source const& source, job_request const& wanted, job_event& event) {
    if (!wanted.server || wanted.name) return fail(errc::bad_request, "docker needs a server");
    event.asked = wanted.server->substr(0, longest_asked);
    auto const key = registry_key(*wanted.server);
    for (auto const& c : source.granted()) {
        if (!key || c.kind != "registry" || registry_key(c.registry) != key) continue;
        event.credential = c.name;
        SCRATCHD_TRY(auto const value, source.value(c.name));
        SCRATCHD_TRY(auto const document, docker_login(*wanted.server, username_of(c), *value));
        return reply(reply_ok, document.bytes());
    }
    return fail(errc::credential_unknown, "no login for this registry was granted to the job");
}

std::string docker_list(job_source const& source) {
    boost::json::object all;
    for (auto const& c : source.granted())
        if (c.kind == "registry") all[c.registry] = username_of(c);
    return boost::json::serialize(all);
}

std::string list(job_source const& source) {
    boost::json::array all;
    for (auto const& c : source.granted())
        all.push_back({{"name", c.name}, {"kind", c.kind}, {"available", source.value(c.name).has_value()}});
    return boost::json::serialize(all);
}

result<secret> act(job_source const& source, std::span<std::byte const> request, job_event& event) {
    std::string_view const text(reinterpret_cast<char const*>(request.data()), request.size());
    SCRATCHD_TRY(auto const wanted, json::read_text<job_request>(text, request_limits));
    event.op = wanted.op.substr(0, longest_asked);
    if (wanted.op == "get") return get(source, wanted, event);
    if (wanted.op == "docker") return docker(source, wanted, event);
    if (wanted.op == "docker-list") return reply(reply_ok, docker_list(source));
    if (wanted.op == "list") return reply(reply_ok, list(source));
    return fail(errc::bad_request, "there is no such op");
}

class session final : public ipc::frame_session {
public:
    session(job_source const& source, ipc::peer who, job_audit audit)
        : source_(source), audit_([who = std::move(who), audit = std::move(audit)](job_event const& event) {
              if (audit) audit(who, event);
          }) {}

    result<std::span<std::byte const>> answer(std::span<std::byte const> frame) override {
        SCRATCHD_TRY(answer_, answer_job(source_, frame, audit_));
        return std::as_const(answer_).bytes();
    }
    void sent() override { answer_.clear(); }

private:
    job_source const& source_;
    std::function<void(job_event const&)> audit_;
    secret answer_;
};

}  // namespace

result<secret> answer_job(job_source const& source, std::span<std::byte const> request,
                          std::function<void(job_event const&)> const& audit) {
    job_event event;
    auto out = act(source, request, event);
    if (!out) event.problem = out.error().code;
    bool const is_value = event.op != "list" && event.op != "docker-list";
    if (audit && (is_value || event.problem)) audit(event);
    if (out) return out;
    return reply(reply_problem, api::encode(api::make_problem(out.error())));
}

std::function<std::unique_ptr<ipc::frame_session>(ipc::peer const&)> job_sessions(job_source const& source,
                                                                                  job_audit audit) {
    return [&source, audit = std::move(audit)](ipc::peer const& who) {
        return std::make_unique<session>(source, who, audit);
    };
}

}  // namespace scratchd::broker
