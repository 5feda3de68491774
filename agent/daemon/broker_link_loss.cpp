// The part of broker_link that is about losing the other side: ours at a restart, the broker at any time.
#include "agent/base/log.hpp"
#include "agent/config/delivery.hpp"
#include "agent/daemon/broker_link.hpp"

#include <algorithm>

namespace scratchd {
namespace {

using namespace std::chrono_literals;

constexpr auto retry_every = 500ms;
constexpr auto retry_refused = 5s;  // after a grant that the broker refused to a job that runs
// The broker renews before this share of max_age is left (agent/broker/renewal.cpp), so what it delivered is no older.
constexpr double share_left = 0.3;

}  // namespace

result<> broker_link::restore(std::vector<lease> const& running) {
    result<> first;
    std::error_code ec;
    std::vector<std::string> strangers;
    for (auto it = std::filesystem::directory_iterator(paths_.jobs, ec);
         !ec && it != std::filesystem::directory_iterator(); it.increment(ec)) {
        auto const name = it->path().filename().string();
        if (std::ranges::find(running, name, &lease::job) == running.end()) strangers.push_back(name);
    }
    for (auto const& name : strangers)
        if (auto gone = credential_folder::destroy(paths_.jobs, name); !gone && first) first = std::move(gone);
    auto const all = std::make_shared<std::vector<held_job>>();
    for (auto const& job : running) {
        if (job.credentials.empty()) continue;
        auto made = make_held(job);
        if (made) all->push_back(*std::move(made));
        else
            log::error("credentials.not-restored",
                       {{"code", code_text(made.error().code)}, {"reason", made.error().message()}});
    }
    // The broker learns from the first words of a connection which jobs there are: all of them, or it ends the others.
    if (!strangers.empty() || !all->empty())
        loop_.post([this, all] {
            for (auto& job : *all) {
                auto const name = job.holder.job;
                jobs_.insert_or_assign(name, std::move(job));
                withdraw_later(name);
            }
            reconnect();
        });
    return first;
}

void broker_link::lost(error const& why) {
    log::warn("broker.lost", {{"reason", why.message()}, {"jobs", jobs_.size()}});
    for (auto& [name, held] : jobs_) {
        held.granted = false;
        withdraw_later(name);
    }
    if (!jobs_.empty()) reconnect();
}

// Until it is there again and grants: a job that runs has its credentials for as long as they are young.
void broker_link::reconnect() {
    if (jobs_.empty() && socket_.connected()) return;
    if (!connect()) return jobs_.empty() ? void() : reconnect_after(retry_every);
    for (auto& [name, held] : jobs_) {
        if (held.granted || held.asking) continue;
        send_grant(name, [this, name](result<> const& done) {
            if (done) return log::info("credentials.restored", {{"job", name}});
            log::error("credentials.not-restored",
                       {{"job", name}, {"code", code_text(done.error().code)}, {"reason", done.error().message()}});
            reconnect_after(retry_refused);
        });
    }
}

void broker_link::reconnect_after(std::chrono::milliseconds span) {
    if (std::exchange(reconnecting_, true)) return;
    loop_.after(span, [this] {
        reconnecting_ = false;
        reconnect();
    });
}

// What nobody renews any more must not grow older than it may.
void broker_link::withdraw_later(std::string const& job) {
    auto const loss = jobs_.at(job).loss = ++losses_;
    auto const young = std::chrono::duration_cast<std::chrono::milliseconds>(config_.broker.max_age * share_left);
    loop_.after(young + config_.broker.stale, [this, job, loss] {
        auto const held = jobs_.find(job);
        if (held == jobs_.end() || held->second.granted || held->second.loss != loss) return;
        for (auto const& file : files_of(held->second.credentials))
            if (auto gone = held->second.folder.remove_file(file.name); !gone)
                log::error("credential.not-withdrawn", {{"job", job}, {"reason", gone.error().message()}});
        log::error("credentials.withdrawn", {{"job", job}, {"reason", "the broker does not renew them"}});
    });
}

}  // namespace scratchd
