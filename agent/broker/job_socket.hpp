// A job's credential socket, for the docker helper and scratchctl.
//
// Frames (frame_server.hpp). Request: {"op":"get","name":N} | {"op":"docker","server":S} | {"op":"docker-list"} |
// {"op":"list"}. Answer: one byte, then bytes:
//   0  get: the value as it is · docker: the helper's whole JSON document · docker-list: {"server":"username"}
//      · list: [{"name","kind","available"}]
//   1  what went wrong: problem+json (RFC 9457, agent/api/types.hpp). credential_unknown also where another job has
//      such a credential: a job learns nothing of what was not granted to it.
#pragma once

#include "agent/broker/source.hpp"
#include "agent/ipc/frame_server.hpp"

#include <functional>
#include <optional>

namespace scratchd::broker {

// Requests are short; whoever sends more is up to something.
inline constexpr ipc::frame_limits job_socket_limits{.frame_bytes = 4096, .buffer_bytes = 64U * 8192U};

inline constexpr std::byte reply_ok{0};
inline constexpr std::byte reply_problem{1};

// One request for a value and what became of it, for the audit log.
struct job_event {
    std::string op;
    std::string credential;  // empty: none matched
    std::string asked;       // name or server as the caller wrote it, at most 255 bytes
    std::optional<errc> problem;
};
using job_audit = std::function<void(ipc::peer const&, job_event const&)>;

// One request's payload to its answer's. Pure but for `source`.
result<secret> answer_job(job_source const& source, std::span<std::byte const> request,
                          std::function<void(job_event const&)> const& audit = {});

// `open` of a frame_service. `source` outlives the server.
std::function<std::unique_ptr<ipc::frame_session>(ipc::peer const&)> job_sessions(job_source const& source,
                                                                                  job_audit audit = {});

}  // namespace scratchd::broker
