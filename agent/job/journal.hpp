// The node's write-ahead journal: a snapshot a line, each authenticated, each on the disk before what it announces.
//
// One file, STATE/journal. A line is a JSON object with its HMAC; a torn last line is what a crash leaves and is
// dropped: what it announced was never begun. Anything else that does not verify is journal_broken, and the caller
// treats the node as unknown. Only this boot's and this machine's own lines count.
#pragma once

#include "agent/base/error.hpp"
#include "agent/base/handle.hpp"
#include "agent/job/identity.hpp"
#include "agent/job/snapshot.hpp"

#include <filesystem>
#include <functional>
#include <optional>

namespace scratchd {

class journal {
public:
    // Opens or makes it. `identity` must outlive it.
    static result<journal> open(std::filesystem::path const& state, node_identity const& identity);

    // The newest snapshot; nothing on a new node.
    result<std::optional<snapshot>> last() const;

    // Puts a journal that does not verify aside as STATE/journal.broken and starts an empty one.
    result<> set_aside();

    // Appends and syncs. The serial is set here. When this fails, what it announces must not be done, unless it
    // destroys.
    result<> write(snapshot& next);

private:
    journal(std::filesystem::path path, node_identity const& identity) : path_(std::move(path)), identity_(&identity) {}
    result<std::string> seal(snapshot const& s) const;
    result<snapshot> unseal(std::string_view line) const;

    std::filesystem::path path_;
    node_identity const* identity_;
    unique_fd file_;
    std::uint64_t serial_ = 0;
    std::size_t bytes_ = 0;
};

}  // namespace scratchd
