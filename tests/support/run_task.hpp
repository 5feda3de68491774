// Runs coroutines to their end on an event loop of their own.
#pragma once

#include "agent/ipc/task.hpp"
#include "tests/support/catch.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <optional>
#include <utility>
#include <vector>

template <class T>
std::vector<T> run_all(std::vector<scratchd::task<T>> work) {
    boost::asio::io_context context(1);
    std::vector<std::optional<T>> out(work.size());
    for (std::size_t i = 0; i < work.size(); ++i)
        boost::asio::co_spawn(context, std::move(work[i]), [&out, i](std::exception_ptr problem, T value) {
            if (problem) std::rethrow_exception(problem);
            out[i].emplace(std::move(value));
        });
    context.run();
    std::vector<T> values;
    for (auto& value : out) {
        REQUIRE(value.has_value());
        values.push_back(*std::move(value));
    }
    return values;
}

template <class T>
T run(scratchd::task<T> work) {
    std::vector<scratchd::task<T>> one;
    one.push_back(std::move(work));
    return std::move(run_all(std::move(one)).front());
}
