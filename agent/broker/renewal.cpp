// The part of grants that keeps values young: no job is served what the vault said longer ago than [broker] max_age.
#include "agent/base/file.hpp"
#include "agent/base/log.hpp"
#include "agent/broker/file_text.hpp"
#include "agent/broker/grants.hpp"

#include <algorithm>
#include <utility>

namespace scratchd::broker {

using namespace std::chrono_literals;

namespace {

// The name of a lock.
std::string files_of_all(std::string const& credential) {
    return credential + "/files";
}

}  // namespace

// A renewal in good time, and soon again after one that failed; spread, so that a cluster does not ask all at once.
std::chrono::milliseconds grants::next_look(std::string const& credential, bool failed) {
    auto const share = failed ? 0.05 + 0.05 * time_.chance() : 0.4 + 0.3 * time_.chance();
    auto const wait = std::chrono::duration_cast<std::chrono::milliseconds>(config_.broker.max_age * share);
    auto const here = store_.peek(credential);
    // Never asleep when a value's time is up.
    return std::max(50ms, here ? std::min(wait, store_.lifetime(*here)) : wait);
}

task<> grants::keep_young(credential_config credential) {
    result<> last;
    while (in_use(credential.name)) {
        co_await time_.pause(next_look(credential.name, !last));
        if (!in_use(credential.name)) break;
        auto const here = store_.peek(credential.name);
        // Its files go before the vault is asked once more: that may take long.
        if (!here) {
            auto why = last ? error{errc::credential_gone, 0, "it is too old"} : last.error();
            co_await expire(credential.name, std::move(why));
        }
        // A question may not take longer than the value that it is to replace lives.
        auto const limit = here ? std::min(config_.broker.budget, store_.lifetime(*here)) : config_.broker.budget;
        auto renewed = co_await renew(credential, deadline::in(std::max(50ms, limit)));
        last = std::move(renewed);
    }
    kept_young_.erase(credential.name);
    if (!in_use(credential.name)) store_.forget(credential.name);
}

task<bool> grants::lock(std::string what, deadline until) {
    for (auto busy = locked_.find(what); busy != locked_.end(); busy = locked_.find(what)) {
        auto const gate = busy->second;
        bool const open = co_await gate->wait(until);
        if (!open) co_return false;
    }
    locked_.insert_or_assign(what, std::make_shared<vault::gate>());
    co_return true;
}

void grants::unlock(std::string const& what) {
    if (auto const busy = locked_.extract(what)) busy.mapped()->open();
}

task<result<>> grants::renew(credential_config credential, deadline until) {
    bool const locked = co_await lock(credential.name, until);
    if (!locked) co_return fail(errc::timed_out, "another renewal of " + credential.name + " does not end");
    auto got = co_await store_.get(credential, store::wish::fresh, until);
    result<> done;
    if (got) {
        auto delivered = co_await deliver_to_all(credential, until);
        done = std::move(delivered);
    } else {
        done = std::unexpected(got.error());
        log::warn("credential.not-renewed", {{"credential", credential.name},
                                             {"code", code_text(got.error().code)},
                                             {"reason", got.error().message()}});
        co_await expire(credential.name, got.error());
    }
    if (!in_use(credential.name)) store_.forget(credential.name);
    unlock(credential.name);
    co_return done;
}

task<result<>> grants::deliver_to_all(credential_config credential, deadline until) {
    bool const locked = co_await lock(files_of_all(credential.name), until);
    if (!locked) co_return fail(errc::timed_out, "scratchd does not take the files of " + credential.name);
    result<> done;
    for (auto const& holder : holders_of(credential.name)) {
        auto const newest = store_.peek(credential.name);
        if (!newest) break;  // it has ended since: the next look withdraws it
        auto delivered = co_await deliver(holder, credential, newest->value, until);
        if (delivered || !is_running(*holder)) continue;
        // The old value must not stay: whoever looks finds nothing rather than what is no longer so.
        co_await withdraw_from(holder, credential.name, delivered.error(), until);
        if (done) done = std::move(delivered);
    }
    unlock(files_of_all(credential.name));
    co_return done;
}

// Not while its files are written; nothing when a new value came meanwhile.
task<> grants::expire(std::string credential, error why) {
    auto const until = deadline::in(5s);
    bool const locked = co_await lock(files_of_all(credential), until);
    if (!locked) co_return;  // the next look tries again
    if (!store_.peek(credential)) co_await withdraw(credential, std::move(why), until);
    unlock(files_of_all(credential));
}

// Over the old file at once: its readers see the one or the other.
task<result<>> grants::deliver(std::shared_ptr<grant> to, credential_config credential, shared_secret value,
                               deadline until) {
    auto const before = std::exchange(to->in_files[credential.name], file_state());
    bool const same = before.value && std::ranges::equal(before.value->bytes(), value->bytes());
    for (auto const& file : to->files(credential.name)) {
        if (same) break;
        SCRATCHD_CO_TRY(auto const text, file_text(file.what, credential, *value));
        api::channel_message question;
        question.op = "want-file";
        question.job = to->job();
        question.name = file.name;
        auto outlet = co_await root_.ask(question, until);
        if (!outlet) co_return std::unexpected(std::move(outlet).error());
        if (outlet->fds.size() != 1) co_return fail(errc::bad_request, "scratchd sent no descriptor");
        if (!is_running(*to)) co_return result<>{};  // it ended while root was asked
        auto const bytes = std::string_view(reinterpret_cast<char const*>(text.bytes().data()), text.size());
        auto const written = write_all(outlet->fds.front().get(), bytes);
        if (!written) co_return written;
        question.op = "filled";
        auto committed = co_await root_.ask(question, until);
        if (!committed) co_return std::unexpected(std::move(committed).error());
    }
    if (!is_running(*to)) co_return result<>{};
    to->in_files[credential.name].value = std::move(value);
    to->servers->changed();
    if (!same) log::info("credential.rotated", {{"job", to->job()}, {"credential", credential.name}});
    co_return result<>{};
}

task<> grants::withdraw(std::string credential, error why, deadline until) {
    store_.forget(credential);
    for (auto const& holder : holders_of(credential)) {
        if (!is_running(*holder) || holder->in_files[credential].is_withdrawn) continue;
        co_await withdraw_from(holder, credential, why, until);
    }
}

task<> grants::withdraw_from(std::shared_ptr<grant> holder, std::string credential, error why, deadline until) {
    holder->in_files[credential] = {};
    holder->servers->changed();
    log::error("credential.withdrawn",
               {{"job", holder->job()}, {"credential", credential}, {"code", code_text(why.code)}});
    bool all = true;
    for (auto const& file : holder->files(credential)) {
        api::channel_message question;
        question.op = "withdraw";
        question.job = holder->job();
        question.name = file.name;
        auto const gone = co_await root_.ask(question, until);
        if (gone) continue;
        all = false;  // the next look tries again
        log::error("credential.not-withdrawn", {{"job", holder->job()}, {"reason", gone.error().message()}});
    }
    if (is_running(*holder)) holder->in_files[credential].is_withdrawn = all;
}

}  // namespace scratchd::broker
