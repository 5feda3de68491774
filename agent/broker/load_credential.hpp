// The socket of systemd units: LoadCredential=NAME:/run/scratchd-broker/credential.sock (systemd.exec(5)).
//
// systemd connects from the abstract address \0<hex>/unit/<unit>/<credential>, sends nothing and reads to the end
// (systemd, execute.c, load_credential). Anybody can bind such an address, so the peer must be uid 0: root says which
// unit it asks for. There is no way to say no: whoever is refused gets an empty credential (systemd issue 27373), so
// a unit has to assert that it is not empty. The root of a user namespace is its user to SO_PEERCRED, so refused.
#pragma once

#include "agent/base/handle.hpp"
#include "agent/broker/source.hpp"
#include "agent/ipc/loop.hpp"
#include "agent/ipc/message.hpp"
#include "agent/ipc/task.hpp"

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace scratchd::broker {

struct unit_request {
    std::string unit;        // "train@7.service"
    std::string credential;  // the ID of LoadCredential=
};

// `address` is sun_path as getpeername(2) gives it, with the leading NUL. Unit: a name of unit-name.c with one of the
// suffixes of units that run something; credential: [A-Za-z0-9._-], at most 64, not starting with a dot. Pure.
std::optional<unit_request> parse_unit_address(std::string_view address);

struct unit_service {
    // May suspend; is cancelled at the limit. Decides whether the unit is configured for it.
    std::function<task<result<shared_secret>>(unit_request)> fetch;
    // For the audit log. Without a request: the address was not systemd's.
    std::function<void(ipc::peer const&, std::optional<unit_request> const&, error const&)> refused;
    std::function<void(ipc::peer const&, unit_request const&)> served;
};

struct unit_limits {
    std::size_t connections = 64;           // served at once; more wait
    std::chrono::milliseconds time{30000};  // from connect to the last byte
    uid_t allowed = 0;                      // another in tests only
};

class unit_server {
public:
    unit_server(ipc::loop& on, unique_fd listening, unit_service service, unit_limits limits = {});
    // No callback is called after it; a fetch that is under way ends at its own limit, to nobody's use.
    ~unit_server();
    unit_server(unit_server const&) = delete;
    unit_server& operator=(unit_server const&) = delete;

private:
    struct state;
    std::shared_ptr<state> state_;
};

}  // namespace scratchd::broker
