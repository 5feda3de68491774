// Checks on results: REQUIRE_OK shows the error, FAILS_WITH compares its code.
#pragma once

#include "agent/base/error.hpp"
#include "tests/support/catch.hpp"

template <class T>
std::string shown(scratchd::result<T> const& r) {
    return r ? "ok" : scratchd::code_text(r.error().code) + " " + r.error().message();
}

// Unwraps, or ends the test with the error's words.
template <class T>
T must(scratchd::result<T> r) {
    INFO(shown(r));
    REQUIRE(r.has_value());
    return *std::move(r);
}
inline void must(scratchd::result<> const& r) {
    INFO(shown(r));
    REQUIRE(r.has_value());
}

template <class T>
bool fails_with(scratchd::result<T> const& r, scratchd::errc code) {
    UNSCOPED_INFO(shown(r));
    return !r && r.error().code == code;
}
