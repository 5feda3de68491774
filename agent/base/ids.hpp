// Names that come from outside, checked once where they enter.
#pragma once

#include "agent/base/error.hpp"

#include <compare>
#include <string>
#include <string_view>

namespace scratchd {

// A job's name as the scheduler gives it. It becomes a folder name, so: 1 to 64 of [A-Za-z0-9._-] and the brackets,
// plus, comma and at that array jobs use; never starting with a dot or a dash.
class job_id {
public:
    static result<job_id> parse(std::string_view text);

    [[nodiscard]] std::string const& text() const { return text_; }
    friend auto operator<=>(job_id const&, job_id const&) = default;

private:
    explicit job_id(std::string text) : text_(std::move(text)) {}
    std::string text_;
};

}  // namespace scratchd
