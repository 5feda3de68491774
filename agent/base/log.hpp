// Structured log lines: one event a line, a fixed name, then fields.
//
//   log::info("wipe.done", {{"job", id}, {"ms", took}});   →   wipe.done job="17" ms=412
//
// Values are quoted and escaped, so a job name cannot forge a line. Only daemon, broker and ctl log above debug; a
// library returns its error instead. `error` needs a person, `warn` is odd but handled, `info` is a change of state.
#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace scratchd::log {

enum class level : std::uint8_t { trace, debug, info, warn, error };

class field {
public:
    field(std::string_view name, std::string_view text);
    field(std::string_view name, std::integral auto number) : name_(name), value_(std::to_string(number)) {}
    field(std::string_view name, bool fact) : name_(name), value_(fact ? "true" : "false") {}
    field(std::string_view name, char const* text) : field(name, std::string_view(text)) {}
    field(std::string_view name, std::string const& text) : field(name, std::string_view(text)) {}

    [[nodiscard]] std::string_view name() const { return name_; }
    [[nodiscard]] std::string_view value() const { return value_; }

private:
    std::string_view name_;
    std::string value_;
};

using fields = std::initializer_list<field>;

// Lines go to standard error, with the journal's <N> prefix when systemd reads it (sd-daemon(3)). Call once, in main.
void start(level lowest);
void write(level at, std::string_view event, fields with);

inline void debug(std::string_view event, fields with = {}) {
    write(level::debug, event, with);
}
inline void info(std::string_view event, fields with = {}) {
    write(level::info, event, with);
}
inline void warn(std::string_view event, fields with = {}) {
    write(level::warn, event, with);
}
inline void error(std::string_view event, fields with = {}) {
    write(level::error, event, with);
}

// The text of a line without time and level, for tests.
std::string line(std::string_view event, fields with);

}  // namespace scratchd::log
