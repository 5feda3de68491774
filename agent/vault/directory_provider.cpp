#include "agent/vault/providers.hpp"
#include "agent/vault/secret_text.hpp"

#include <algorithm>

namespace scratchd::vault {
namespace {

constexpr std::size_t longest_value = 1U << 20U;

class directory_provider final : public provider {
public:
    explicit directory_provider(source_reader read) : read_(std::move(read)) {}

    task<result<fetched>> fetch(secret_ref what, deadline until) override {
        if (until.passed()) co_return fail(errc::timed_out, "no time left");
        if (!is_file_name(what.name)) co_return fail(errc::bad_request, "not the name of a file in [broker] directory");
        if (!what.version.empty()) co_return fail(errc::secret_missing, what.name + ": files have no versions");
        auto value = co_await read_(what.name);
        if (!value) co_return std::unexpected(std::move(value).error());
        if (value->size() > longest_value) co_return fail(errc::credential_format, what.name + " is above 1 MiB");
        trim_newline(*value);
        if (value->size() == 0) co_return fail(errc::credential_format, what.name + " is empty");
        co_return fetched{*std::move(value), {}, {}, {}};
    }

    task<result<fetched>> registry_login(std::string, std::string, deadline) override {
        co_return fail(errc::not_configured, "a registry login by identity needs provider azure-key-vault");
    }

    void forget() override {}

private:
    source_reader read_;
};

}  // namespace

std::unique_ptr<provider> make_directory_provider(source_reader read) {
    return std::make_unique<directory_provider>(std::move(read));
}

bool is_file_name(std::string_view name) noexcept {
    return !name.empty() && name.size() <= 127 && name.front() != '.' && std::ranges::all_of(name, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
               c == '.';
    });
}

}  // namespace scratchd::vault
