#include "agent/job/lifecycle.hpp"

#include "tests/support/catch.hpp"

#include <vector>

using namespace scratchd;
using enum node_state;
using enum node_event;
using enum node_action;

namespace {

constexpr node_state every_state[] = {quarantine, wiping, ready, leased, failed};

}  // namespace

TEST_CASE("lifecycle: only a wipe that was under way leads to ready", "[job]") {
    constexpr node_event every_event[] = {started_adoptable, started,     begin,        end_last,
                                          end_one,           end_unknown, end_stranger, wipe_asked,
                                          wipe_asked_held,   wiped,       broke};
    for (auto const state : every_state)
        for (auto const event : every_event) {
            auto const next = advance(state, event);
            INFO(state_text(state) << " on " << static_cast<int>(event));
            if (next.next == ready && state != ready) CHECK((state == wiping && event == wiped));
        }
}

TEST_CASE("lifecycle: a start wipes whatever the state was, unless a leased volume was found as it should be",
          "[job]") {
    for (auto const state : every_state) {
        CHECK(advance(state, started).action == wipe);
        CHECK(advance(state, started).next == wiping);
        CHECK(advance(state, started_adoptable).action == adopt);
        CHECK(advance(state, started_adoptable).next == leased);
    }
}

TEST_CASE("lifecycle: a job begins on a ready or a leased node and nowhere else", "[job]") {
    CHECK(advance(ready, begin).action == lease);
    CHECK(advance(leased, begin).action == lease);
    CHECK(advance(failed, begin).refusal == errc::node_failed);
    CHECK(advance(wiping, begin).refusal == errc::node_not_ready);
    CHECK(advance(quarantine, begin).refusal == errc::node_not_ready);
    for (auto const state : {failed, wiping, quarantine}) {
        CHECK(advance(state, begin).action == refuse);
        CHECK(advance(state, begin).next == state);
    }
}

TEST_CASE("lifecycle: the last job's end wipes, an earlier one's removes a folder", "[job]") {
    CHECK(advance(leased, end_last).action == wipe);
    CHECK(advance(leased, end_one).action == remove_folder);
    CHECK(advance(leased, end_one).next == leased);
    CHECK(advance(failed, end_last).action == wipe);
    CHECK(advance(failed, end_one).next == failed);
}

TEST_CASE("lifecycle: the end of an unknown job changes nothing but a failed node, which is wiped again", "[job]") {
    for (auto const state : {ready, leased, quarantine}) {
        CHECK(advance(state, end_unknown).action == nothing);
        CHECK(advance(state, end_unknown).next == state);
    }
    CHECK(advance(failed, end_unknown).action == wipe);
    CHECK(advance(failed, end_stranger).action == nothing);
    CHECK(advance(leased, end_stranger).action == nothing);
}

TEST_CASE("lifecycle: no wipe while jobs hold the volume, and none while one runs", "[job]") {
    CHECK(advance(leased, wipe_asked).refusal == errc::jobs_running);
    CHECK(advance(failed, wipe_asked_held).refusal == errc::jobs_running);
    CHECK(advance(wiping, wipe_asked).refusal == errc::node_not_ready);
    CHECK(advance(ready, wipe_asked).action == wipe);
    CHECK(advance(failed, wipe_asked).action == wipe);
    for (auto const event : {end_last, end_one, end_unknown}) CHECK(advance(wiping, event).action == refuse);
}

TEST_CASE("lifecycle: whatever breaks, the node has failed", "[job]") {
    for (auto const state : every_state) CHECK(advance(state, broke).next == failed);
    for (auto const state : {quarantine, ready, leased, failed})
        CHECK(advance(state, wiped).next == failed);  // a success nobody asked for is no proof
}

TEST_CASE("lifecycle: the words of the states are those of the contract", "[job]") {
    for (auto const state : every_state) CHECK(parse_state(state_text(state)) == state);
    CHECK(state_text(quarantine) == "quarantine");
    CHECK(state_text(failed) == "failed");
    CHECK_FALSE(parse_state("clean").has_value());
}
