#include "agent/broker/grant.hpp"

#include <fmt/format.h>
#include <algorithm>

namespace scratchd::broker {

result<std::shared_ptr<grant>> grant::admit(grant_request& request, config const& settings, store const& values) {
    std::shared_ptr<grant> made(new grant(request.job, request.uid, values));
    SCRATCHD_TRY(made->credentials_, find_credentials(settings, request.credentials));
    for (auto const& c : made->credentials_)
        if (!may_have(c, request.user, request.groups))
            return fail(errc::credential_denied, fmt::format("credential {} is not for user {}", c.name, request.user));
    made->files_ = files_of(made->credentials_);
    auto const as_named = [](delivered_file const& f, std::string const& name) { return f.name == name; };
    if (!std::ranges::equal(made->files_, request.files, as_named) || request.files.size() != request.outlets.size())
        return fail(errc::bad_request, "scratchd made other files than the broker's configuration has: restart both");
    return made;
}

result<shared_secret> grant::value(std::string const& name) const {
    if (!has(name)) return fail(errc::credential_unknown, fmt::format("\"{}\" was not granted to this job", name));
    auto const now = values_.peek(name);
    if (!now) return fail(errc::credential_gone, fmt::format("credential {} is not there any more", name));
    return now->value;
}

bool grant::has(std::string const& name) const {
    return std::ranges::find(credentials_, name, &credential_config::name) != credentials_.end();
}

std::vector<delivered_file> grant::files(std::string const& credential) const {
    auto all = files_;
    std::erase_if(all, [&](auto const& f) { return f.credential != credential; });
    return all;
}

}  // namespace scratchd::broker
