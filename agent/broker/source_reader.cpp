#include "agent/broker/source_reader.hpp"

#include <unistd.h>

namespace scratchd::broker {
namespace {

constexpr std::size_t largest_source = 1U << 20U;
constexpr auto answer_limit = std::chrono::seconds(5);

// A regular file on a local disk: reading does not block.
result<secret> read_all(int fd, std::string const& name) {
    SCRATCHD_TRY(auto all, secret::make(largest_source + 1));
    std::size_t size = 0;
    while (size < all.size()) {
        auto const n = ::pread(fd, all.bytes().data() + size, all.size() - size, static_cast<off_t>(size));
        if (n < 0) return fail_errno("read " + name);
        if (n == 0) break;
        size += static_cast<std::size_t>(n);
    }
    if (size > largest_source) return fail(errc::credential_format, name + " has more than 1 MiB");
    all.truncate(size);
    return all;
}

task<result<secret>> read_source(root_link& root, std::string name) {
    api::channel_message question;
    question.op = "want-source";
    question.name = name;
    auto got = co_await root.ask(std::move(question), deadline::in(answer_limit));
    if (!got) co_return std::unexpected(std::move(got).error());
    if (got->fds.size() != 1) co_return fail(errc::bad_request, "scratchd sent no descriptor for " + name);
    co_return read_all(got->fds.front().get(), name);
}

}  // namespace

vault::source_reader make_source_reader(root_link& root) {
    return [&root](std::string name) { return read_source(root, std::move(name)); };
}

}  // namespace scratchd::broker
