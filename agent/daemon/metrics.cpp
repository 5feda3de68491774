#include "agent/daemon/metrics.hpp"

#include <prometheus/gauge.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

namespace scratchd {
namespace {

void gauge(prometheus::Registry& registry, char const* name, char const* help, double value,
           std::map<std::string, std::string> const& labels = {}) {
    prometheus::BuildGauge().Name(name).Help(help).Register(registry).Add(labels).Set(value);
}

}  // namespace

std::string metrics_text(api::status const& now) {
    prometheus::Registry registry;
    auto& states =
        prometheus::BuildGauge().Name("scratchd_state").Help("1 for the state the node is in").Register(registry);
    for (char const* state : {"quarantine", "wiping", "ready", "leased", "failed"})
        states.Add({{"state", state}}).Set(now.state == state ? 1 : 0);
    gauge(registry, "scratchd_hbi", "1 when the workspace is high business impact", now.hbi ? 1 : 0);
    gauge(registry, "scratchd_jobs", "Jobs that hold the volume", static_cast<double>(now.jobs.size()));
    gauge(registry, "scratchd_pending_mappings", "Ended mappings that are still open",
          static_cast<double>(now.pending.size()));
    if (now.volume) {
        gauge(registry, "scratchd_generation", "Number of the volume key in use",
              static_cast<double>(now.volume->generation));
        gauge(registry, "scratchd_volume_bytes", "Size of the volume", static_cast<double>(now.volume->size_bytes));
    }
    if (now.last_wipe) {
        gauge(registry, "scratchd_last_wipe_seconds", "How long the last wipe took", now.last_wipe->duration_seconds);
        gauge(registry, "scratchd_last_wipe_verified", "1 when every check of the last wipe passed",
              now.last_wipe->verified ? 1 : 0);
    }
    gauge(registry, "scratchd_info", "Version", 1, {{"version", now.version}});
    return prometheus::TextSerializer().Serialize(registry.Collect());
}

}  // namespace scratchd
