#include "agent/base/file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cerrno>

namespace scratchd {
namespace {

// A full disk has its own code: the operator must free space before the node can prove anything.
std::unexpected<error> write_failed(std::string what) {
    return fail_errno(std::move(what), errno == ENOSPC || errno == EDQUOT ? errc::state_full : errc::io);
}

}  // namespace

result<unique_fd> open_file(std::filesystem::path const& path, int flags, mode_t mode) {
    int const fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
    if (fd < 0)
        return (flags & O_CREAT) != 0 ? write_failed("open " + path.string()) : fail_errno("open " + path.string());
    return unique_fd(fd);
}

result<std::string> read_fd(int fd, std::size_t limit) {
    std::string all;
    char buffer[16384];
    for (;;) {
        auto const n = ::read(fd, buffer, sizeof buffer);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_errno("read");
        if (n == 0) return all;
        all.append(buffer, static_cast<std::size_t>(n));
        if (all.size() > limit) return fail(errc::io, "more bytes than allowed", EFBIG);
    }
}

result<std::string> read_file(std::filesystem::path const& path, std::size_t limit) {
    SCRATCHD_TRY(auto const fd, open_file(path, O_RDONLY | O_NOCTTY));
    auto text = read_fd(fd.get(), limit);
    if (!text) return std::unexpected(std::move(text).error().while_doing(path.string()));
    return text;
}

result<std::string> read_line(std::filesystem::path const& path) {
    SCRATCHD_TRY(auto text, read_file(path, 65536));
    if (auto const end = text.find('\n'); end != std::string::npos) text.resize(end);
    return text;
}

result<> write_all(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
        auto const n = ::write(fd, bytes.data(), bytes.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return write_failed("write");
        bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return {};
}

result<> sync_folder(std::filesystem::path const& folder) {
    SCRATCHD_TRY(auto const fd, open_file(folder, O_RDONLY | O_DIRECTORY));
    if (::fsync(fd.get()) != 0) return write_failed("fsync " + folder.string());
    return {};
}

result<> replace_file(std::filesystem::path const& path, std::string_view bytes, mode_t mode) {
    auto const temporary = path.string() + ".new";
    auto write = [&]() -> result<> {
        SCRATCHD_TRY(auto const fd, open_file(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, mode));
        if (::fchmod(fd.get(), mode) != 0) return fail_errno("fchmod " + temporary);
        SCRATCHD_CHECK(write_all(fd.get(), bytes));
        if (::fsync(fd.get()) != 0) return write_failed("fsync " + temporary);
        if (::rename(temporary.c_str(), path.c_str()) != 0) return write_failed("rename " + temporary);
        return {};
    };
    if (auto written = write(); !written) {
        (void)::unlink(temporary.c_str());
        return std::unexpected(std::move(written).error().while_doing("replace " + path.string()));
    }
    return sync_folder(path.parent_path());
}

}  // namespace scratchd
