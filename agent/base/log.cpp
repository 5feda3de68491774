#include "agent/base/log.hpp"

#include <fmt/format.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <cstdlib>

namespace scratchd::log {
namespace {

std::string quoted(std::string_view text) {
    std::string out = "\"";
    for (unsigned char const c : text) {
        if (c == '"' || c == '\\') out += {'\\', static_cast<char>(c)};
        else if (c < 0x20 || c == 0x7f) out += fmt::format("\\x{:02x}", c);
        else out += static_cast<char>(c);
    }
    return out += '"';
}

spdlog::level::level_enum native(level at) {
    constexpr spdlog::level::level_enum table[] = {spdlog::level::trace, spdlog::level::debug, spdlog::level::info,
                                                   spdlog::level::warn, spdlog::level::err};
    return table[static_cast<int>(at)];
}

}  // namespace

field::field(std::string_view name, std::string_view text) : name_(name), value_(quoted(text)) {}

void start(level lowest) {
    auto logger = spdlog::stderr_logger_mt("scratchd");
    // Under systemd standard error is the journal, which has its own time stamps.
    bool const journal = std::getenv("JOURNAL_STREAM") != nullptr;
    logger->set_pattern(journal ? "%v" : "%Y-%m-%dT%H:%M:%S.%e%z %l %v");
    logger->set_level(native(lowest));
    logger->flush_on(spdlog::level::trace);
    spdlog::set_default_logger(std::move(logger));
}

std::string line(std::string_view event, fields with) {
    std::string text(event);
    for (auto const& f : with) text += fmt::format(" {}={}", f.name(), f.value());
    return text;
}

void write(level at, std::string_view event, fields with) {
    auto* const logger = spdlog::default_logger_raw();
    if (!logger->should_log(native(at))) return;
    constexpr std::string_view prefix[] = {"<7>", "<7>", "<6>", "<4>", "<3>"};
    static bool const journal = std::getenv("JOURNAL_STREAM") != nullptr;
    auto text = line(event, with);
    if (journal) text.insert(0, prefix[static_cast<int>(at)]);
    logger->log(native(at), "{}", text);
}

}  // namespace scratchd::log
