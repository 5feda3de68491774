// docker-credential-scratchd: what docker, podman and skopeo ask for the login to a registry.
//
// The protocol (docker-credential-helpers, client/command.go): one verb as argument, the server on standard input,
// answers and errors alike on standard output, exit 1 for an error. It only reads: logins come with the job.
#include "agent/base/version.hpp"
#include "agent/ipc/frame_client.hpp"
#include "agent/ipc/job_path.hpp"

#include <unistd.h>
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {
using namespace scratchd;

// Clients compare this text: with it they go on without a login.
constexpr char const* not_found = "credentials not found in native keychain";
constexpr auto patience = std::chrono::seconds(10);

int give_up(std::string const& words) {
    (void)std::printf("%s\n", words.c_str());
    return 1;
}

int explain(error const& e) {
    return give_up(code_text(e.code) + " " + e.message());
}

std::string_view trimmed(std::string_view text) {
    constexpr std::string_view blank = " \t\r\n";
    auto const first = text.find_first_not_of(blank);
    return first == std::string_view::npos ? "" : text.substr(first, text.find_last_not_of(blank) - first + 1);
}

// A text member of the broker's problem+json. Its characters are taken as they are escaped, but for the quote.
std::string member(std::string_view json, std::string_view name) {
    auto const key = '"' + std::string(name) + '"';
    auto const at = json.find(key);
    auto const open = at == std::string_view::npos ? at : json.find('"', at + key.size());
    std::string out;
    for (auto i = open; i != std::string_view::npos && ++i < json.size() && json[i] != '"'; out += json[i])
        if (json[i] == '\\' && i + 1 < json.size()) ++i;
    return out;
}

bool write_all(std::span<std::byte const> bytes) {
    while (!bytes.empty()) {
        auto const sent = ::write(STDOUT_FILENO, bytes.data(), bytes.size());
        if (sent <= 0) return false;
        bytes = bytes.subspan(static_cast<std::size_t>(sent));
    }
    return true;
}

result<secret> ask(std::string const& request) {
    auto const until = deadline::in(patience);
    SCRATCHD_TRY(auto const path,
                 ipc::find_job_socket({std::getenv("DOCKER_CONFIG"), std::getenv("SCRATCHD_JOB_DIR")}));
    SCRATCHD_TRY(auto broker, ipc::frame_client::connect(path, until));
    return broker.ask(std::as_bytes(std::span(request)), until);
}

int pass_on(std::string const& request) {
    auto const reply = ask(request);
    if (!reply) return explain(reply.error());
    auto const payload = reply->bytes().subspan(1);
    if (reply->bytes().front() == std::byte{0}) return write_all(payload) ? 0 : 1;
    std::string_view const problem(reinterpret_cast<char const*>(payload.data()), payload.size());
    auto const code = member(problem, "code");
    if (code == code_text(errc::credential_unknown)) return give_up(not_found);
    return give_up(code + " " + member(problem, "title") + ": " + member(problem, "detail"));
}

int get() {
    std::array<char, 4096> input{};
    auto const size = std::fread(input.data(), 1, input.size(), stdin);
    auto const server = trimmed({input.data(), size});
    if (server.empty()) return give_up("no credentials server URL");
    // No registry's name has any other character, and these need no escape in JSON.
    auto const is_plain = [](char c) { return c > ' ' && c < '\x7f' && c != '"' && c != '\\'; };
    if (server.size() > 255 || !std::ranges::all_of(server, is_plain)) return give_up(not_found);
    return pass_on(R"({"op":"docker","server":")" + std::string(server) + "\"}");
}

}  // namespace

int main(int argc, char** argv) {
    std::string_view const verb = argc == 2 ? argv[1] : "";
    if (verb == "get") return get();
    if (verb == "list") return pass_on(R"({"op":"docker-list"})");
    if (verb == "store" || verb == "erase")
        return give_up("read-only credential helper: scratchd delivers logins with the job");
    if (verb == "version") {
        (void)std::printf("docker-credential-scratchd (scratchd) %s\n", std::string(version).c_str());
        return 0;
    }
    return give_up("usage: docker-credential-scratchd get|list|version");
}
