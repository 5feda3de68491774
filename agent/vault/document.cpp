#include "agent/vault/document.hpp"

#include "agent/base/json.hpp"

#include <fmt/format.h>
#include <strings.h>
#include <algorithm>
#include <boost/json.hpp>
#include <cstring>
#include <new>

namespace scratchd::vault {
namespace {

class wiping_resource final : public boost::json::memory_resource {
    void* do_allocate(std::size_t size, std::size_t alignment) override {
        return ::operator new(size, std::align_val_t(alignment));
    }
    void do_deallocate(void* at, std::size_t size, std::size_t alignment) override {
        explicit_bzero(at, size);
        ::operator delete(at, size, std::align_val_t(alignment));
    }
    [[nodiscard]] bool do_is_equal(memory_resource const& other) const noexcept override { return this == &other; }
};

// Boost's parser unescapes strings in 4 KiB of its stack, and leaves them there.
[[gnu::noinline]] void wipe_stack_below() {
    char below[16384];
    explicit_bzero(below, sizeof below);
}

boost::json::value const* find(boost::json::object const* object, std::string_view key) {
    return object != nullptr ? object->if_contains(key) : nullptr;
}

}  // namespace

struct document::state {
    wiping_resource memory;  // outlives the value
    boost::json::value value;
};

document::document(std::unique_ptr<state> held) : state_(std::move(held)) {}
document::document(document&&) noexcept = default;
document& document::operator=(document&&) noexcept = default;
document::~document() = default;

result<document> document::parse(std::string_view text, std::size_t bytes, std::string_view place) {
    json::limits const allowed{bytes, 16};
    if (text.empty()) return fail(errc::vault_malformed, fmt::format("{}: an empty answer", place));
    if (auto checked = json::check(text, allowed); !checked) {
        wipe_stack_below();
        auto const& what = checked.error().what;
        bool const names_a_key = what.starts_with("JSON has the key");
        return fail(errc::vault_malformed,
                    fmt::format("{}: {}", place, names_a_key ? "JSON with a key twice in one object" : what));
    }
    auto held = std::make_unique<state>();
    boost::json::parse_options options;
    options.max_depth = allowed.depth;
    boost::json::error_code ec;
    {
        boost::json::parser parser(boost::json::storage_ptr(&held->memory), options);
        parser.reset(&held->memory);
        (void)parser.write({text.data(), text.size()}, ec);
        if (!ec) {
            std::destroy_at(&held->value);  // a value cannot change its memory by assignment
            std::construct_at(&held->value, parser.release());
        }
    }
    wipe_stack_below();
    if (ec || !held->value.is_object()) return fail(errc::vault_malformed, fmt::format("{}: no JSON object", place));
    return document(std::move(held));
}

view document::root() const {
    return view(state_->value.if_object());
}

bool view::has(std::string_view key) const {
    auto const* const found = find(object_, key);
    return found != nullptr && !found->is_null();
}

std::optional<std::string_view> view::text(std::string_view key) const {
    auto const* const found = find(object_, key);
    if (found == nullptr || !found->is_string()) return std::nullopt;
    return std::string_view(found->get_string());
}

std::optional<bool> view::flag(std::string_view key) const {
    auto const* const found = find(object_, key);
    if (found == nullptr || !found->is_bool()) return std::nullopt;
    return found->get_bool();
}

std::optional<std::int64_t> view::number(std::string_view key) const {
    auto const* const found = find(object_, key);
    if (found == nullptr || !found->is_int64()) return std::nullopt;
    return found->get_int64();
}

view view::object(std::string_view key) const {
    auto const* const found = find(object_, key);
    return view(found != nullptr ? found->if_object() : nullptr);
}

std::optional<std::size_t> view::count(std::string_view key) const {
    auto const* const found = find(object_, key);
    auto const* const array = found != nullptr ? found->if_array() : nullptr;
    if (array == nullptr || !std::ranges::all_of(*array, [](auto const& item) { return item.is_object(); }))
        return std::nullopt;
    return array->size();
}

view view::item(std::string_view key, std::size_t index) const {
    return view(find(object_, key)->get_array()[index].if_object());
}

}  // namespace scratchd::vault
