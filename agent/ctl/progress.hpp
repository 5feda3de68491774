// One line on the terminal that tells what the daemon is doing while a command waits for it.
#pragma once

#include <filesystem>
#include <stop_token>
#include <string>
#include <thread>

namespace scratchd::ctl {

// Shows itself after a moment, on standard error, only if that is a terminal; goes with its owner.
class progress_line {
public:
    progress_line(std::filesystem::path socket, std::string word);

private:
    std::jthread shower_;
};

}  // namespace scratchd::ctl
