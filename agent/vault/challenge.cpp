#include "agent/vault/challenge.hpp"

#include "agent/vault/url.hpp"

#include <algorithm>

namespace scratchd::vault {
namespace {

bool is_token_char(char c) {
    constexpr std::string_view marks = "!#$%&'*+-.^_`|~";
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           marks.find(c) != std::string_view::npos;
}
bool is_token68_char(char c) {
    return is_token_char(c) || c == '/';
}

std::string lowered(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return out;
}

class field_reader {
public:
    explicit field_reader(std::string_view field) : left_(field) {}

    result<std::vector<challenge>> all() {
        std::vector<challenge> out;
        for (skip_list(); !left_.empty(); skip_list())
            if (!one(out)) return fail(errc::vault_malformed, "a WWW-Authenticate that is not understood");
        return out;
    }

private:
    void skip_spaces() {
        while (!left_.empty() && (left_.front() == ' ' || left_.front() == '\t')) left_.remove_prefix(1);
    }
    void skip_list() {
        while (!left_.empty() && (left_.front() == ' ' || left_.front() == '\t' || left_.front() == ','))
            left_.remove_prefix(1);
    }
    std::string_view take_while(bool (*wanted)(char)) {
        auto const* const end = std::ranges::find_if_not(left_, wanted);
        auto const taken = left_.substr(0, static_cast<std::size_t>(end - left_.begin()));
        left_.remove_prefix(taken.size());
        return taken;
    }
    bool take(char c) {
        if (!left_.starts_with(c)) return false;
        left_.remove_prefix(1);
        return true;
    }

    // One item of the list: a parameter of the challenge before, or the start of the next challenge.
    bool one(std::vector<challenge>& out) {
        auto const name = take_while(is_token_char);
        if (name.empty()) return false;
        bool const spaced = left_.starts_with(' ') || left_.starts_with('\t');
        skip_spaces();
        if (take('=')) return !out.empty() && out.back().token68.empty() && value(out.back(), name);
        if (!left_.empty() && !left_.starts_with(',') && !spaced) return false;
        out.push_back({lowered(name), {}, {}});
        return left_.empty() || left_.starts_with(',') || first(out.back());
    }

    // What follows a scheme's name: token68 or its first parameter.
    bool first(challenge& into) {
        auto const before = left_;
        auto const text = take_while(is_token68_char);
        auto const bare = left_;
        while (take('=')) {
        }
        auto const padding = bare.size() - left_.size();
        skip_spaces();
        if (!text.empty() && (left_.empty() || left_.starts_with(','))) {
            into.token68 = std::string(text) + std::string(padding, '=');
            return true;
        }
        left_ = before;
        auto const name = take_while(is_token_char);
        skip_spaces();
        return !name.empty() && take('=') && value(into, name);
    }

    bool value(challenge& into, std::string_view name) {
        skip_spaces();
        std::string text;
        if (take('"')) {
            if (!quoted(text)) return false;
        } else {
            text = take_while(is_token_char);
            if (text.empty()) return false;
        }
        skip_spaces();
        if (!left_.empty() && !left_.starts_with(',')) return false;
        return into.parameters.emplace(lowered(name), std::move(text)).second;
    }

    bool quoted(std::string& into) {
        while (!left_.empty()) {
            char c = left_.front();
            left_.remove_prefix(1);
            if (c == '"') return true;
            if (c == '\\') {
                if (left_.empty()) return false;
                c = left_.front();
                left_.remove_prefix(1);
            }
            if ((static_cast<unsigned char>(c) < ' ' && c != '\t') || c == 127) return false;
            into += c;
        }
        return false;
    }

    std::string_view left_;
};

}  // namespace

std::optional<std::string> challenge::parameter(std::string const& name) const {
    auto const found = parameters.find(name);
    if (found == parameters.end()) return std::nullopt;
    return found->second;
}

result<std::vector<challenge>> parse_challenges(std::string_view field) {
    return field_reader(field).all();
}

std::optional<challenge> find_challenge(std::vector<std::string> const& fields, std::string_view scheme) {
    for (auto const& field : fields) {
        auto parsed = parse_challenges(field);
        if (!parsed) continue;
        auto const found = std::ranges::find(*parsed, scheme, &challenge::scheme);
        if (found != parsed->end()) return *found;
    }
    return std::nullopt;
}

std::optional<std::string> arc_realm(std::vector<std::string> const& fields) {
    constexpr std::string_view start = "basic realm=";
    for (auto const& field : fields) {
        std::string_view text = field;
        if (!same_text(text.substr(0, start.size()), start)) continue;
        text.remove_prefix(start.size());
        if (text.size() >= 2 && text.front() == '"' && text.back() == '"') text = text.substr(1, text.size() - 2);
        return std::string(text);
    }
    return std::nullopt;
}

}  // namespace scratchd::vault
