#include "agent/api/codec.hpp"

#include "agent/api/catalog.hpp"
#include "agent/base/fields.hpp"

#include <charconv>

namespace scratchd {

template <class A>
void fields(A& a, check& c) {
    a("name", c.name);
    a("ok", c.ok);
    a("detail", c.detail);
}

namespace api {

template <class A>
void fields(A& a, volume_view& v) {
    a("mapping", v.mapping);
    a("devices", v.devices);
    a("mount", v.mount);
    a("encrypted", v.encrypted);
    a("cipher", v.cipher);
    a("key_bits", v.key_bits);
    a("sector_size", v.sector_size);
    a("size_bytes", v.size_bytes);
    a("generation", v.generation);
}
template <class A>
void fields(A& a, job_view& v) {
    a("id", v.id);
    a("user", v.user);
    a("since", v.since);
    a("directory", v.directory);
    a("credentials", v.credentials);
}
template <class A>
void fields(A& a, last_wipe_view& v) {
    a("sequence", v.sequence);
    a("time", v.time);
    a("method", v.method);
    a("duration_seconds", v.duration_seconds);
    a("verified", v.verified);
}
template <class A>
void fields(A& a, status& v) {
    a("state", v.state);
    a("reason", v.reason);
    a("step", v.step);
    a("hbi", v.hbi);
    a("volume", v.volume);
    a("jobs", v.jobs);
    a("pending", v.pending);
    a("last_wipe", v.last_wipe);
    a("version", v.version);
}
template <class A>
void fields(A& a, disk_view& v) {
    a("name", v.name);
    a("device", v.device);
    a("size_bytes", v.size_bytes);
    a("model", v.model);
    a("serial", v.serial);
    a("chosen", v.chosen);
    a("why", v.why);
}
template <class A>
void fields(A& a, disk_list& v) {
    a("disks", v.disks);
}
template <class A>
void fields(A& a, job_list& v) {
    a("jobs", v.jobs);
}
template <class A>
void fields(A& a, begin_request& v) {
    a("id", v.id);
    a("user", v.user);
    a("credentials", v.credentials);
    a("cgroups", v.cgroups);
    a("timeout_seconds", v.timeout_seconds);
}
template <class A>
void fields(A& a, begin_reply& v) {
    a("id", v.id);
    a("directory", v.directory);
    a("generation", v.generation);
    a("env", v.env);
}
template <class A>
void fields(A& a, env_reply& v) {
    a("env", v.env);
}
template <class A>
void fields(A& a, end_request& v) {
    a("cgroups", v.cgroups);
    a("timeout_seconds", v.timeout_seconds);
}
template <class A>
void fields(A& a, end_reply& v) {
    a("id", v.id);
    a("known", v.known);
    a("sequence", v.sequence);
    a("generation", v.generation);
    a("duration_seconds", v.duration_seconds);
    a("checks", v.checks);
    a("residue", v.residue);
}
template <class A>
void fields(A& a, wipe_request& v) {
    a("method", v.method);
    a("dry_run", v.dry_run);
}
template <class A>
void fields(A& a, resync_reply& v) {
    a("complete", v.complete);
}
template <class A>
void fields(A& a, wipe_reply& v) {
    a("method", v.method);
    a("why", v.why);
    a("dry_run", v.dry_run);
    a("sequence", v.sequence);
    a("generation", v.generation);
    a("duration_seconds", v.duration_seconds);
    a("checks", v.checks);
}
template <class A>
void fields(A& a, report_line& v) {
    a("sequence", v.sequence);
    a("time", v.time);
    a("kind", v.kind);
    a("job", v.job);
    a("outcome", v.outcome);
    a("method", v.method);
    a("level", v.level);
    a("duration_seconds", v.duration_seconds);
}
template <class A>
void fields(A& a, report_list& v) {
    a("reports", v.reports);
}
template <class A>
void fields(A& a, problem& v) {
    a("type", v.type);
    a("title", v.title);
    a("status", v.status);
    a("detail", v.detail);
    a("code", v.code);
    a("disk", v.disk);
    a("next", v.next);
}

template <class T>
std::string encode(T const& value) {
    return json::pretty(json::write(value)) + "\n";
}
template <class T>
result<T> decode(std::string_view text) {
    return json::read_text<T>(text, {16U << 20U, 16});
}

#define SCRATCHD_API_TYPE(T)               \
    template std::string encode(T const&); \
    template result<T> decode(std::string_view);
SCRATCHD_API_TYPE(status)
SCRATCHD_API_TYPE(disk_list)
SCRATCHD_API_TYPE(job_list)
SCRATCHD_API_TYPE(begin_request)
SCRATCHD_API_TYPE(begin_reply)
SCRATCHD_API_TYPE(env_reply)
SCRATCHD_API_TYPE(end_request)
SCRATCHD_API_TYPE(end_reply)
SCRATCHD_API_TYPE(wipe_request)
SCRATCHD_API_TYPE(wipe_reply)
SCRATCHD_API_TYPE(resync_reply)
SCRATCHD_API_TYPE(report_list)
SCRATCHD_API_TYPE(problem)
#undef SCRATCHD_API_TYPE

problem make_problem(error const& e) {
    auto const& entry = explain(e.code);
    auto const code = code_text(e.code);
    return {"urn:scratchd:" + code,  std::string(entry.title), entry.http, e.message(), code,
            std::string(entry.disk), std::string(entry.next)};
}

error from_problem(problem const& p) {
    int number = 0;
    if (p.code.size() == 5 && p.code[0] == 'E')
        std::from_chars(p.code.data() + 1, p.code.data() + p.code.size(), number);
    return {number > 0 ? static_cast<errc>(number) : errc::bad_reply, 0, p.detail};
}

}  // namespace api
}  // namespace scratchd
