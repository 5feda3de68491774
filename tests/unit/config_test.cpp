#include "agent/config/nearest.hpp"
#include "agent/config/parse.hpp"
#include "agent/config/schema.hpp"
#include "tests/support/expect.hpp"
#include "tests/support/temp_folder.hpp"

#include <sys/stat.h>
#include <filesystem>

using namespace scratchd;

namespace {

result<config> load(temp_folder const& t) {
    return load_config(t.path() / "scratchd.toml");
}

constexpr char minimal[] = "[workspace]\nhbi = true\n[scratch]\ndisks = [\"/dev/disk/by-id/x\"]\n";

}  // namespace

TEST_CASE("config: the later drop-in wins key by key, and each value knows its origin", "[config]") {
    temp_folder const t;
    t.write("scratchd.toml", minimal);
    std::filesystem::create_directory(t.path() / "scratchd.toml.d");
    t.write("scratchd.toml.d/20-b.toml", "[cleanup]\ndeadline = \"20s\"\n[scratch]\nmount = \"/scratch/\"\n");
    t.write("scratchd.toml.d/10-a.toml", "[cleanup]\ndeadline = \"10s\"\n");
    t.write("scratchd.toml.d/30-c.conf", "nonsense");
    auto const c = must(load(t));
    CHECK(c.cleanup.deadline == std::chrono::seconds(20));
    CHECK(c.scratch.mount == "/scratch");
    CHECK(c.workspace.hbi);
    CHECK(c.origins.at("cleanup.deadline").text() == (t.path() / "scratchd.toml.d/20-b.toml").string() + ":2:1");
    auto const shown = show(c);
    CHECK(shown[0].key == "workspace.hbi");
    CHECK(shown[0].value == "true");
    for (auto const& s : shown)
        if (s.key == "scratch.adopt") CHECK(s.where.text() == "default");
}

TEST_CASE("config: what is shown can be read again", "[config]") {
    temp_folder const t;
    t.write("scratchd.toml", minimal);
    auto const c = must(load(t));
    std::string text;
    for (auto const& s : show(c)) text += s.key + " = " + s.value + "\n";
    temp_folder const again;
    again.write("scratchd.toml", text);
    auto const second = show(must(load(again)));
    for (std::size_t i = 0; i < second.size(); ++i) CHECK(second[i].value == show(c)[i].value);
}

TEST_CASE("config: a disk's name must be one that stays with it", "[config]") {
    auto const named = [](std::string const& disk) {
        temp_folder const t;
        t.write("scratchd.toml", "[workspace]\nhbi = true\n[scratch]\ndisks = [\"" + disk + "\"]\n");
        return load(t).has_value();
    };
    for (char const* good : {"/dev/disk/by-id/nvme-x", "/dev/disk/by-id/nvme-*", "/dev/disk/by-path/p", "/dev/loop0"})
        CHECK(named(good));
    for (char const* bad :
         {"/dev/sdb", "/dev/disk/by-id/", "/dev/disk/by-id/../../sda", "/dev/disk/by-uuid/u", "loop0", ""})
        CHECK_FALSE(named(bad));
}

TEST_CASE("config: a problem has its place and the nearest name", "[config]") {
    auto const [text, code, words] = GENERATE(table<std::string, errc, std::string>({
        {"[scratch]\n  dsks = []\n", errc::config_value,
         ":2:3: unknown key scratch.dsks (did you mean scratch.disks?)"},
        {"[workspace]\nhbi = \"yes\"\n", errc::config_value, ":2:1: workspace.hbi must be true or false"},
        {"[scratch]\nadopt = \"blnk\"\n", errc::config_value, "(did you mean blank?)"},
        {"[scratch]\ndisks = [1]\n", errc::config_value, ":2:10: a list may hold strings only"},
        {"[scratch]\ndisks = [\"/dev/sdb\"]\n", errc::config_value, "not a stable disk name"},
        {"[scratch]\nbytes_per_inode = 1\n", errc::config_value, "between"},
        {"[scratch]\nbytes_per_inode = 1.5\n", errc::config_value, "not used anywhere"},
        {"[scratch]\nmount = \"/a/../b\"\n", errc::config_value, "absolute path"},
        {"[scratch]\nmount = \"\"\n", errc::config_value, "absolute path"},
        {"[scratch]\ndisks = [\"/dev/disk/by-label/x\"]\n", errc::config_value, "not a stable disk name"},
        {"[workspace]\nrole = \"instance\"\n", errc::config_value, ":2:1: workspace.role"},
        {"[cleanup]\ndeadline = 30\n", errc::config_value, "duration"},
        {"[cleanup\n", errc::config_syntax, ":1:9: "},
        {"a = \n", errc::config_syntax, ":1:5: "},
        {"[zzzzzzzzzz]\nqqqqqqqqqqqqqq = 1\n", errc::config_value, "unknown key zzzzzzzzzz.qqqqqqqqqqqqqq"},
    }));
    temp_folder const t;
    t.write("scratchd.toml", text);
    auto const loaded = load(t);
    REQUIRE(fails_with(loaded, code));
    CHECK_THAT(loaded.error().what, ContainsSubstring(words));
}

TEST_CASE("config: a file that others can change, a link and a folder are refused", "[config]") {
    temp_folder const t;
    auto const file = t.write("scratchd.toml", minimal);
    chmod(file.c_str(), 0664);
    CHECK(fails_with(load(t), errc::config_insecure));
    chmod(file.c_str(), 0644);
    must(load(t));
    std::filesystem::rename(file, t.path() / "real");
    std::filesystem::create_symlink(t.path() / "real", file);
    CHECK(fails_with(load(t), errc::config_insecure));
    std::filesystem::remove(file);
    CHECK(fails_with(load(t), errc::config_missing));
    std::filesystem::create_directory(file);
    CHECK(fails_with(load(t), errc::config_insecure));
}

TEST_CASE("config: disks without hbi are refused by name", "[config]") {
    temp_folder const t;
    t.write("scratchd.toml", "[scratch]\ndisks = [\"/dev/loop0\"]\n");
    CHECK(fails_with(load(t), errc::config_value));
    t.write("scratchd.toml", "");
    CHECK(must(load(t)).scratch.disks.empty());
}

TEST_CASE("config: durations", "[config]") {
    CHECK(must(parse_duration("30s")).count() == 30000);
    CHECK(must(parse_duration("500ms")).count() == 500);
    CHECK(must(parse_duration("2h")).count() == 7200000);
    for (char const* bad : {"", "s", "30", "30 s", "-1s", "1.5s", "1d", "99999999999999999999s", "1000001s"})
        CHECK_FALSE(parse_duration(bad).has_value());
}

TEST_CASE("nearest: near names only", "[config]") {
    CHECK(did_you_mean("scratch.mont", {"scratch.mount", "scratch.disks"}) == " (did you mean scratch.mount?)");
    CHECK(did_you_mean("hbi", {"workspace.hbi"}) == " (did you mean workspace.hbi?)");
    CHECK(did_you_mean("qqqqqqqq", {"scratch.mount"}).empty());
    CHECK(did_you_mean("x", {}).empty());
}
