#include "agent/job/journal.hpp"

#include "agent/base/file.hpp"
#include "agent/job/snapshot_fields.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>
#include <cerrno>
#include <vector>

namespace scratchd {
namespace {

constexpr std::size_t compact_above = 1U << 20U;
constexpr std::size_t largest_journal = 8U << 20U;
constexpr std::size_t mac_chars = 64;

std::unexpected<error> broken(std::string what) {
    return fail(errc::journal_broken, std::move(what));
}

std::vector<std::string_view> lines_of(std::string_view text) {
    std::vector<std::string_view> lines;
    while (!text.empty()) {
        auto const end = text.find('\n');
        lines.push_back(text.substr(0, end));
        text = end == std::string_view::npos ? "" : text.substr(end + 1);
    }
    return lines;
}

}  // namespace

result<std::string> journal::seal(snapshot const& s) const {
    auto const body = json::canonical(json::write(s));
    SCRATCHD_TRY(auto const mac, identity_->journal_mac(body));
    return fmt::format("{} {}\n", mac, body);
}

result<snapshot> journal::unseal(std::string_view line) const {
    if (line.size() < mac_chars + 2 || line[mac_chars] != ' ')
        return broken("a line of the journal is no line of ours");
    auto const body = line.substr(mac_chars + 1);
    SCRATCHD_TRY(auto const mac, identity_->journal_mac(body));
    if (mac != line.substr(0, mac_chars)) return broken("a line of the journal was changed");
    auto read = json::read_text<snapshot>(body, {largest_journal, 16});
    if (!read) return broken("a line of the journal: " + read.error().what);
    return read;
}

result<journal> journal::open(std::filesystem::path const& state, node_identity const& identity) {
    journal opened(state / "journal", identity);
    SCRATCHD_TRY(opened.file_, open_file(opened.path_, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW, 0600));
    SCRATCHD_CHECK(sync_folder(state));
    if (auto const newest = opened.last(); newest && *newest) opened.serial_ = (*newest)->serial;
    SCRATCHD_TRY(auto const text, read_file(opened.path_, largest_journal));
    auto const whole = text.rfind('\n');
    opened.bytes_ = whole == std::string::npos ? 0 : whole + 1;
    if (opened.bytes_ != text.size() && ::ftruncate(opened.file_.get(), static_cast<off_t>(opened.bytes_)) != 0)
        return fail_errno("cut the torn end off the journal");
    return opened;
}

result<> journal::set_aside() {
    if (::rename(path_.c_str(), (path_.string() + ".broken").c_str()) != 0) return fail_errno("rename the journal");
    SCRATCHD_TRY(file_, open_file(path_, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW, 0600));
    bytes_ = 0;
    serial_ = 0;
    return sync_folder(path_.parent_path());
}

result<std::optional<snapshot>> journal::last() const {
    SCRATCHD_TRY(auto const text, read_file(path_, largest_journal));
    auto lines = lines_of(text);
    // Only a line that ends in a newline was written whole.
    if (!text.empty() && text.back() != '\n') lines.pop_back();
    if (lines.empty()) return std::optional<snapshot>{};
    std::uint64_t before = 0;
    std::optional<snapshot> newest;
    for (auto const line : lines) {
        SCRATCHD_TRY(newest, unseal(line));
        if (newest->serial <= before) return broken("the journal's lines are out of order");
        before = newest->serial;
    }
    return newest;
}

result<> journal::write(snapshot& next) {
    next.serial = ++serial_;
    SCRATCHD_TRY(auto const line, seal(next));
    if (bytes_ + line.size() > compact_above) {
        SCRATCHD_CHECK(replace_file(path_, line, 0600));
        SCRATCHD_TRY(file_, open_file(path_, O_RDWR | O_APPEND | O_NOFOLLOW));
        bytes_ = line.size();
        return {};
    }
    auto written = write_all(file_.get(), line);
    if (written && ::fdatasync(file_.get()) != 0)
        written = fail_errno("fdatasync journal", errno == ENOSPC ? errc::state_full : errc::io);
    if (!written) {
        // Half a line must not stay in front of the next one, nor one that may not be on the disk.
        (void)::ftruncate(file_.get(), static_cast<off_t>(bytes_));
        return written;
    }
    bytes_ += line.size();
    return {};
}

}  // namespace scratchd
