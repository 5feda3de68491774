#include "agent/broker/file_text.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <cstring>

namespace scratchd::broker {
namespace {

std::span<char const> text_of(secret const& value) {
    return {reinterpret_cast<char const*>(value.bytes().data()), value.size()};
}

// What surrounds the value is no secret; the whole stands in locked memory only.
result<secret> around(std::string const& before, std::span<char const> value, std::string const& after) {
    SCRATCHD_TRY(auto made, secret::make(before.size() + value.size() + after.size()));
    auto* to = reinterpret_cast<char*>(made.bytes().data());
    std::memcpy(to, before.data(), before.size());
    std::memcpy(to + before.size(), value.data(), value.size());
    std::memcpy(to + before.size() + value.size(), after.data(), after.size());
    return made;
}

std::string endpoint_of(credential_config const& c) {
    return c.endpoint.empty() ? fmt::format("https://{}.blob.core.windows.net", c.account) : c.endpoint;
}

result<secret> rclone(credential_config const& c, std::span<char const> value) {
    auto const head = fmt::format("[{}]\ntype = azureblob\n", c.name);
    if (c.format == "key")
        return around(fmt::format("{}account = {}\nendpoint = {}\nkey = ", head, c.account, endpoint_of(c)), value,
                      "\n");
    return around(fmt::format("{}sas_url = {}/{}?", head, endpoint_of(c), c.container), value, "\n");
}

result<secret> blobfuse2(credential_config const& c, std::span<char const> value) {
    auto const head =
        fmt::format("azstorage:\n  type: block\n  account-name: {}\n  container: {}\n  endpoint: {}\n  mode: {}\n",
                    c.account, c.container, endpoint_of(c), c.format == "key" ? "key" : "sas");
    return around(head + (c.format == "key" ? "  account-key: \"" : "  sas: \"?"), value, "\"\n");
}

}  // namespace

result<secret> file_text(delivered_file::form form, credential_config const& credential, secret const& value) {
    auto text = text_of(value);
    if (form == delivered_file::form::value) return around("", text, "");
    if (credential.format == "sas" && !text.empty() && text.front() == '?') text = text.subspan(1);
    bool const odd = text.empty() || std::ranges::any_of(text, [](unsigned char c) {
                         return c <= ' ' || c >= 127 || c == '"' || c == '\\' || c == '\'';
                     });
    if (odd)
        return fail(errc::credential_format,
                    fmt::format("credential {} is no {} of one line", credential.name, credential.format));
    return form == delivered_file::form::rclone ? rclone(credential, text) : blobfuse2(credential, text);
}

}  // namespace scratchd::broker
