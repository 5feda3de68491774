#include "agent/daemon/job_account.hpp"

#include <grp.h>
#include <pwd.h>
#include <charconv>

namespace scratchd {
namespace {

constexpr std::size_t entry_bytes = 65536;
constexpr int most_groups = 65536;

}  // namespace

result<account> find_user(std::string const& user) {
    if (user.empty() || user.contains('\0')) return fail(errc::user_unknown, "the user is empty");
    passwd entry{};
    passwd* found = nullptr;
    std::vector<char> buffer(entry_bytes);
    uid_t uid = 0;
    auto const [end, bad] = std::from_chars(user.data(), user.data() + user.size(), uid);
    bool const numeric = bad == std::errc{} && end == user.data() + user.size();
    int const rc = numeric ? ::getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found)
                           : ::getpwnam_r(user.c_str(), &entry, buffer.data(), buffer.size(), &found);
    if (found == nullptr) return fail(errc::user_unknown, user.substr(0, 64), rc);
    return account{found->pw_name, found->pw_uid, found->pw_gid};
}

std::vector<std::string> groups_of(std::string const& user, gid_t primary) {
    int count = 64;
    std::vector<gid_t> ids(static_cast<std::size_t>(count));
    while (::getgrouplist(user.c_str(), primary, ids.data(), &count) < 0 && count <= most_groups)
        ids.resize(static_cast<std::size_t>(count));
    ids.resize(static_cast<std::size_t>(count));
    std::vector<std::string> names;
    std::vector<char> buffer(entry_bytes);
    for (auto const id : ids) {
        group entry{};
        group* found = nullptr;
        if (::getgrgid_r(id, &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr)
            names.emplace_back(found->gr_name);
    }
    return names;
}

}  // namespace scratchd
