// API types to JSON and back. Strict and bounded on the way in.
#pragma once

#include "agent/api/types.hpp"
#include "agent/base/error.hpp"

#include <string>
#include <string_view>

namespace scratchd::api {

// Instantiated in codec.cpp for every type of types.hpp.
template <class T>
std::string encode(T const& value);
template <class T>
result<T> decode(std::string_view text);

problem make_problem(error const& e);
// The error that a problem came from, for the client.
error from_problem(problem const& p);

}  // namespace scratchd::api
