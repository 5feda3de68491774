// Texts that hold a secret, put together in memory that is wiped.
#pragma once

#include "agent/base/error.hpp"
#include "agent/base/secret.hpp"

#include <cstddef>
#include <initializer_list>
#include <span>
#include <string_view>

namespace scratchd::vault {

// Valid as long as the secret is.
std::string_view text_of(secret const& from) noexcept;

result<secret> joined(std::initializer_list<std::string_view> parts);
// The same bytes with room for `size`; the old memory is wiped.
result<secret> enlarged(secret old, std::size_t size);

// Cuts one newline off the end, as editors and `echo` leave it.
void trim_newline(secret& from) noexcept;

struct form_field {
    std::string_view name;
    std::string_view value;
};
// application/x-www-form-urlencoded. All but RFC 3986's unreserved characters are percent-encoded.
result<secret> form_body(std::span<form_field const> fields);

// May it stand in a header: 1 to 16,000 visible ASCII characters, no space.
bool is_header_safe(std::string_view text) noexcept;

}  // namespace scratchd::vault
