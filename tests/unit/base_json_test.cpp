#include "agent/base/fields.hpp"
#include "agent/base/json.hpp"
#include "tests/support/expect.hpp"

using namespace scratchd;

namespace {

struct inner {
    int number = 0;
    bool operator==(inner const&) const = default;
};
template <class A>
void fields(A& a, inner& i) {
    a("number", i.number);
}

struct outer {
    std::string text;
    bool flag = false;
    std::uint8_t small = 0;
    double ratio = 0;
    std::vector<inner> list;
    std::map<std::string, std::uint64_t> map;
    std::optional<std::string> maybe;
    bool operator==(outer const&) const = default;
};
template <class A>
void fields(A& a, outer& o) {
    a("text", o.text);
    a("flag", o.flag);
    a("small", o.small);
    a("ratio", o.ratio);
    a("list", o.list);
    a("map", o.map);
    a("maybe", o.maybe);
}

constexpr char good[] =
    R"({"text":"x","flag":true,"small":7,"ratio":1.5,"list":[{"number":1},{"number":-2}],"map":{"a":1}})";

std::string problem(std::string const& text) {
    auto const r = json::read_text<outer>(text);
    REQUIRE_FALSE(r.has_value());
    CHECK(r.error().code == errc::bad_request);
    return r.error().what;
}

std::string with(std::string const& from, std::string const& to) {
    std::string text = good;
    return text.replace(text.find(from), from.size(), to);
}

}  // namespace

TEST_CASE("fields: what is written is read back", "[json]") {
    auto value = must(json::read_text<outer>(good));
    CHECK(value.list[1].number == -2);
    value.maybe = "there";
    CHECK(must(json::read<outer>(json::write(value))) == value);
}

TEST_CASE("fields: an unknown, missing or wrong member is named with its path", "[json]") {
    CHECK(problem(with("\"text\"", "\"texx\"")) == "\"text\" is missing");
    CHECK(problem(with("{\"text\"", "{\"more\":1,\"text\"")) == "\"more\" is not known");
    CHECK(problem(with("\"x\"", "5")) == "\"text\" is not a string");
    CHECK(problem(with("true", "1")) == "\"flag\" is not true or false");
    CHECK(problem(with("7", "256")) == "\"small\" is not an integer in range");
    CHECK(problem(with("7", "-1")) == "\"small\" is not an integer in range");
    CHECK(problem(with("7", "7.0")) == "\"small\" is not an integer in range");
    CHECK(problem(with("-2", "null")) == "\"list[1].number\" is not an integer in range");
    CHECK(problem(with("{\"number\":1}", "1")) == "\"list[0]\" is not an object");
    CHECK(problem(with("{\"a\":1}", "{\"a\":\"b\"}")) == "\"map.a\" is not an integer in range");
    CHECK(problem("[]") == "\"\" is not an object");
}

TEST_CASE("json: strict, bounded, no key twice", "[json]") {
    for (char const* bad : {"", "{", "}", "{} {}", "{}x", "{'a':1}", "{\"a\":1,}", "nul", "01", "\"\\x\"",
                            "{\"a\":1,\"a\":2}", "{\"b\":{\"a\":1,\"\\u0061\":2}}", "\xff", "[1 2]"})
        CHECK(fails_with(json::parse(bad), errc::bad_request));
    CHECK(json::parse("{\"a\":{\"x\":1},\"b\":{\"x\":2}}").has_value());
    CHECK(fails_with(json::parse(std::string(17, '[') + std::string(17, ']')), errc::bad_request));
    CHECK(json::parse(std::string(16, '[') + std::string(16, ']')).has_value());
    CHECK(fails_with(json::parse("\"" + std::string(70000, 'x') + "\""), errc::bad_request));
    CHECK(fails_with(json::parse(std::string(200000, '['), {1 << 20, 64}), errc::bad_request));
}

TEST_CASE("json: the canonical form sorts keys and has no blanks", "[json]") {
    auto const value = must(json::parse(R"({ "b" : [1, {"z":null,"a":"\u00e9\n"}], "a" : true })"));
    CHECK(json::canonical(value) == "{\"a\":true,\"b\":[1,{\"a\":\"\xc3\xa9\\n\",\"z\":null}]}");
    CHECK(json::canonical(must(json::parse(json::canonical(value)))) == json::canonical(value));
}

TEST_CASE("json: the pretty form is for people and still JSON", "[json]") {
    auto const value = must(json::parse(R"({"a":[],"b":{},"c":[1,{"d":0.25}]})"));
    auto const text = json::pretty(value);
    CHECK(text == "{\n  \"a\": [],\n  \"b\": {},\n  \"c\": [\n    1,\n    {\n      \"d\": 0.25\n    }\n  ]\n}");
    CHECK(must(json::parse(text)) == value);
}
