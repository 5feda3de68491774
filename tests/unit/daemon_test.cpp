#include "agent/base/file.hpp"
#include "agent/base/json.hpp"
#include "agent/ctl/table.hpp"
#include "agent/daemon/metrics.hpp"
#include "agent/daemon/routes.hpp"
#include "agent/daemon/views.hpp"
#include "agent/daemon/worker.hpp"
#include "tests/support/expect.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <cstdlib>
#include <set>

using namespace scratchd;

TEST_CASE("routes: the OpenAPI file has each of them and no other", "[daemon]") {
    auto const text = must(read_file(SOURCE_DIR "/docs/api/openapi.json"));
    auto const document = must(json::parse(text, {1 << 20, 32}));
    std::set<std::string> described;
    for (auto const& path : document.at("paths").as_object())
        for (auto const& method : path.value().as_object()) {
            std::string name(method.key());
            std::ranges::transform(name, name.begin(), ::toupper);
            described.insert(name + " " + std::string(path.key()));
            CHECK(method.value().as_object().contains("summary"));
            CHECK(method.value().at("responses").as_object().contains("200"));
        }
    std::set<std::string> served;
    for (auto const& route : control_routes())
        served.insert(std::string(route.method) + " " + std::string(route.pattern));
    CHECK(described == served);
}

TEST_CASE("worker: runs everything in order, also what is left when it ends", "[daemon]") {
    std::vector<int> order;
    {
        worker w;
        for (int i = 0; i < 100; ++i) w.post([&order, i] { order.push_back(i); });
    }
    REQUIRE(order.size() == 100);
    CHECK(std::ranges::is_sorted(order));
}

TEST_CASE("views: a job's environment is paths and nothing else", "[daemon]") {
    auto const env = job_environment("/mnt/scratch/17", {}, "/run/scratchd/jobs/17");
    CHECK(env.size() == 2);
    for (auto const& [name, value] : env) CHECK(value.starts_with("/mnt/scratch/17"));
    credential_config login;
    login.kind = "registry";
    credential_config key;
    key.kind = "ssh";
    auto const more = job_environment("/mnt/scratch/17", {login, key}, "/run/scratchd/jobs/17");
    CHECK(more.size() == 4);
    CHECK(more.at("DOCKER_CONFIG") == "/run/scratchd/jobs/17/docker");
    CHECK(more.at("SSH_AUTH_SOCK") == "/run/scratchd/jobs/17/ssh-agent.sock");
}

TEST_CASE("views: the step shows only while a wipe runs", "[daemon]") {
    snapshot s;
    s.step = "key";
    s.state = node_state::wiping;
    CHECK(status_view(s, true, "/mnt").step == "key");
    s.state = node_state::ready;
    CHECK(status_view(s, true, "/mnt").step.empty());
}

TEST_CASE("metrics: one state is 1, and the last wipe's verdict is there", "[daemon]") {
    api::status now;
    now.state = "failed";
    now.last_wipe = api::last_wipe_view{1, "", "crypto", 0.5, false};
    auto const text = metrics_text(now);
    CHECK_THAT(text, ContainsSubstring("scratchd_state{state=\"failed\"} 1\n") &&
                         ContainsSubstring("scratchd_state{state=\"ready\"} 0\n") &&
                         ContainsSubstring("scratchd_last_wipe_verified 0\n") &&
                         ContainsSubstring("scratchd_last_wipe_seconds 0.5\n"));
}

TEST_CASE("table: columns line up, sizes read well", "[ctl]") {
    CHECK(ctl::table({{"JOB"}, {"SIZE", true}}, {{"17", "1"}, {"4711", "100"}}) == "JOB  SIZE\n17      1\n4711  100");
    CHECK(ctl::table({{"a"}, {"b"}}, {{"x", "y"}}, false) == "x y");
    CHECK(ctl::size_text(512) == "512 B");
    CHECK(ctl::size_text(440ULL << 30) == "440.0 GiB");
}
