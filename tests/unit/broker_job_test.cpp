#include "agent/api/codec.hpp"
#include "agent/base/json.hpp"
#include "agent/broker/docker_login.hpp"
#include "agent/broker/job_socket.hpp"
#include "agent/broker/registry_name.hpp"
#include "tests/support/fake_source.hpp"
#include "tests/support/ssh_data.hpp"

#include <boost/json.hpp>

using namespace scratchd;
using broker::registry_key;

namespace {

struct job {
    fake_source source;
    std::vector<broker::job_event> events;

    job() {
        source.add({.name = "data", .kind = "storage"}, secret_of(std::string("a\0b\n", 4)));
        source.add({.name = "images", .kind = "registry", .registry = "Registry.example:5000", .username = "puller"},
                   secret_of("pa\"ss\\w\x01rd\n"));
        source.add({.name = "hub", .kind = "registry", .registry = "docker.io", .exchange = true},
                   secret_of("refresh"));
        source.add({.name = "gone", .kind = "registry", .registry = "gone.example"}, secret_of("x"));
        source.values.erase("gone");
    }
    std::string ask(std::string const& request) {
        return text_of(must(broker::answer_job(source, as_bytes(request),
                                               [this](broker::job_event const& e) { events.push_back(e); })));
    }
    errc problem(std::string const& request) {
        auto const reply = ask(request);
        REQUIRE(reply.at(0) == '\1');
        return api::from_problem(must(api::decode<api::problem>(reply.substr(1)))).code;
    }
};

}  // namespace

TEST_CASE("job socket: get gives the value as it is", "[broker]") {
    job j;
    CHECK(j.ask(R"({"op":"get","name":"data"})") == std::string("\0a\0b\n", 5));
    CHECK(j.events.back().credential == "data");
    CHECK_FALSE(j.events.back().problem.has_value());
}

TEST_CASE("job socket: docker gives a whole document, escaped, for exactly this registry", "[broker]") {
    job j;
    CHECK(j.ask(R"({"op":"docker","server":"registry.example:5000"})") ==
          '\0' + std::string(
                     R"x({"ServerURL":"registry.example:5000","Username":"puller","Secret":"pa\"ss\\w\u0001rd"})x"));
    auto const hub = must(json::parse(j.ask(R"({"op":"docker","server":"https://index.docker.io/v1/"})").substr(1)));
    CHECK(hub.at("ServerURL") == "https://index.docker.io/v1/");
    CHECK(hub.at("Username") == "00000000-0000-0000-0000-000000000000");
    CHECK(hub.at("Secret") == "refresh");
    for (char const* other : {"registry.example", "registry.example:443", "evil-registry.example:5000",
                              "registry.example:5000.evil.example", "example:5000", "", "https://registry.example:5000",
                              "registry.example:5000/", "user@registry.example:5000", "../images", "images"}) {
        INFO(other);
        CHECK(j.problem(std::string(R"({"op":"docker","server":")") + other + "\"}") == errc::credential_unknown);
    }
    CHECK(j.problem(R"({"op":"docker","server":"gone.example"})") == errc::credential_gone);
    CHECK(j.events.back().credential == "gone");
}

TEST_CASE("job socket: lists tell what was granted and whether it is there, and no value", "[broker]") {
    job j;
    CHECK(j.ask(R"({"op":"list"})") == '\0' + std::string(R"([{"name":"data","kind":"storage","available":true},)"
                                                          R"({"name":"images","kind":"registry","available":true},)"
                                                          R"({"name":"hub","kind":"registry","available":true},)"
                                                          R"({"name":"gone","kind":"registry","available":false}])"));
    CHECK(j.ask(R"({"op":"docker-list"})") ==
          '\0' + std::string(R"({"Registry.example:5000":"puller","docker.io":"00000000-0000-0000-0000-000000000000",)"
                             R"("gone.example":""})"));
    CHECK(j.events.empty());
}

TEST_CASE("job socket: what is not understood or not granted is a problem with a code", "[broker]") {
    job j;
    CHECK(j.problem(R"({"op":"get","name":"other"})") == errc::credential_unknown);
    CHECK(j.problem(R"({"op":"get","name":"../data"})") == errc::credential_unknown);
    CHECK(j.problem(R"({"op":"get","name":"gone"})") == errc::credential_gone);
    for (char const* bad :
         {"", "{}", "[]", "null", R"({"op":1})", R"({"op":"get"})", R"({"op":"docker"})", R"({"op":"drop"})",
          R"({"op":"get","name":7})", R"({"op":"get","name":"data","name":"hub"})", R"({"op":"list","more":1})",
          R"({"op":"get","name":"data"}x)", R"({"op":"get","name":"data","server":"x"})", "[[[[[[1]]]]]]"}) {
        INFO(bad);
        CHECK(j.problem(bad) == errc::bad_request);
    }
    CHECK(j.problem(std::string(R"({"op":"get","name":")") + std::string(5000, 'x') + "\"}") == errc::bad_request);
}

TEST_CASE("job socket: changed requests are answered", "[broker][fuzz]") {
    job j;
    mutator mutate(6);
    std::string const requests[] = {R"({"op":"get","name":"data"})", R"({"op":"docker","server":"gone.example:1"})",
                                    R"({"op":"list"})"};
    for (unsigned i = 0; i < 20000; ++i) {
        auto const reply = j.ask(mutate(requests[i % std::size(requests)]));
        REQUIRE((reply[0] == '\0' || reply[0] == '\1'));
    }
}

TEST_CASE("docker login: text that JSON cannot carry is refused", "[broker]") {
    for (std::string const bad : {"\xff", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "a\x80"})
        CHECK(fails_with(broker::docker_login("r", "u", secret_of(bad)), errc::credential_format));
    CHECK(text_of(must(broker::docker_login("r", "u", secret_of("\xe2\x82\xac\r\n")))) ==
          "{\"ServerURL\":\"r\",\"Username\":\"u\",\"Secret\":\"\xe2\x82\xac\"}");
    CHECK_THAT(text_of(must(broker::docker_login("r", "u", secret_of("")))), ContainsSubstring(R"("Secret":"")"));
}

TEST_CASE("registry name: one form for what is the same, and none for what is no name", "[broker]") {
    CHECK(registry_key("EXAMPLE.azurecr.io") == "example.azurecr.io");
    CHECK(registry_key("localhost:5000") == "localhost:5000");
    CHECK(registry_key("[::1]:5000") == "[::1]:5000");
    CHECK(registry_key("[::1]") == "[::1]");
    for (char const* hub : {"docker.io", "index.docker.io", "https://index.docker.io/v1/", "registry-1.docker.io"})
        CHECK(registry_key(hub) == "docker.io");
    for (char const* none :
         {"", ":5000", "host:", "host:port", "host:123456", "a b", "a/b", "https://a", "a@b", "[]", "[::1", "a:1:2"})
        CHECK_FALSE(registry_key(none).has_value());
    CHECK_FALSE(registry_key(std::string(256, 'a')).has_value());
}
