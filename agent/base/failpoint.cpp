#include "agent/base/failpoint.hpp"

#ifdef SCRATCHD_FAILPOINTS

#include <charconv>
#include <csignal>
#include <map>
#include <mutex>
#include <string>

namespace scratchd::failpoint {
namespace {

struct armed {
    std::mutex guard;
    std::map<std::string, std::string, std::less<>> actions;
};

armed& table() {
    static armed the;
    return the;
}

}  // namespace

result<> arm(std::string_view setting) {
    auto const equals = setting.find('=');
    if (equals == std::string_view::npos) return fail(errc::bad_request, "a failpoint is NAME=kill|fail:ERRNO|stall");
    auto const action = setting.substr(equals + 1);
    if (action != "kill" && action != "stall" && !action.starts_with("fail:"))
        return fail(errc::bad_request, "unknown failpoint action " + std::string(action));
    std::lock_guard const lock(table().guard);
    table().actions.emplace(setting.substr(0, equals), action);
    return {};
}

result<> reach(std::string_view name) {
    std::string action;
    {
        std::lock_guard const lock(table().guard);
        auto const found = table().actions.find(name);
        if (found == table().actions.end()) return {};
        action = found->second;
        table().actions.erase(found);
    }
    if (action == "kill") (void)raise(SIGKILL);
    if (action == "stall") (void)raise(SIGSTOP);
    if (!action.starts_with("fail:")) return {};
    int number = 0;
    std::from_chars(action.data() + 5, action.data() + action.size(), number);
    return fail(errc::io, "failpoint " + std::string(name), number);
}

}  // namespace scratchd::failpoint

#endif
