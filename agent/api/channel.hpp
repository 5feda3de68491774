// What the two daemons say to each other: one JSON object a packet, descriptors beside it. docs/channel.md tells the
// conversation; no message ever carries a secret.
//
// root → broker: hello, grant, revoke, resync, source, no-source, file, committed
// broker → root: granted, refused, revoked, resynced, want-source, want-file, filled, withdraw
#pragma once

#include "agent/base/error.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace scratchd::api {

struct channel_message {
    std::string op;
    std::optional<std::uint64_t> serial;  // of the request, and of its answer
    std::optional<std::string> job;
    std::optional<std::string> name;  // of a credential's file, or of a file in [broker] directory
    std::optional<std::string> user;
    std::optional<std::uint32_t> uid;
    std::optional<std::uint32_t> gid;
    std::optional<std::vector<std::string>> jobs;
    std::optional<std::vector<std::string>> groups;
    std::optional<std::vector<std::string>> credentials;
    std::optional<std::vector<std::string>> files;  // one descriptor each, after those of the sockets
    std::optional<std::uint64_t> budget_ms;
    std::optional<int> code;  // of an errc
    std::optional<std::string> what;
};

std::string encode(channel_message const& m);
result<channel_message> decode_channel(std::string_view text);

// An error and back: a refusal keeps its code and its words.
channel_message refusal(std::uint64_t serial, std::string op, error const& why);
error refused(channel_message const& m);

}  // namespace scratchd::api
