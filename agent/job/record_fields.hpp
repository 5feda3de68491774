// The JSON names of a record. Include only from .cpp files.
#pragma once

#include "agent/base/fields.hpp"
#include "agent/job/record.hpp"

namespace scratchd {

template <class A>
void fields(A& a, check& c) {
    a("name", c.name);
    a("ok", c.ok);
    a("detail", c.detail);
}

template <class A>
void fields(A& a, initiator& i) {
    a("uid", i.uid);
    a("pid", i.pid);
    a("program", i.program);
}

template <class A>
void fields(A& a, recorded_disk& d) {
    a("name", d.name);
    a("model", d.model);
    a("serial", d.serial);
    a("size_bytes", d.size_bytes);
    a("provenance", d.provenance);
}

template <class A>
void fields(A& a, record& r) {
    a("schema", r.schema);
    a("sequence", r.sequence);
    a("previous", r.previous);
    a("node", r.node);
    a("boot_id", r.boot_id);
    a("time", r.time);
    a("version", r.version);
    a("kind", r.kind);
    a("outcome", r.outcome);
    a("reason", r.reason);
    a("job", r.job);
    a("jobs", r.jobs);
    a("hbi", r.hbi);
    a("method", r.method);
    a("level", r.level);
    a("level_reason", r.level_reason);
    a("disks", r.disks);
    a("generation_before", r.generation_before);
    a("generation_after", r.generation_after);
    a("key_before", r.key_before);
    a("key_after", r.key_after);
    a("checks", r.checks);
    a("residue", r.residue);
    a("durations_ms", r.durations_ms);
    a("initiator", r.who);
}

}  // namespace scratchd
