// The root daemon's inside: the node, what it works with, and how requests reach it. Everything below runs on the disk
// thread but for published(), which the event loop reads.
#pragma once

#include "agent/api/types.hpp"
#include "agent/config/config.hpp"
#include "agent/daemon/choose_disks.hpp"
#include "agent/job/node.hpp"

#include <filesystem>
#include <memory>
#include <optional>

namespace scratchd {

struct service_paths {
    std::filesystem::path state = "/var/lib/scratchd";
    std::filesystem::path runtime = "/run/scratchd";
};

// Makes the volume once the disks are known; tests give one that behaves in memory.
using volume_factory = std::function<std::unique_ptr<volume>(config const&, std::vector<disk_facts>)>;

struct service_seams {
    volume_factory make_volume;
    std::function<result<chosen_disks>(scratch_config const&, disk_ledger&)> choose;
    cleaner& cleaning;
    credential_port& credentials;
    std::function<void(api::status)> publish;
    std::string boot_id;
};

class service {
public:
    // Takes the state folder: already_running when another daemon has it.
    static result<std::unique_ptr<service>> open(config settings, service_paths paths, service_seams seams);

    // Seals hbi, chooses the disks, recovers or wipes. A failure leaves a service that answers and takes no job.
    void start();
    result<> stop();
    // Follows what a wipe left to the kernel; call now and then. True while there is something to follow.
    bool settle();

    result<begin_outcome> begin(begin_spec const& spec);
    result<end_outcome> end(end_spec const& spec);
    result<end_outcome> wipe(initiator who);
    result<api::disk_list> disks();
    [[nodiscard]] record_store const& records() const { return *records_; }
    [[nodiscard]] config const& settings() const { return settings_; }

private:
    service(config settings, service_paths paths, service_seams seams);
    result<> open_state();
    result<chosen_disks> prepare();
    void publish(snapshot const& s);

    config settings_;
    service_paths paths_;
    service_seams seams_;
    unique_fd lock_;
    std::optional<node_identity> identity_;
    std::optional<journal> journal_;
    std::optional<record_store> records_;
    std::optional<seen_keys> keys_;
    std::optional<disk_ledger> ledger_;
    std::unique_ptr<volume> volume_;
    std::unique_ptr<node> node_;
    std::optional<deadline> settle_until_;
};

}  // namespace scratchd
