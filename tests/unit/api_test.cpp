#include "agent/api/catalog.hpp"
#include "agent/api/codec.hpp"
#include "agent/base/file.hpp"
#include "tests/support/expect.hpp"

#include <set>

using namespace scratchd;

TEST_CASE("catalog: every code once, each with its three parts", "[api]") {
    std::set<errc> seen;
    for (auto const& e : catalog()) {
        INFO(code_text(e.code));
        CHECK(seen.insert(e.code).second);
        CHECK_FALSE(e.title.empty());
        CHECK_FALSE(e.disk.empty());
        CHECK_FALSE(e.next.empty());
        CHECK(e.exit != exit_code::done);
        CHECK(e.http >= 400);
        CHECK(&explain(e.code) == &e);
    }
}

TEST_CASE("catalog: every code of error.hpp is in it, and in the documentation", "[api]") {
    auto const header = must(read_file(SOURCE_DIR "/agent/base/error.hpp"));
    auto const page = must(read_file(SOURCE_DIR "/docs/errors.md"));
    std::size_t count = 0;
    for (auto at = header.find("enum class errc"); at < header.find("};"); ++count) {
        at = header.find(" = ", at) + 3;
        auto const number = std::stoi(header.substr(at));
        if (number == 0) break;
        INFO(number);
        CHECK(std::ranges::any_of(catalog(), [&](auto const& e) { return static_cast<int>(e.code) == number; }));
        CHECK_THAT(page, ContainsSubstring("| " + code_text(static_cast<errc>(number)) + " |"));
        if (header.find(" = ", at) > header.find("};")) break;
    }
    CHECK(count + 1 == catalog().size());
}

TEST_CASE("problem: RFC 9457 members, and the error comes back from it", "[api]") {
    error const e{errc::device_held, 0, "held by pid 4711"};
    auto const p = must(api::decode<api::problem>(api::encode(api::make_problem(e))));
    CHECK(p.code == "E0042");
    CHECK(p.status == 500);
    CHECK(p.detail == "held by pid 4711");
    CHECK_FALSE(p.next.empty());
    CHECK(api::from_problem(p).code == errc::device_held);
    CHECK(api::from_problem({}).code == errc::bad_reply);
}

TEST_CASE("full text: what happened, what it means for the disk, the next command", "[api]") {
    auto const text = full_text({errc::disk_foreign, 0, "/dev/x holds ext4"});
    CHECK_THAT(text, StartsWith("E0024 ") && ContainsSubstring("/dev/x holds ext4") &&
                         ContainsSubstring("\n  disk: untouched") && ContainsSubstring("\n  next: "));
}

TEST_CASE("codec: a status goes there and back", "[api]") {
    api::status s;
    s.state = "leased";
    s.volume = api::volume_view{"m", {"a", "b"}, "/mnt", true, "aes", 512, 4096, 1ULL << 40, 17};
    s.jobs = {{"17", "alice", "2026-05-01T12:00:00Z", "/mnt/17", {}}};
    s.last_wipe = api::last_wipe_view{3, "t", "crypto", 0.412, true};
    auto const back = must(api::decode<api::status>(api::encode(s)));
    CHECK(back.volume->size_bytes == 1ULL << 40);
    CHECK(back.jobs[0].user == "alice");
    CHECK(back.last_wipe->duration_seconds == 0.412);
    CHECK_FALSE(api::decode<api::status>("{}").has_value());
}
