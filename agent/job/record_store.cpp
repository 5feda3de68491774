#include "agent/job/record_store.hpp"

#include "agent/base/file.hpp"
#include "agent/base/time_text.hpp"
#include "agent/base/version.hpp"
#include "agent/crypto/digest.hpp"
#include "agent/job/record_fields.hpp"
#include "agent/job/signed_json.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <charconv>
#include <ctime>

namespace scratchd {
namespace {

constexpr std::size_t largest_record = 4U << 20U;

// Not checked here: verification is the reader's business, with a public key it got elsewhere.
result<record> parse_record(std::string_view text) {
    SCRATCHD_TRY(auto value, json::parse(text.substr(0, text.find('\n')), {largest_record, 16}));
    if (value.is_object()) value.as_object().erase("signature");
    return json::read<record>(value);
}

std::uint64_t newest_in(std::filesystem::path const& folder) {
    std::uint64_t newest = 0;
    std::error_code ec;
    for (auto it = std::filesystem::directory_iterator(folder, ec); !ec && it != std::filesystem::directory_iterator();
         it.increment(ec)) {
        auto const stem = it->path().stem().string();
        std::uint64_t number = 0;
        auto const [end, problem] = std::from_chars(stem.data(), stem.data() + stem.size(), number);
        if (problem == std::errc{} && end == stem.data() + stem.size() && it->path().extension() == ".json")
            newest = std::max(newest, number);
    }
    return newest;
}

// The head this node signed last; sequence 0 when there is none, or none of ours.
result<record_head> read_head(std::filesystem::path const& folder, node_identity const& identity) {
    auto const text = read_file(folder / "head.json", largest_record);
    if (!text) return record_head{};
    SCRATCHD_TRY(auto const pem, identity.signer().public_pem());
    SCRATCHD_TRY(auto const key, verifying_key::from_pem(pem));
    auto const body = open_signed_json(*text, key);
    if (!body) return record_head{};
    auto const* sequence = body->if_contains("sequence");
    auto const* hash = body->if_contains("hash");
    if (sequence == nullptr || hash == nullptr || !sequence->is_number() || !hash->is_string()) return record_head{};
    return record_head{sequence->to_number<std::uint64_t>(), std::string(hash->get_string())};
}

}  // namespace

std::filesystem::path record_file(std::filesystem::path const& folder, std::uint64_t sequence) {
    return folder / fmt::format("{:08}.json", sequence);
}

result<record_store> record_store::open(std::filesystem::path const& state, node_identity const& identity,
                                        std::string boot_id) {
    record_store store(state / "records", identity, std::move(boot_id));
    SCRATCHD_TRY(store.head_, read_head(store.folder_, identity));
    auto const newest = newest_in(store.folder_);
    // Records that the head names and that are gone stay a visible gap: the chain goes on behind them.
    if (newest <= store.head_.sequence) return store;
    store.head_.sequence = newest;
    SCRATCHD_TRY(auto const text, store.read_file_text(newest));
    SCRATCHD_TRY(auto const digest, sha256(text));
    store.head_ = {newest, hex(digest)};
    return store;
}

result<std::uint64_t> record_store::append(record r) {
    r.schema = "scratchd.record.1";
    r.sequence = head_.sequence + 1;
    r.previous = head_.hash;
    r.node = identity_->fingerprint();
    r.boot_id = boot_id_;
    r.time = time_text(std::time(nullptr));
    r.version = version;
    SCRATCHD_TRY(auto const text, sign_json(json::write(r).as_object(), identity_->signer()));
    SCRATCHD_TRY(auto const digest, sha256(text));
    record_head const next{r.sequence, hex(digest)};
    SCRATCHD_CHECK(replace_file(record_file(folder_, r.sequence), text, 0440));
    SCRATCHD_TRY(
        auto const head,
        sign_json({{"schema", "scratchd.head.1"}, {"node", r.node}, {"sequence", next.sequence}, {"hash", next.hash}},
                  identity_->signer()));
    SCRATCHD_CHECK(replace_file(folder_ / "head.json", head, 0440));
    head_ = next;
    return r.sequence;
}

result<std::string> record_store::read_file_text(std::uint64_t sequence) const {
    if (sequence == 0 || sequence > head_.sequence)
        return fail(errc::record_unknown, fmt::format("record {}: the newest is {}", sequence, head_.sequence));
    auto text = read_file(record_file(folder_, sequence), largest_record);
    if (!text) return fail(errc::record_missing, fmt::format("record {}", sequence), text.error().sys);
    return text;
}

result<record> record_store::read(std::uint64_t sequence) const {
    SCRATCHD_TRY(auto const text, read_file_text(sequence));
    auto parsed = parse_record(text);
    if (!parsed) return fail(errc::record_unreadable, fmt::format("record {}: {}", sequence, parsed.error().what));
    return parsed;
}

result<std::optional<record>> record_store::find_job(std::string const& job) const {
    constexpr std::uint64_t look_back = 256;
    for (auto n = head_.sequence; n > 0 && head_.sequence - n < look_back; --n) {
        auto one = read(n);
        if (!one || (one->kind != "wipe" && one->kind != "folder")) continue;
        if (one->job == job || std::ranges::find(one->jobs, job) != one->jobs.end()) return *std::move(one);
    }
    return std::optional<record>{};
}

}  // namespace scratchd
