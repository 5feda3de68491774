// The JSON names of what the journal holds. Include only from .cpp files.
#pragma once

#include "agent/base/fields.hpp"
#include "agent/job/snapshot.hpp"

namespace scratchd {

template <class A>
void fields(A& a, generation& g) {
    a("number", g.number);
    a("mapping", g.mapping);
    a("devices", g.devices);
    a("mount", g.mount);
    a("cipher", g.cipher);
    a("key_bits", g.key_bits);
    a("sector_size", g.sector_size);
    a("size_bytes", g.size_bytes);
    a("fingerprint", g.fingerprint);
    a("canary", g.canary);
}

template <class A>
void fields(A& a, lease& l) {
    a("job", l.job);
    a("user", l.user);
    a("uid", l.uid);
    a("gid", l.gid);
    a("since", l.since);
    a("cgroups", l.cgroups);
    a("credentials", l.credentials);
}

template <class A>
void fields(A& a, last_wipe& w) {
    a("sequence", w.sequence);
    a("time", w.time);
    a("method", w.method);
    a("duration_ms", w.duration_ms);
    a("verified", w.verified);
}

template <class A>
void fields(A& a, snapshot& s) {
    std::string state(state_text(s.state));
    a("serial", s.serial);
    a("boot_id", s.boot_id);
    a("state", state);
    a("step", s.step);
    a("reason", s.reason);
    a("generations", s.generations);
    a("volume", s.volume);
    a("last_fingerprint", s.last_fingerprint);
    a("last_canary", s.last_canary);
    a("leases", s.leases);
    a("pending", s.pending);
    a("wiped", s.wiped);
    s.state = parse_state(state).value_or(node_state::quarantine);
}

}  // namespace scratchd
