#include "agent/daemon/service.hpp"

#include "agent/base/file.hpp"
#include "agent/base/log.hpp"
#include "agent/daemon/views.hpp"
#include "agent/job/hbi_seal.hpp"
#include "dmcrypt/mount_point.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <cerrno>

namespace scratchd {
namespace {

std::unexpected<error> no_disk() {
    return fail(errc::not_configured, "[scratch] disks names no disk");
}

initiator self(char const* program) {
    return {::getuid(), ::getpid(), program};
}

}  // namespace

service::service(config settings, service_paths paths, service_seams seams)
    : settings_(std::move(settings)), paths_(std::move(paths)), seams_(std::move(seams)) {}

result<std::unique_ptr<service>> service::open(config settings, service_paths paths, service_seams seams) {
    std::unique_ptr<service> opened(new service(std::move(settings), std::move(paths), std::move(seams)));
    SCRATCHD_CHECK(opened->open_state());
    return opened;
}

result<> service::open_state() {
    if (::mkdir(paths_.state.c_str(), 0700) != 0 && errno != EEXIST) return fail_errno("make " + paths_.state.string());
    SCRATCHD_TRY(lock_, open_file(paths_.state, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    struct stat st{};
    if (::fstat(lock_.get(), &st) != 0) return fail_errno("stat " + paths_.state.string());
    if (st.st_uid != ::geteuid() || (st.st_mode & 022) != 0)
        return fail(errc::state_insecure, paths_.state.string() + " can be changed by others than root");
    if (::flock(lock_.get(), LOCK_EX | LOCK_NB) != 0) return fail(errc::already_running, paths_.state.string());
    SCRATCHD_TRY(identity_, node_identity::load(paths_.state));
    SCRATCHD_TRY(journal_, journal::open(paths_.state, *identity_));
    SCRATCHD_TRY(records_, record_store::open(paths_.state, *identity_, seams_.boot_id));
    SCRATCHD_TRY(keys_, seen_keys::open(paths_.state));
    SCRATCHD_TRY(ledger_, disk_ledger::open(paths_.state, *identity_));
    return {};
}

void service::publish(snapshot const& s) {
    seams_.publish(status_view(s, settings_.workspace.hbi, settings_.scratch.mount));
}

// What must hold before a volume may be made: the seal, the mount namespace, the disks.
result<chosen_disks> service::prepare() {
    bool const names_disks = !settings_.scratch.disks.empty();
    // A configuration that says nothing yet decides nothing: installing the package is harmless.
    if (!names_disks && !settings_.origins.contains("workspace.hbi")) return no_disk();
    auto const where =
        settings_.origins.contains("workspace.hbi") ? settings_.origins.at("workspace.hbi").text() : "default";
    auto sealed =
        enforce_hbi_seal(paths_.state, *identity_, settings_.workspace.hbi, where, records_->head().sequence > 0);
    if (!sealed || *sealed == seal_outcome::made) {
        // Both the first decision and every try to change it stand in the chain.
        record line;
        line.kind = "seal";
        line.outcome = sealed ? "clean" : "failed";
        line.reason = sealed ? "" : fmt::format("{} {}", code_text(sealed.error().code), sealed.error().message());
        line.hbi = settings_.workspace.hbi;
        line.method = "none";
        line.level = "none";
        line.level_reason = "nothing was erased: hbi was decided";
        line.who = self("scratchd");
        SCRATCHD_CHECK(records_->append(std::move(line)));
    }
    if (!sealed) return std::unexpected(std::move(sealed).error());
    if (!names_disks) return no_disk();
    SCRATCHD_CHECK(check_mount_namespace());
    return seams_.choose(settings_.scratch, *ledger_);
}

void service::start() {
    auto chosen = prepare();
    volume_ = seams_.make_volume(settings_, chosen ? std::move(chosen->disks) : std::vector<disk_facts>{});
    node_settings how{
        settings_.workspace.hbi, seams_.boot_id, settings_.scratch.mount, settings_.cleanup.deadline, {}, {}};
    if (chosen) how.disks = std::move(chosen->recorded);
    else how.impediment = std::move(chosen).error();
    node_ = std::make_unique<node>(
        std::move(how),
        node_parts{*volume_, seams_.cleaning, *journal_, *records_, *keys_, *identity_, seams_.credentials},
        [this](snapshot const& s) { publish(s); });
    auto const started = node_->start(self("scratchd"));
    if (started) log::info("node.started", {{"state", state_text(node_->now().state)}});
    else
        log::error("node.start-failed",
                   {{"code", code_text(started.error().code)}, {"reason", started.error().message()}});
}

result<> service::stop() {
    return node_->stop();
}

bool service::settle() {
    if (node_->now().pending.empty()) {
        settle_until_.reset();
        return false;
    }
    // As long again as the wipe had that left it open.
    if (!settle_until_) settle_until_ = deadline::in(settings_.cleanup.deadline);
    bool const more = node_->settle(*settle_until_);
    if (!more) settle_until_.reset();
    return more;
}

result<begin_outcome> service::begin(begin_spec const& spec) {
    auto begun = node_->begin(spec);
    if (begun)
        log::info(
            "job.began",
            {{"user", spec.user}, {"uid", spec.who.uid}, {"pid", spec.who.pid}, {"generation", begun->generation}});
    else log::error("job.begin-failed", {{"code", code_text(begun.error().code)}, {"reason", begun.error().message()}});
    return begun;
}

result<end_outcome> service::end(end_spec const& spec) {
    auto ended = node_->end(spec);
    if (ended)
        log::info(
            "job.ended",
            {{"record", ended->proof.sequence}, {"uid", spec.who.uid}, {"pid", spec.who.pid}, {"known", ended->known}});
    else log::error("job.end-failed", {{"code", code_text(ended.error().code)}, {"reason", ended.error().message()}});
    return ended;
}

result<end_outcome> service::wipe(initiator who) {
    auto wiped = node_->wipe(who);
    if (wiped) log::info("wipe.done", {{"record", wiped->proof.sequence}, {"uid", who.uid}, {"pid", who.pid}});
    else log::error("wipe.failed", {{"code", code_text(wiped.error().code)}, {"reason", wiped.error().message()}});
    return wiped;
}

result<api::disk_list> service::disks() {
    SCRATCHD_TRY(auto const judged, judge_all_disks(settings_.scratch, *ledger_));
    api::disk_list list;
    for (auto const& d : judged)
        list.disks.push_back({d.facts.name, d.facts.device.string(), d.facts.size_bytes, d.facts.model, d.facts.serial,
                              d.chosen, d.why});
    return list;
}

}  // namespace scratchd
