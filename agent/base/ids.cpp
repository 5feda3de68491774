#include "agent/base/ids.hpp"

#include <fmt/format.h>
#include <algorithm>

namespace scratchd {
namespace {

constexpr std::size_t longest = 64;

bool allowed(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("._-+,@[]").contains(c);
}

}  // namespace

result<job_id> job_id::parse(std::string_view text) {
    if (text.empty()) return fail(errc::job_id_invalid, "the job id is empty");
    if (text.size() > longest)
        return fail(errc::job_id_invalid, fmt::format("the job id has {} bytes, {} are allowed", text.size(), longest));
    if (text.front() == '.' || text.front() == '-')
        return fail(errc::job_id_invalid, "the job id starts with a dot or a dash");
    if (auto const bad = std::ranges::find_if_not(text, allowed); bad != text.end())
        return fail(errc::job_id_invalid,
                    fmt::format("the job id has byte 0x{:02x} at position {}; allowed are letters, "
                                "digits and . _ - + , @ [ ]",
                                static_cast<unsigned char>(*bad), bad - text.begin() + 1));
    return job_id(std::string(text));
}

}  // namespace scratchd
