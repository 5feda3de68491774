#include "agent/job/lifecycle.hpp"

#include <array>

namespace scratchd {
namespace {

constexpr std::array<std::string_view, 5> words{"quarantine", "wiping", "ready", "leased", "failed"};

decision on_begin(node_state state) {
    switch (state) {
    case node_state::ready:
    case node_state::leased: return {node_state::leased, node_action::lease};
    case node_state::failed: return {state, node_action::refuse, errc::node_failed};
    case node_state::quarantine:
    case node_state::wiping: break;
    }
    return {state, node_action::refuse, errc::node_not_ready};
}

// Every way back to `ready` leads through a wipe; while one runs, another cannot start.
decision on_wipe(node_state state, node_event event) {
    if (state == node_state::leased || event == node_event::wipe_asked_held)
        return {state, node_action::refuse, errc::jobs_running};
    if (state == node_state::wiping) return {state, node_action::refuse, errc::node_not_ready};
    return {node_state::wiping, node_action::wipe};
}

decision on_end(node_state state, node_event event) {
    if (state == node_state::wiping) return {state, node_action::refuse, errc::node_not_ready};
    // The other jobs go on, also on a node that has failed since and takes no new ones.
    if (event == node_event::end_one) return {state, node_action::remove_folder};
    if (event == node_event::end_stranger) return {state, node_action::nothing};
    if (event == node_event::end_unknown && state != node_state::failed) return {state, node_action::nothing};
    return {node_state::wiping, node_action::wipe};
}

}  // namespace

decision advance(node_state state, node_event event) {
    switch (event) {
    case node_event::started_adoptable: return {node_state::leased, node_action::adopt};
    case node_event::started: return {node_state::wiping, node_action::wipe};
    case node_event::begin: return on_begin(state);
    case node_event::wipe_asked:
    case node_event::wipe_asked_held: return on_wipe(state, event);
    case node_event::end_last:
    case node_event::end_one:
    case node_event::end_unknown:
    case node_event::end_stranger: return on_end(state, event);
    case node_event::wiped:
        // Only a wipe that was under way can have succeeded.
        return {state == node_state::wiping ? node_state::ready : node_state::failed, node_action::nothing};
    case node_event::broke: break;
    }
    return {node_state::failed, node_action::nothing};
}

std::string_view state_text(node_state state) {
    return words.at(static_cast<std::size_t>(state));
}

std::optional<node_state> parse_state(std::string_view text) {
    for (std::size_t i = 0; i < words.size(); ++i)
        if (words[i] == text) return static_cast<node_state>(i);
    return std::nullopt;
}

}  // namespace scratchd
