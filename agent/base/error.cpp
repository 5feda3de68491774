#include "agent/base/error.hpp"

#include <fmt/format.h>
#include <cerrno>
#include <system_error>

namespace scratchd {

error error::while_doing(std::string_view step) && {
    what.insert(0, fmt::format("{}: ", step));
    return std::move(*this);
}

std::string error::message() const {
    if (sys == 0) return what;
    return fmt::format("{}: {}", what, std::generic_category().message(sys));
}

std::string code_text(errc code) {
    return fmt::format("E{:04}", std::to_underlying(code));
}

std::unexpected<error> fail(errc code, std::string what, int sys) {
    return std::unexpected(error{code, sys, std::move(what)});
}

std::unexpected<error> fail_errno(std::string what, errc code) {
    int const sys = errno;
    return fail(code, std::move(what), sys);
}

}  // namespace scratchd
