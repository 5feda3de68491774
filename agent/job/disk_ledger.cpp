#include "agent/job/disk_ledger.hpp"

#include "agent/base/fields.hpp"
#include "agent/base/file.hpp"
#include "agent/job/signed_json.hpp"

#include <cerrno>

namespace scratchd {
namespace {

constexpr std::size_t largest_ledger = 1U << 20U;

struct ledger_file {
    std::string schema = "scratchd.disks.1";
    std::map<std::string, std::string> disks;
};

template <class A>
void fields(A& a, ledger_file& f) {
    a("schema", f.schema);
    a("disks", f.disks);
}

}  // namespace

result<disk_ledger> disk_ledger::open(std::filesystem::path const& state, node_identity const& identity) {
    disk_ledger opened(state / "disks.json", identity);
    auto const text = read_file(opened.path_, largest_ledger);
    if (!text && text.error().sys == ENOENT) return opened;
    if (!text) return std::unexpected(text.error());
    SCRATCHD_TRY(auto const pem, identity.signer().public_pem());
    SCRATCHD_TRY(auto const key, verifying_key::from_pem(pem));
    auto const body = open_signed_json(*text, key);
    if (!body) return fail(errc::state_insecure, opened.path_.string() + " " + body.error().what);
    auto file = json::read<ledger_file>(*body);
    if (!file) return fail(errc::state_insecure, opened.path_.string() + " " + file.error().what);
    opened.disks_ = std::move(file->disks);
    return opened;
}

std::string disk_ledger::provenance(std::string const& disk_identity) const {
    auto const found = disks_.find(disk_identity);
    return found != disks_.end() ? found->second : "";
}

result<> disk_ledger::enrol(std::string const& disk_identity, std::string const& provenance) {
    auto next = disks_;
    next[disk_identity] = provenance;
    SCRATCHD_TRY(auto const text,
                 sign_json(json::write(ledger_file{"scratchd.disks.1", next}).as_object(), identity_->signer()));
    SCRATCHD_CHECK(replace_file(path_, text, 0600));
    disks_ = std::move(next);
    return {};
}

}  // namespace scratchd
