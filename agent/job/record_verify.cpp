#include "agent/job/record_verify.hpp"

#include "agent/base/file.hpp"
#include "agent/crypto/digest.hpp"
#include "agent/job/record_fields.hpp"
#include "agent/job/record_store.hpp"
#include "agent/job/signed_json.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <charconv>
#include <map>

namespace scratchd {
namespace {

constexpr std::size_t largest_record = 4U << 20U;

class chain {
public:
    chain(std::filesystem::path folder, verifying_key key) : folder_(std::move(folder)), key_(std::move(key)) {}

    result<chain_report> judge() {
        SCRATCHD_TRY(report_.node, key_.fingerprint());
        SCRATCHD_TRY(auto const numbers, list());
        std::uint64_t expected = 1;
        for (auto const& [number, file] : numbers) {
            for (; expected < number; ++expected) missing(expected);
            judge_one(number, file);
            expected = number + 1;
        }
        report_.newest = expected - 1;
        judge_head();
        return std::move(report_);
    }

private:
    void problem(errc code, std::string file, std::string what) {
        report_.problems.push_back({code, std::move(file), std::move(what)});
    }
    void missing(std::uint64_t number) {
        problem(errc::record_missing, record_file("", number).string(), "is not there");
        previous_.clear();
    }

    result<std::map<std::uint64_t, std::string>> list() {
        std::map<std::uint64_t, std::string> found;
        std::error_code ec;
        auto it = std::filesystem::directory_iterator(folder_, ec);
        if (ec) return fail(errc::record_unreadable, folder_.string(), ec.value());
        for (; !ec && it != std::filesystem::directory_iterator(); it.increment(ec)) {
            auto const name = it->path().filename().string();
            if (name == "head.json" || name == "node.pub") continue;
            auto const stem = it->path().stem().string();
            std::uint64_t number = 0;
            auto const [end, bad] = std::from_chars(stem.data(), stem.data() + stem.size(), number);
            bool const ours = bad == std::errc{} && end == stem.data() + stem.size() && number > 0 &&
                              name == record_file("", number).string();
            if (ours) found.emplace(number, name);
            else problem(errc::record_unreadable, name, "is no record's name");
        }
        if (ec) return fail(errc::record_unreadable, folder_.string(), ec.value());
        return found;
    }

    void judge_one(std::uint64_t number, std::string const& file) {
        ++report_.records;
        auto const before = std::exchange(previous_, {});
        auto const text = read_file(folder_ / file, largest_record);
        if (!text) return problem(errc::record_unreadable, file, text.error().message());
        if (auto const digest = sha256(*text)) previous_ = hex(*digest);
        auto const body = open_signed_json(*text, key_);
        if (!body) return problem(body.error().code, file, body.error().what);
        auto const r = json::read<record>(*body);
        if (!r) return problem(errc::record_unreadable, file, r.error().what);
        if (r->sequence != number)
            return problem(errc::record_misplaced, file, fmt::format("is record {} under another number", r->sequence));
        if (r->node != report_.node) return problem(errc::record_forged, file, "names another node");
        bool const first = number == 1;
        // After a gap the previous hash cannot be checked: the gap is reported itself.
        if ((first && !r->previous.empty()) || (!first && !before.empty() && r->previous != before))
            problem(errc::record_misplaced, file, "does not continue the record before it");
    }

    void judge_head() {
        auto const text = read_file(folder_ / "head.json", largest_record);
        if (!text) {
            if (report_.records > 0)
                problem(errc::record_missing, "head.json", "is not there: records may be missing at the end");
            return;
        }
        auto const body = open_signed_json(*text, key_);
        if (!body) return problem(body.error().code, "head.json", body.error().what);
        auto const* sequence = body->if_contains("sequence");
        auto const* hash = body->if_contains("hash");
        if (sequence == nullptr || hash == nullptr || !sequence->is_number() || !hash->is_string())
            return problem(errc::record_unreadable, "head.json", "has no sequence or hash");
        auto const newest = sequence->to_number<std::uint64_t>();
        for (auto n = report_.newest + 1; n <= newest; ++n) missing(n);
        // A power cut between a record and the head leaves the head one behind: the record itself is sound.
        if (newest == report_.newest && !previous_.empty() && hash->get_string() != previous_)
            problem(errc::record_changed, record_file("", newest).string(), "is not the record that the head names");
        if (newest + 1 < report_.newest)
            problem(errc::record_misplaced, "head.json",
                    fmt::format("names record {}, but {} is there", newest, report_.newest));
    }

    std::filesystem::path folder_;
    verifying_key key_;
    std::string previous_;  // hash of the record before, empty when it cannot be known
    chain_report report_;
};

}  // namespace

result<chain_report> verify_records(std::filesystem::path const& folder,
                                    std::optional<std::filesystem::path> const& public_key) {
    SCRATCHD_TRY(auto const pem, read_file(public_key.value_or(folder / "node.pub"), 4096));
    SCRATCHD_TRY(auto key, verifying_key::from_pem(pem));
    return chain(folder, std::move(key)).judge();
}

}  // namespace scratchd
