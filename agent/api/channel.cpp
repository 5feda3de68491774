#include "agent/api/channel.hpp"

#include "agent/base/fields.hpp"

namespace scratchd::api {

template <class A>
void fields(A& a, channel_message& m) {
    a("op", m.op);
    a("serial", m.serial);
    a("job", m.job);
    a("name", m.name);
    a("user", m.user);
    a("uid", m.uid);
    a("gid", m.gid);
    a("jobs", m.jobs);
    a("groups", m.groups);
    a("credentials", m.credentials);
    a("files", m.files);
    a("budget_ms", m.budget_ms);
    a("code", m.code);
    a("what", m.what);
}

std::string encode(channel_message const& m) {
    return json::canonical(json::write(m));
}

result<channel_message> decode_channel(std::string_view text) {
    return json::read_text<channel_message>(text, {65536, 4});
}

channel_message refusal(std::uint64_t serial, std::string op, error const& why) {
    channel_message m;
    m.op = std::move(op);
    m.serial = serial;
    m.code = static_cast<int>(why.code);
    m.what = why.message().substr(0, 1024);
    return m;
}

error refused(channel_message const& m) {
    return {static_cast<errc>(m.code.value_or(static_cast<int>(errc::internal))), 0,
            m.what.value_or("no reason given")};
}

}  // namespace scratchd::api
