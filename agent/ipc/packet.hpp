// One packet of a SOCK_SEQPACKET socket with the descriptors that came with it: what the two daemons say to each other.
//
// Sources: unix(7) SCM_RIGHTS, recvmsg(2). A packet is whole or not there at all.
#pragma once

#include "agent/base/error.hpp"
#include "agent/base/handle.hpp"

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace scratchd::ipc {

inline constexpr std::size_t largest_packet = 65536;
inline constexpr std::size_t most_descriptors = 128;  // the kernel takes 253

struct packet {
    std::string bytes;
    std::vector<unique_fd> fds;
};

// Never blocks: a peer that does not read is an error. The descriptors stay the caller's.
result<> send_packet(int socket, std::string_view bytes, std::span<int const> fds = {});

// The next packet, nothing when none is there yet. The end of the connection is broker_unreachable; a packet that is
// longer, or has more descriptors, is bad_request.
result<std::optional<packet>> receive_packet(int socket);

}  // namespace scratchd::ipc
