#include "agent/broker/agent_protocol.hpp"

#include <algorithm>

namespace scratchd::broker {
namespace {

// draft-ietf-sshm-ssh-agent, section 6.1
enum class message : std::uint8_t {
    failure = 5,
    success = 6,
    request_identities = 11,
    identities_answer = 12,
    sign_request = 13,
    sign_response = 14,
    extension = 27,
    extension_failure = 28,
    extension_response = 29,
};
constexpr std::uint8_t userauth_request = 50;  // RFC 4252

constexpr std::string_view session_bind = "session-bind@openssh.com";
constexpr std::size_t most_bindings = 16;
constexpr std::size_t longest_session = 128;
constexpr std::size_t longest_user = 64;

wire_writer begin(message type) {
    wire_writer out;
    out.byte(std::to_underlying(type));
    return out;
}

std::string only(message type) {
    return begin(type).take();
}

}  // namespace

// A signature over this logs somebody in: string session, byte 50, string user, ...
struct agent_connection::login {
    std::string_view session;
    std::string_view user;
    std::optional<std::string_view> host_blob;  // hostbound: the host's key as the login names it
};

std::optional<agent_connection::login> agent_connection::read_login(bytes_view data, std::string_view key_blob) {
    wire_reader in(data);
    login found;
    found.session = in.text();
    auto const type = in.byte();
    found.user = in.text();
    auto const service = in.text();
    auto const method = in.text();
    auto const is_signed = in.byte();
    (void)in.string();  // algorithm: what is signed with is decided by the key and the flags
    auto const blob = in.text();
    bool const is_hostbound = method == "publickey-hostbound-v00@openssh.com";
    if (is_hostbound) found.host_blob = in.text();
    if (!in.done() || type != userauth_request || service != "ssh-connection" || is_signed != 1 || blob != key_blob)
        return std::nullopt;
    if (!is_hostbound && method != "publickey") return std::nullopt;
    return found;
}

std::string agent_connection::list() {
    static std::vector<ring_key> const none;
    auto const& keys = is_forwarded_ || has_bad_binding_ ? none : keys_.refresh();
    auto out = begin(message::identities_answer);
    out.u32(static_cast<std::uint32_t>(keys.size()));
    for (auto const& k : keys) out.string(k.key.blob()).string(k.config.name);
    return out.take();
}

std::string_view agent_connection::refusal(ring_key const& key, std::optional<login> const& wanted) const {
    if (has_bad_binding_) return "the connection's binding did not verify";
    if (is_forwarded_) return "the connection is forwarded";
    auto const& hosts = key.config.hosts;
    if (hosts.empty()) return "";
    if (bindings_.empty()) return "the connection is not bound to a host";
    auto const& bound = bindings_.back();
    if (!wanted) return "not a login";
    if (wanted->session != bound.session) return "a login of another session";
    if (std::ranges::find(hosts, bound.fingerprint) == hosts.end()) return "not a host of this credential";
    if (wanted->host_blob && *wanted->host_blob != bound.host_blob) return "a login to another host";
    return "";
}

std::string agent_connection::sign(wire_reader& in) {
    auto const blob = in.text();
    auto const data = in.string();
    auto const flags = in.u32();
    if (!in.done()) return only(message::failure);
    auto const* const key = keys_.find(blob);
    auto const wanted = read_login(data, blob);
    agent_event event{key != nullptr ? key->config.name : "",
                      wanted ? std::string(wanted->user.substr(0, longest_user)) : "",
                      bindings_.empty() ? "" : bindings_.back().fingerprint, "no such key"};
    if (key != nullptr) event.refusal = refusal(*key, wanted);
    auto out = only(message::failure);
    if (event.refusal.empty()) {
        if (auto const signature = key->key.sign(data, flags))
            out = begin(message::sign_response).string(*signature).take();
        else event.refusal = "the key does not sign like this";
    }
    if (audit_) audit_(event);
    return out;
}

bool agent_connection::bind(wire_reader& in) {
    auto const host_blob = in.string();
    auto const session = in.string();
    auto const signature = in.string();
    bool const is_forwarding = in.byte() != 0;
    if (!in.done() || session.empty() || session.size() > longest_session) return false;
    if (is_bound_for_login_ || bindings_.size() >= most_bindings) return false;
    if (std::ranges::find(bindings_, as_text(session), &binding::session) != bindings_.end()) return false;
    auto const host = ssh_public_key::parse(host_blob);
    if (!host || !host->verify(session, signature)) return false;
    bindings_.push_back({std::string(as_text(session)), std::string(as_text(host_blob)), host->fingerprint()});
    (is_forwarding ? is_forwarded_ : is_bound_for_login_) = true;
    return true;
}

std::string agent_connection::extension(wire_reader& in) {
    auto const name = in.text();
    if (name == session_bind) {
        if (bind(in)) return only(message::success);
        has_bad_binding_ = true;
        return only(message::extension_failure);
    }
    if (name == "query" && in.done())
        return begin(message::extension_response).string("query").string("query").string(session_bind).take();
    return only(message::failure);
}

result<std::string> agent_connection::answer(bytes_view frame) {
    if (frame.empty()) return fail(errc::bad_request, "an empty message");
    wire_reader in(frame);
    std::string out;
    switch (static_cast<message>(in.byte())) {
    case message::request_identities: out = in.done() ? list() : only(message::failure); break;
    case message::sign_request: out = sign(in); break;
    case message::extension: out = extension(in); break;
    default: out = only(message::failure);
    }
    return out;
}

}  // namespace scratchd::broker
