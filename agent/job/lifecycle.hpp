// What the node may do next. Pure: a state and an event give a state and an action; nothing else decides.
#pragma once

#include "agent/base/error.hpp"

#include <cstdint>
#include <optional>
#include <string_view>

namespace scratchd {

// The words are those of `status --json`.
enum class node_state : std::uint8_t {
    quarantine,  // nothing is known yet, or there is nothing to work with: no job
    wiping,      // a volume is being ended and the next one made
    ready,       // proven: a fresh volume that no job has used
    leased,      // one job or several hold the volume
    failed       // something could not be proven: no job until a wipe succeeds
};

enum class node_event : std::uint8_t {
    started_adoptable,  // the daemon started and finds its volume and its leases as the journal has them
    started,            // the daemon started and finds anything else
    begin,              // a job wants the node
    end_last,           // the only job leaves
    end_one,            // one of several jobs leaves
    end_unknown,        // a job leaves that has no lease, and no other has one
    end_stranger,       // a job leaves that has no lease, others do
    wipe_asked,         // the operator asks for a wipe, no job holds a volume
    wipe_asked_held,    // the operator asks for a wipe while jobs hold the volume
    wiped,              // the wipe succeeded, all of it
    broke               // a step failed, or its outcome is unknown
};

enum class node_action : std::uint8_t { nothing, adopt, wipe, lease, remove_folder, refuse };

struct decision {
    node_state next;
    node_action action;
    errc refusal = errc::internal;  // when the action is refuse
};

decision advance(node_state state, node_event event);

std::string_view state_text(node_state state);
std::optional<node_state> parse_state(std::string_view text);

}  // namespace scratchd
