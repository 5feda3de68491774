// What every command of scratchctl is given, and how it ends.
#pragma once

#include "agent/api/exit_code.hpp"
#include "agent/base/error.hpp"
#include "agent/ipc/http_client.hpp"

#include <filesystem>
#include <string>

namespace scratchd::ctl {

struct session {
    std::filesystem::path socket = "/run/scratchd/control.sock";
    std::filesystem::path status_file = "/run/scratchd/status.json";
    bool json = false;
};

// Sends a request; a problem+json answer becomes its error. `busy_word` is shown with the daemon's progress while it
// takes long and standard error is a terminal; empty shows nothing.
result<std::string> ask(session const& s, ipc::call const& what, std::string const& busy_word = "");

// Writes the error to standard error (as problem+json with --json) and returns its exit code.
exit_code complain(session const& s, error const& e);

// Data goes to standard output.
void print(std::string const& text);
// "GET /v1/jobs/<id>/end": a path segment, percent-encoded.
std::string encode_segment(std::string const& text);

}  // namespace scratchd::ctl
