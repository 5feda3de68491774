// What is left of a secret in this process once nobody holds it. The server is another process, and this one knows the
// secret only with every byte changed, so that nothing but the client can have put it here.
#include "agent/vault/net_transport.hpp"
#include "agent/vault/secret_reply.hpp"
#include "tests/support/fake_vault_net.hpp"
#include "tests/support/pki.hpp"
#include "tests/support/temp_folder.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <array>
#include <cstdio>
#include <fstream>
#include <random>

using namespace scratchd;
using namespace scratchd::vault;

namespace {

#if defined(__has_feature)
#define SCRATCHD_TEST_HAS(x) __has_feature(x)
#else
#define SCRATCHD_TEST_HAS(x) 0
#endif
constexpr bool is_sanitized = SCRATCHD_TEST_HAS(address_sanitizer);

constexpr char const* server_text = R"(
import socket, ssl, sys
folder, masked, host, answers = sys.argv[1:5]
value = ''.join(chr(ord(c) ^ 1) for c in masked)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(folder + '/server.pem')
listening = socket.create_server(('127.0.0.1', 0))
print(listening.getsockname()[1], flush=True)
for _ in range(int(answers)):
    raw, _ = listening.accept()
    with context.wrap_socket(raw, server_side=True) as peer:
        request = b''
        while b'\r\n\r\n' not in request:
            request += peer.recv(4096)
        port = listening.getsockname()[1]
        body = ('{"value":"%s\\n%s","id":"https://%s:%d/secrets/s/%s","attributes":{"enabled":true}}'
                % (value, value, host, port, '0' * 32)).encode()
        head = 'HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n' % len(body)
        peer.sendall(head.encode() + body)
)";

struct server {
    pid_t pid = 0;
    int port = 0;

    server(temp_folder const& folder, std::string const& masked, std::string const& host, std::string const& answers) {
        int ends[2];
        REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
        posix_spawn_file_actions_t actions;
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
        std::vector<std::string> words = {"python3", "-c", server_text, folder.path(), masked, host, answers};
        std::vector<char*> argv;
        for (auto& word : words) argv.push_back(word.data());
        argv.push_back(nullptr);
        REQUIRE(posix_spawnp(&pid, "python3", &actions, nullptr, argv.data(), environ) == 0);
        posix_spawn_file_actions_destroy(&actions);
        ::close(ends[1]);
        auto* const out = fdopen(ends[0], "r");
        char line[32] = {};
        REQUIRE(fgets(line, sizeof line, out) != nullptr);
        port = std::stoi(line);
        fclose(out);
    }
    server(server const&) = delete;
    server& operator=(server const&) = delete;
    ~server() { (void)waitpid(pid, nullptr, 0); }
};

std::string random_word() {
    std::random_device source;
    std::string out;
    for (int i = 0; i < 24; ++i) out += static_cast<char>('a' + source() % 26);
    return out;
}

// How often the unmasked word stands in this process's writable memory.
int copies_of(std::string const& masked) {
    constexpr std::size_t piece = 1U << 20U;
    std::size_t const overlap = masked.size();
    auto* const buffer =
        static_cast<char*>(mmap(nullptr, piece + overlap, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    int const memory = ::open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    std::ifstream maps("/proc/self/maps");
    int found = 0;
    for (std::string line; std::getline(maps, line);) {
        unsigned long first = 0;
        unsigned long last = 0;
        char mode[8] = {};
        if (std::sscanf(line.c_str(), "%lx-%lx %4s", &first, &last, mode) != 3 || mode[1] != 'w') continue;
        if (last - first > (1UL << 32U)) continue;  // the sanitizer's shadow
        auto const own = reinterpret_cast<unsigned long>(buffer);
        for (auto at = first; at < last; at += piece) {
            if (at < own + piece + overlap && own < at + piece + overlap) continue;
            auto const n =
                ::pread(memory, buffer, std::min<std::size_t>(piece + overlap, last - at), static_cast<off_t>(at));
            for (ssize_t i = 0; i + static_cast<ssize_t>(overlap) <= n; ++i) {
                std::size_t same = 0;
                while (same < overlap && buffer[i + static_cast<ssize_t>(same)] == (masked[same] ^ 1)) ++same;
                if (same == overlap) ++found;
            }
        }
    }
    ::close(memory);
    munmap(buffer, piece + overlap);
    return found;
}

}  // namespace

TEST_CASE("memory: nothing of a secret is left once nobody holds it", "[vault][net]") {
    if (is_sanitized) {
        WARN("skipped: the address sanitizer keeps the stack's variables elsewhere");
        return;
    }
    temp_folder const folder;
    std::string const host = "contoso.vault.test";
    auto const authority = issue({.name = "ca", .is_authority = true});
    auto const leaf = issue({.name = host}, &authority);
    folder.write("ca.pem", authority.certificate_pem());
    folder.write("server.pem", leaf.key_pem() + leaf.certificate_pem());
    auto const masked = random_word();
    server const other(folder, masked, host, "1");

    net_options options;
    options.ca_file = folder.path() / "ca.pem";
    options.resolve = [](std::string const&) { return result<std::vector<std::string>>({"127.0.0.1"}); };
    auto const net = must(make_net_transport(std::move(options)));
    {
        outgoing request;
        request.to = {host, static_cast<std::uint16_t>(other.port), true};
        request.target = "/secrets/s";
        request.proof_name = "Authorization";
        request.proof = must(secret::make(masked.size()));  // a token's way out is watched as well
        for (std::size_t i = 0; i < masked.size(); ++i) request.proof.bytes()[i] = std::byte(masked[i] ^ 1);
        auto const wish = secret_wish{request.to, "s", ""};
        auto answer = must(run(net->exchange(std::move(request), fake::soon(10))));
        auto const found = must(read_secret_reply(answer.body, wish, 1700000000));
        CHECK(found.value.size() == 2 * masked.size() + 1);
        CHECK(copies_of(masked) >= 2);  // the search finds what is there
    }
    CHECK(copies_of(masked) == 0);
}
