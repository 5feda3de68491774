// JSON that may hold a secret: every byte of it stands in memory that is wiped when it is given back.
#pragma once

#include "agent/base/error.hpp"
#include "agent/base/secret.hpp"

#include <boost/json/fwd.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

namespace scratchd::vault {

// An object inside a document, or nothing. Valid as long as the document is.
class view {
public:
    view() = default;
    explicit view(boost::json::object const* object) : object_(object) {}

    [[nodiscard]] bool exists() const { return object_ != nullptr; }
    [[nodiscard]] bool has(std::string_view key) const;  // and it is not null
    [[nodiscard]] std::optional<std::string_view> text(std::string_view key) const;
    [[nodiscard]] std::optional<bool> flag(std::string_view key) const;
    [[nodiscard]] std::optional<std::int64_t> number(std::string_view key) const;
    [[nodiscard]] view object(std::string_view key) const;
    // Of an array of objects; nothing where there is no such array, or an item is no object.
    [[nodiscard]] std::optional<std::size_t> count(std::string_view key) const;
    [[nodiscard]] view item(std::string_view key, std::size_t index) const;

private:
    boost::json::object const* object_ = nullptr;
};

class document {
public:
    // An object of at most `bytes` and depth 16, no key twice. Errors: vault_malformed "PLACE: why", which repeats
    // nothing of the text.
    static result<document> parse(std::string_view text, std::size_t bytes, std::string_view place);

    document(document&&) noexcept;
    document& operator=(document&&) noexcept;
    document(document const&) = delete;
    document& operator=(document const&) = delete;
    ~document();

    [[nodiscard]] view root() const;

private:
    struct state;
    explicit document(std::unique_ptr<state> held);
    std::unique_ptr<state> state_;
};

}  // namespace scratchd::vault
