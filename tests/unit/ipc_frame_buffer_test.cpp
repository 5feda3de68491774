#include "agent/ipc/frame_buffer.hpp"
#include "agent/ipc/frame_client.hpp"
#include "agent/ipc/frame_server.hpp"
#include "agent/ipc/job_path.hpp"
#include "agent/ipc/listen.hpp"
#include "tests/support/ssh_data.hpp"
#include "tests/support/temp_folder.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <future>
#include <thread>

using namespace scratchd;
using namespace std::chrono_literals;

namespace {

std::string framed(std::string_view payload) {
    auto const header = ipc::frame_header(payload.size());
    return std::string(as_text(header)) + std::string(payload);
}

void put(unique_fd const& s, std::string_view bytes) {
    (void)::send(s.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
}

std::vector<std::string> feed(ipc::frame_buffer& buffer, std::string_view bytes, std::size_t step, result<>& state) {
    std::vector<std::string> frames;
    while (!bytes.empty() && state) {
        if (buffer.space().empty()) must(buffer.grow());
        auto const part = bytes.substr(0, std::min(step, buffer.space().size()));
        std::memcpy(buffer.space().data(), part.data(), part.size());
        bytes.remove_prefix(part.size());
        state = buffer.added(part.size());
        while (auto const frame = buffer.frame()) {
            frames.emplace_back(as_text(*frame));
            buffer.pop();
            if (!buffer.frame()) break;
        }
    }
    return frames;
}

}  // namespace

TEST_CASE("frame buffer: frames come out whole however they are cut", "[ipc][broker]") {
    std::vector<std::string> const sent{"a", std::string(4092, 'b'), std::string(4093, 'c'), std::string(60000, 'd'),
                                        "e"};
    std::string stream;
    for (auto const& payload : sent) stream += framed(payload);
    for (std::size_t const step : {1U, 3U, 4U, 5U, 4096U, 70000U}) {
        ipc::frame_buffer buffer(60000);
        result<> state;
        CHECK(feed(buffer, stream, step, state) == sent);
        CHECK(state.has_value());
        CHECK_FALSE(buffer.has_started());
    }
}

TEST_CASE("frame buffer: an empty frame and one that is too long lose the stream at their header", "[ipc][broker]") {
    for (std::size_t const size :
         {std::size_t{0}, std::size_t{1001}, std::size_t{300} << 10U, std::size_t{0xffffffff}}) {
        ipc::frame_buffer buffer(1000);
        result<> state;
        auto const header = ipc::frame_header(size);
        CHECK(feed(buffer, as_text(header), 1, state).empty());
        CHECK(fails_with(state, errc::bad_request));
        CHECK(buffer.capacity() <= 4096);
    }
}

TEST_CASE("frame buffer: memory follows what has arrived, not what was announced", "[ipc][broker]") {
    ipc::frame_buffer buffer(256U << 10U);
    result<> state;
    auto const header = ipc::frame_header(256U << 10U);
    (void)feed(buffer, as_text(header), 4, state);
    CHECK(buffer.capacity() == 4096);
    (void)feed(buffer, std::string(256U << 10U, 'x'), 4096, state);
    CHECK(state.has_value());
    CHECK(buffer.capacity() == 0);  // given back with the frame
}

TEST_CASE("frame buffer: changed streams give frames within bounds or an error", "[ipc][broker][fuzz]") {
    mutator mutate(5);
    std::string const stream = framed("one") + framed(std::string(100, 't')) + framed(std::string(5000, 'x'));
    for (unsigned i = 0; i < 20000; ++i) {
        ipc::frame_buffer buffer(6000);
        result<> state;
        for (auto const& f : feed(buffer, mutate(stream), 1 + mutate.pick(6000), state))
            REQUIRE((!f.empty() && f.size() <= 6000));
        REQUIRE(buffer.capacity() <= 6004);
    }
}

TEST_CASE("frame client: nobody there, no answer, an answer that cannot be", "[ipc][broker]") {
    temp_folder const t;
    auto const path = (t.path() / "s").string();
    CHECK(fails_with(ipc::frame_client::connect(path, deadline::in(1s)), errc::broker_unreachable));
    CHECK(fails_with(ipc::frame_client::connect(std::string(200, 'x'), deadline::in(1s)), errc::bad_request));
    auto const listening = must(ipc::listen_at(path, {.mode = 0600}));
    auto const answered = [&](std::string_view bytes, bool close) {
        auto client = must(ipc::frame_client::connect(path, deadline::in(1s)));
        unique_fd accepted(::accept4(listening.get(), nullptr, nullptr, SOCK_CLOEXEC));
        put(accepted, bytes);
        if (close) ::shutdown(accepted.get(), SHUT_WR);
        return client.ask(as_bytes("hello"), deadline::in(close ? 5s : 50ms));
    };
    CHECK(fails_with(answered("", false), errc::timed_out));
    CHECK(fails_with(answered("", true), errc::broker_unreachable));
    CHECK(fails_with(answered(framed("hello").substr(0, 7), true), errc::broker_unreachable));
    CHECK(fails_with(answered(framed("hello").substr(0, 7), false), errc::timed_out));
    CHECK(fails_with(answered(std::string(4, '\0'), false), errc::bad_reply));
    CHECK(fails_with(answered(std::string("\x00\x10\x00\x01", 4), false), errc::bad_reply));
    CHECK(text_of(must(answered(framed("hello"), false))) == "hello");
}

TEST_CASE("job path: the socket beside the docker folder, else that of the job's directory", "[ipc][broker]") {
    temp_folder const t;
    auto const folder = t.path().string();
    std::filesystem::create_directories(t.path() / "17" / "docker");
    auto const docker = folder + "/17/docker";
    auto const find = [&](char const* config, char const* directory) {
        return ipc::find_job_socket({config, directory}, folder);
    };
    CHECK(must(find(docker.c_str(), "/mnt/scratch/18")) == folder + "/18/credential.sock");  // none beside it
    t.write("17/credential.sock", "");
    CHECK(must(find(docker.c_str(), "/mnt/scratch/18")) == folder + "/17/credential.sock");
    CHECK(must(find((docker + "/").c_str(), nullptr)) == folder + "/17/credential.sock");
    CHECK(must(find(nullptr, "/mnt/scratch/a[1]/")) == folder + "/a[1]/credential.sock");
    for (char const* directory : {(char const*)nullptr, "", "scratch/17"})
        CHECK(fails_with(find(nullptr, directory), errc::job_unknown));
    for (char const* directory : {"/", "/mnt/scratch/..", "/mnt/scratch/a b"})
        CHECK(fails_with(find("relative", directory), errc::job_id_invalid));
}
