#include "agent/daemon/broker_link.hpp"

#include "agent/base/log.hpp"
#include "agent/config/delivery.hpp"
#include "agent/daemon/job_account.hpp"
#include "agent/daemon/source_files.hpp"
#include "agent/ipc/listen.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <future>

namespace scratchd {
namespace {

using namespace std::chrono_literals;

constexpr auto slack = 2000ms;           // beyond the broker's own budget
constexpr auto revoke_limit = 1000ms;    // credentials are gone this soon
constexpr std::size_t most_files = 100;  // with the sockets: what one packet may carry

result<> files_committed(credential_folder& folder, std::vector<credential_config> const& credentials) {
    for (auto const& file : files_of(credentials)) SCRATCHD_CHECK(folder.commit_file(file.name));
    return {};
}

}  // namespace

broker_link::broker_link(ipc::loop& on, config const& settings, link_paths paths)
    : loop_(on),
      config_(settings),
      paths_(std::move(paths)),
      socket_(on, paths_.broker,
              {[this](channel_packet p) { asked(std::move(p)); }, [this](error const& why) { lost(why); }}),
      sources_(source_names(settings)) {}

// Starts something on the loop and waits for its outcome on this thread.
result<> broker_link::wait(std::chrono::milliseconds limit, std::function<void(outcome)> start) {
    auto const promised = std::make_shared<std::promise<result<>>>();
    auto future = promised->get_future();
    loop_.post([start = std::move(start), promised] {
        auto const answered = std::make_shared<bool>(false);
        start([promised, answered](result<> r) {
            if (!std::exchange(*answered, true)) promised->set_value(std::move(r));
        });
    });
    if (future.wait_for(limit) != std::future_status::ready)
        return fail(errc::timed_out, "the credentials took longer than allowed");
    return future.get();
}

result<broker_link::held_job> broker_link::make_held(lease const& job) const {
    SCRATCHD_TRY(auto credentials, find_credentials(config_, job.credentials));
    if (files_of(credentials).size() > most_files)
        return fail(errc::bad_request, fmt::format("more than {} files of credentials in one job", most_files));
    folder_owner const owner{job.uid, job.gid};
    SCRATCHD_TRY(auto folder, credential_folder::open(paths_.jobs, job.job, owner));
    ipc::listen_options const sockets{.mode = 0600, .owner = job.uid, .group = job.gid};
    SCRATCHD_TRY(auto requests, ipc::listen_at(folder.writable_path("credential.sock"), sockets));
    SCRATCHD_TRY(auto agent, ipc::listen_at(folder.writable_path("ssh-agent.sock"), sockets));
    if (auto const docker = docker_config_of(credentials))
        SCRATCHD_CHECK(folder.write_plain("docker", "config.json", *docker));
    return held_job{job,
                    groups_of(job.user, job.gid),
                    std::move(credentials),
                    std::move(folder),
                    std::move(requests),
                    std::move(agent)};
}

result<> broker_link::grant(lease const& job) {
    if (job.credentials.empty()) return {};
    auto made = make_held(job);
    if (!made) {
        (void)credential_folder::destroy(paths_.jobs, job.job);
        return std::unexpected(std::move(made).error());
    }
    auto const shared = std::make_shared<held_job>(*std::move(made));
    auto granted = wait(config_.broker.budget + slack, [this, shared](outcome done) {
        auto const name = shared->holder.job;
        jobs_.insert_or_assign(name, std::move(*shared));
        if (auto there = connect(); !there) return done(std::move(there));
        send_grant(name, std::move(done));
    });
    if (!granted) (void)revoke(job.job);
    return granted;
}

void broker_link::send_grant(std::string const& job, outcome done) {
    auto const found = jobs_.find(job);
    if (found == jobs_.end()) return done(fail(errc::job_unknown, "the job ended meanwhile"));
    auto& held = found->second;
    api::channel_message message;
    message.op = "grant";
    message.job = job;
    message.uid = held.holder.uid;
    message.gid = held.holder.gid;
    message.user = held.holder.user;
    message.groups = held.groups;
    message.credentials = held.holder.credentials;
    message.files.emplace();
    message.budget_ms = static_cast<std::uint64_t>(config_.broker.budget.count());
    std::vector<int> fds{held.requests.get(), held.agent.get()};
    std::vector<unique_fd> files;
    held.asking = true;
    for (auto const& file : files_of(held.credentials)) {
        auto made = held.folder.begin_file(file.name);
        if (!made) {
            held.asking = false;
            return done(std::unexpected(std::move(made).error()));
        }
        message.files->push_back(file.name);
        fds.push_back(made->get());
        files.push_back(*std::move(made));
    }
    socket_.ask(std::move(message), fds, config_.broker.budget + slack / 2,
                [this, job, done = std::move(done)](result<channel_packet> reply) {
                    auto const now = jobs_.find(job);
                    if (now != jobs_.end()) now->second.asking = false;
                    if (!reply) return done(std::unexpected(std::move(reply).error()));
                    if (reply->message.op != "granted") return done(std::unexpected(api::refused(reply->message)));
                    if (now == jobs_.end()) return done(fail(errc::job_unknown, "the job ended meanwhile"));
                    now->second.granted = true;
                    done(files_committed(now->second.folder, now->second.credentials));
                });
}

result<> broker_link::revoke(std::string const& job) {
    return wait(revoke_limit + slack, [this, job](outcome done) { end_job(job, std::move(done)); });
}

// Files and sockets go first: what the broker does cannot keep them.
void broker_link::end_job(std::string const& job, outcome done) {
    std::error_code ec;
    bool const had_any = jobs_.erase(job) > 0 || std::filesystem::exists(paths_.jobs / job, ec);
    if (!had_any) return done({});
    auto gone = credential_folder::destroy(paths_.jobs, job);
    if (auto there = connect(); !there) {
        // Nobody listens: the broker is dead, and its memory with it. Anything else is not known to be gone.
        bool const dead = there.error().sys == ECONNREFUSED || there.error().sys == ENOENT;
        return done(dead || !gone ? std::move(gone) : std::move(there));
    }
    api::channel_message message;
    message.op = "revoke";
    message.job = job;
    socket_.ask(std::move(message), {}, revoke_limit,
                [done = std::move(done), gone = std::move(gone)](result<channel_packet> reply) {
                    if (!gone) return done(gone);
                    if (!reply && reply.error().code == errc::broker_unreachable) return done({});
                    if (!reply) return done(std::unexpected(std::move(reply).error()));
                    done({});
                });
}

result<> broker_link::resync() {
    return wait(config_.broker.budget + slack, [this](outcome done) {
        if (auto there = connect(); !there) return done(std::move(there));
        api::channel_message message;
        message.op = "resync";
        message.budget_ms = static_cast<std::uint64_t>(config_.broker.budget.count());
        socket_.ask(std::move(message), {}, config_.broker.budget + slack / 2, [done](result<channel_packet> reply) {
            if (!reply) return done(std::unexpected(std::move(reply).error()));
            if (reply->message.code) return done(std::unexpected(api::refused(reply->message)));
            done({});
        });
    });
}

// Connects and says which jobs there are: the broker forgets all others.
result<> broker_link::connect() {
    if (socket_.connected()) return {};
    SCRATCHD_CHECK(socket_.connect());
    api::channel_message hello;
    hello.op = "hello";
    hello.jobs.emplace();
    for (auto const& [name, held] : jobs_) hello.jobs->push_back(name);
    return socket_.send(hello);
}

void broker_link::asked(channel_packet packet) {
    api::channel_message reply;
    auto descriptors = serve(packet.message, reply);
    if (!descriptors) reply = api::refusal(*packet.message.serial, "no-source", descriptors.error());
    reply.serial = packet.message.serial;
    std::vector<int> fds;
    if (descriptors)
        for (auto const& fd : *descriptors) fds.push_back(fd.get());
    (void)socket_.send(reply, fds);
}

// What the broker may ask for: sources that the configuration names, and files that the job was granted.
result<std::vector<unique_fd>> broker_link::serve(api::channel_message const& question, api::channel_message& reply) {
    std::vector<unique_fd> fds;
    auto const name = question.name.value_or("");
    if (question.op == "want-source") {
        if (!sources_.contains(name)) return fail(errc::not_permitted, "a source that no configuration names");
        SCRATCHD_TRY(auto file, open_source(config_.broker.directory, name));
        fds.push_back(std::move(file));
        reply.op = "source";
        return fds;
    }
    auto const found = jobs_.find(question.job.value_or(""));
    if (found == jobs_.end()) return fail(errc::job_unknown, "the job has ended");
    auto& held = found->second;
    auto const files = files_of(held.credentials);
    if (std::ranges::find(files, name, &delivered_file::name) == files.end())
        return fail(errc::not_permitted, "a file that the job was not granted");
    if (question.op == "want-file") {
        SCRATCHD_TRY(auto file, held.folder.begin_file(name));
        fds.push_back(std::move(file));
        reply.op = "file";
        return fds;
    }
    if (question.op == "filled") SCRATCHD_CHECK(held.folder.commit_file(name));
    else if (question.op == "withdraw") SCRATCHD_CHECK(held.folder.remove_file(name));
    else return fail(errc::bad_request, "a question that is not known");
    reply.op = "committed";
    return fds;
}

}  // namespace scratchd
