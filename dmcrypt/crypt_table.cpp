#include "dmcrypt/crypt_table.hpp"

#include "agent/base/mounts.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <sstream>

namespace scratchd {
namespace {

std::unexpected<error> differs(std::string what) {
    return fail(errc::table_mismatch, "the live dm-crypt table " + std::move(what));
}

}  // namespace

result<> verify_crypt_table(std::vector<dm::target> const& live, expected_table const& expected) {
    if (live.size() != 1) return differs(fmt::format("has {} targets, not one", live.size()));
    auto const& only = live.front();
    if (only.type != "crypt") return differs(fmt::format("is of type {}", only.type));
    if (only.start != 0 || only.length != expected.sectors)
        return differs(fmt::format("covers {}+{} sectors, not 0+{}", only.start, only.length, expected.sectors));

    std::istringstream words(only.parameters);
    std::string cipher;
    std::string key;
    std::string iv_offset;
    std::string device;
    std::string offset;
    std::size_t option_count = 0;
    words >> cipher >> key >> iv_offset >> device >> offset >> option_count;
    std::vector<std::string> options;
    for (std::string word; words >> word;) options.push_back(word);

    if (cipher != volume_cipher) return differs("has cipher " + cipher);
    if (!key.starts_with(fmt::format(":{}:logon:", volume_key_bytes)))
        return differs("does not take its key of 512 bits from the keyring");
    if (iv_offset != "0" || offset != "0") return differs(fmt::format("starts at {} with IV {}", offset, iv_offset));
    if (device != device_text(expected.below))
        return differs(fmt::format("lies over {}, not over {}", device, device_text(expected.below)));
    if (options.size() != option_count) return differs("has options that do not add up");
    if (std::ranges::find(options, fmt::format("sector_size:{}", volume_sector_bytes)) == options.end())
        return differs("has no 4096-byte sectors");
    constexpr std::string_view harmless[] = {"no_read_workqueue", "no_write_workqueue", "same_cpu_crypt",
                                             "sector_size:4096"};
    for (auto const& option : options)
        if (std::ranges::find(harmless, option) == std::end(harmless)) return differs("has option " + option);
    return {};
}

}  // namespace scratchd
