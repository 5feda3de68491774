// Runs a program by absolute path: no shell, a clean environment, a deadline, captured output.
#pragma once

#include "agent/base/deadline.hpp"
#include "agent/base/error.hpp"

#include <filesystem>
#include <string>
#include <vector>

namespace scratchd {

struct program_outcome {
    int status = 0;      // exit code, or 128 + the signal that ended it
    std::string output;  // standard output and error, at most 64 KiB
};

// Starts `path` with `arguments` (argv[0] is added) in a process group of its own, with only PATH and LC_ALL set and
// standard input from /dev/null. When the deadline passes, the whole group is killed and the error is timed_out.
// A missing program is program_missing. A non-zero exit is not an error here: the caller knows what it means.
result<program_outcome> run_program(std::filesystem::path const& path, std::vector<std::string> arguments,
                                    deadline until);

}  // namespace scratchd
