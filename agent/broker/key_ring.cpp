#include "agent/broker/key_ring.hpp"

#include <algorithm>

namespace scratchd::broker {

std::vector<ring_key> const& key_ring::refresh() {
    std::vector<ring_key> now;
    std::vector<shared_secret> bad;
    for (auto& credential : source_.granted()) {
        if (credential.kind != "ssh") continue;
        auto value = source_.value(credential.name);
        if (!value) continue;
        if (auto held = std::ranges::find(keys_, *value, &ring_key::from); held != keys_.end()) {
            now.push_back({std::move(credential), *std::move(value), std::move(held->key)});
            keys_.erase(held);
            continue;
        }
        bool const told = std::ranges::find(bad_, *value) != bad_.end();
        auto key = told ? fail(errc::credential_format, "") : ssh_key::parse(**value);
        if (key) {
            now.push_back({std::move(credential), *std::move(value), *std::move(key)});
            continue;
        }
        if (!told && tell_) tell_(credential.name, key.error());
        bad.push_back(*std::move(value));
    }
    keys_ = std::move(now);
    bad_ = std::move(bad);
    return keys_;
}

ring_key const* key_ring::find(std::string_view blob) {
    auto const held = [&] { return std::ranges::find(keys_, blob, [](auto const& k) { return k.key.blob(); }); };
    if (auto const at = held(); at != keys_.end())
        if (auto const value = source_.value(at->config.name); value && *value == at->from) return &*at;
    (void)refresh();
    auto const at = held();
    return at == keys_.end() ? nullptr : &*at;
}

}  // namespace scratchd::broker
