// Structs to JSON and back by one list of fields. Include only from .cpp files: it pulls in Boost.JSON.
//
//   template <class A> void fields(A& a, lease& l) { a("job", l.job); a("uid", l.uid); }
//
// Reading is strict: an unknown key, a missing key or a wrong type is an error that names the path ("jobs[2].uid").
// A std::optional field may be missing.
#pragma once

#include "agent/base/json.hpp"

#include <fmt/format.h>
#include <boost/json.hpp>
#include <concepts>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace scratchd::json {

class writer;
template <class T>
boost::json::value write(T const& value);

class writer {
public:
    template <class T>
    void operator()(std::string_view name, T const& value) {
        object_[name] = write(value);
    }
    template <class T>
    void operator()(std::string_view name, std::optional<T> const& value) {
        if (value) object_[name] = write(*value);
    }
    boost::json::object take() { return std::move(object_); }

private:
    boost::json::object object_;
};

template <class T>
boost::json::value write(T const& value) {
    if constexpr (std::same_as<T, bool> || std::floating_point<T>) return value;
    else if constexpr (std::signed_integral<T>) return static_cast<std::int64_t>(value);
    else if constexpr (std::unsigned_integral<T>) return static_cast<std::uint64_t>(value);
    else if constexpr (std::same_as<T, std::string>) return boost::json::string(value);
    else if constexpr (std::same_as<T, boost::json::object> || std::same_as<T, boost::json::value>) return value;
    else if constexpr (requires { typename T::mapped_type; }) {
        boost::json::object object;
        for (auto const& [name, item] : value) object[name] = write(item);
        return object;
    } else if constexpr (requires { value.begin(); }) {
        boost::json::array array;
        for (auto const& item : value) array.push_back(write(item));
        return array;
    } else {
        writer w;
        fields(w, const_cast<T&>(value));
        return w.take();
    }
}

class reader {
public:
    reader(boost::json::value const& from, std::string path) : path_(std::move(path)) {
        object_ = from.if_object();
        if (object_ == nullptr) set_problem(path_, "is not an object");
    }

    template <class T>
    void operator()(std::string_view name, T& into) {
        auto const* value = find(name);
        if (value == nullptr) set_problem(at(name), "is missing");
        else if (!failed()) read(*value, at(name), into);
    }
    template <class T>
    void operator()(std::string_view name, std::optional<T>& into) {
        auto const* value = find(name);
        if (value != nullptr && !failed()) read(*value, at(name), into.emplace());
    }

    // The first problem, or that of a key nobody asked for.
    result<> finish() {
        if (object_ != nullptr && !failed())
            for (auto const& member : *object_)
                if (!asked_.contains(std::string_view(member.key()))) set_problem(at(member.key()), "is not known");
        if (failed()) return fail(errc::bad_request, *problem_);
        return {};
    }

private:
    [[nodiscard]] bool failed() const { return problem_.has_value(); }
    void set_problem(std::string const& where, std::string_view what) {
        if (!failed()) problem_ = fmt::format("\"{}\" {}", where, what);
    }
    [[nodiscard]] std::string at(std::string_view name) const {
        return path_.empty() ? std::string(name) : fmt::format("{}.{}", path_, name);
    }
    boost::json::value const* find(std::string_view name) {
        asked_.emplace(name);
        return object_ != nullptr ? object_->if_contains(name) : nullptr;
    }

    template <class T>
    void read(boost::json::value const& from, std::string const& where, T& into) {
        if constexpr (std::floating_point<T>) {
            boost::json::error_code ec;
            into = from.is_number() ? from.to_number<T>(ec) : T{};
            if (ec || !from.is_number()) set_problem(where, "is not a number");
        } else if constexpr (std::same_as<T, bool>) {
            if (auto const* b = from.if_bool()) into = *b;
            else set_problem(where, "is not true or false");
        } else if constexpr (std::integral<T>) {
            boost::json::error_code ec;
            into = from.is_number() && !from.is_double() ? from.to_number<T>(ec) : T{};
            if (ec || !from.is_number() || from.is_double()) set_problem(where, "is not an integer in range");
        } else if constexpr (std::same_as<T, std::string>) {
            if (auto const* s = from.if_string()) into.assign(s->data(), s->size());
            else set_problem(where, "is not a string");
        } else if constexpr (std::same_as<T, boost::json::object>) {
            if (auto const* o = from.if_object()) into = *o;
            else set_problem(where, "is not an object");
        } else if constexpr (requires { typename T::mapped_type; }) {
            if (auto const* o = from.if_object())
                for (auto const& member : *o)
                    read(member.value(), fmt::format("{}.{}", where, std::string_view(member.key())),
                         into[member.key()]);
            else set_problem(where, "is not an object");
        } else if constexpr (requires { into.emplace_back(); }) {
            if (auto const* array = from.if_array())
                for (auto const& item : *array)
                    read(item, fmt::format("{}[{}]", where, into.size()), into.emplace_back());
            else set_problem(where, "is not a list");
        } else {
            reader inner(from, where);
            fields(inner, into);
            if (auto done = inner.finish(); !done && !failed()) problem_ = done.error().what;
        }
    }

    boost::json::object const* object_ = nullptr;
    std::string path_;
    std::set<std::string, std::less<>> asked_;
    std::optional<std::string> problem_;
};

template <class T>
result<T> read(boost::json::value const& from) {
    T value{};
    reader in(from, "");
    fields(in, value);
    SCRATCHD_CHECK(in.finish());
    return value;
}

template <class T>
result<T> read_text(std::string_view text, limits allowed = {}) {
    SCRATCHD_TRY(auto const value, parse(text, allowed));
    return read<T>(value);
}

}  // namespace scratchd::json
