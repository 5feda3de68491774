#include "agent/vault/ask.hpp"

#include <algorithm>

namespace scratchd::vault {
namespace {

bool may_pass(error const& problem) {
    return problem.code == errc::vault_unreachable || problem.code == errc::timed_out;
}

}  // namespace

task<result<incoming>> ask(asking how, service who, request_maker make, deadline until,
                           std::chrono::milliseconds each) {
    auto const started = how.time.now();
    auto const budget = until.left();
    for (tried so_far;; ++so_far.attempts) {
        auto request = make();
        if (!request) co_return std::unexpected(std::move(request).error());
        auto answer = co_await how.net.exchange(*std::move(request), until.at_most(each));
        if (!answer && !may_pass(answer.error())) co_return answer;
        so_far.status = answer ? answer->status : 0;
        so_far.asked.reset();
        if (answer) so_far.asked = asked_to_wait(answer->retry_after, answer->retry_after_ms, how.time.wall_seconds());
        so_far.elapsed = std::chrono::duration_cast<std::chrono::milliseconds>(how.time.now() - started);
        auto const wait = wait_before_next(who, so_far, how.time.chance());
        if (!wait || *wait >= std::min(budget - so_far.elapsed, until.left())) co_return answer;
        co_await how.time.pause(*wait);
    }
}

}  // namespace scratchd::vault
