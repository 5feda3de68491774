#include "agent/ctl/session.hpp"

#include "agent/api/catalog.hpp"
#include "agent/api/codec.hpp"
#include "agent/ctl/progress.hpp"

#include <fmt/format.h>
#include <cstdio>

namespace scratchd::ctl {

result<std::string> ask(session const& s, ipc::call const& what, std::string const& busy_word) {
    progress_line const shown(s.socket, busy_word);
    SCRATCHD_TRY(auto reply, ipc::send(s.socket, what));
    if (reply.status < 300) return std::move(reply.body);
    if (reply.status == 413) return fail(errc::bad_request, "the request is too large");
    if (!reply.content_type.starts_with("application/problem+json"))
        return fail(errc::bad_reply, fmt::format("status {}: {}", reply.status, reply.body.substr(0, 200)));
    SCRATCHD_TRY(auto const problem, api::decode<api::problem>(reply.body));
    return std::unexpected(api::from_problem(problem));
}

exit_code complain(session const& s, error const& e) {
    auto const text = s.json ? api::encode(api::make_problem(e)) : full_text(e) + "\n";
    std::fputs(text.c_str(), stderr);
    return explain(e.code).exit;
}

void print(std::string const& text) {
    std::fputs(text.c_str(), stdout);
}

std::string encode_segment(std::string const& text) {
    std::string out;
    for (unsigned char const c : text)
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_')
            out += static_cast<char>(c);
        else out += fmt::format("%{:02X}", c);
    return out;
}

}  // namespace scratchd::ctl
