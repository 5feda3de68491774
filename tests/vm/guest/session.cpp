#include "session.hpp"

#include "frame.hpp"

#include <fcntl.h>
#include <linux/random.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <map>
#include <utility>

namespace guest {
namespace {

constexpr int entropy_bytes = 64;

struct child {
    std::uint32_t id{};
    int in = -1, out = -1, err = -1;
    bool exited = false;
    std::int32_t code = 0;
};

class session {
public:
    explicit session(int channel) : channel_(channel) {}

    void run() {
        sigset_t mask;
        sigemptyset(&mask);
        sigaddset(&mask, SIGCHLD);
        sigprocmask(SIG_BLOCK, &mask, nullptr);
        signal(SIGPIPE, SIG_IGN);
        int const death = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
        send(frame::hello, 0, {});
        for (;;) {
            std::vector<pollfd> watched{{channel_, POLLIN, 0}, {death, POLLIN, 0}};
            for (auto& [pid, c] : children_)
                for (int fd : {c.out, c.err})
                    if (fd >= 0) watched.push_back({fd, POLLIN, 0});
            if (poll(watched.data(), watched.size(), -1) < 0 && errno != EINTR) return;
            if (watched[1].revents != 0) {
                signalfd_siginfo ignored[16];
                while (read(death, ignored, sizeof ignored) > 0) {
                }
                reap();
            }
            for (auto& [pid, c] : children_) {
                drain(c.out, frame::out, c.id);
                drain(c.err, frame::err, c.id);
            }
            finish();
            if (watched[0].revents != 0 && !receive()) return;
        }
    }

private:
    void send(frame type, std::uint32_t id, std::string_view payload) {
        auto const bytes = encode(type, id, payload);
        for (std::size_t done = 0; done < bytes.size();) {
            auto const n = write(channel_, bytes.data() + done, bytes.size() - done);
            if (n > 0) done += static_cast<std::size_t>(n);
            else if (errno == EAGAIN || errno == EINTR) {
                pollfd p{channel_, POLLOUT, 0};
                poll(&p, 1, -1);
            } else return;
        }
    }

    void drain(int& fd, frame type, std::uint32_t id) {
        char buffer[16384];
        while (fd >= 0) {
            auto const n = read(fd, buffer, sizeof buffer);
            if (n > 0) send(type, id, {buffer, static_cast<std::size_t>(n)});
            else if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
            else close(std::exchange(fd, -1));
        }
    }

    void reap() {
        int status = 0;
        for (pid_t pid = 0; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
            if (auto found = children_.find(pid); found != children_.end()) {
                found->second.exited = true;
                found->second.code = WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
            }
    }

    // A grandchild may keep the pipes open for ever: the result goes out when the process itself is gone.
    void finish() {
        for (auto it = children_.begin(); it != children_.end();) {
            auto& c = it->second;
            if (!c.exited) {
                ++it;
                continue;
            }
            drain(c.out, frame::out, c.id);
            drain(c.err, frame::err, c.id);
            for (int fd : {c.in, c.out, c.err})
                if (fd >= 0) close(fd);
            send(frame::result, c.id, {reinterpret_cast<char const*>(&c.code), sizeof c.code});
            it = children_.erase(it);
        }
    }

    bool receive() {
        char buffer[65536];
        auto const n = read(channel_, buffer, sizeof buffer);
        if (n <= 0) return n < 0 && (errno == EAGAIN || errno == EINTR);
        pending_.append(buffer, static_cast<std::size_t>(n));
        send(frame::ack, static_cast<std::uint32_t>(n), {});
        while (pending_.size() >= header_bytes) {
            reader head{pending_};
            auto const length = head.number<std::uint32_t>();
            auto const type = static_cast<frame>(head.number<std::uint8_t>());
            auto const id = head.number<std::uint32_t>();
            if (length > largest_payload) return false;
            if (pending_.size() < header_bytes + length) break;
            handle({type, id, pending_.substr(header_bytes, length)});
            pending_.erase(0, header_bytes + length);
        }
        return true;
    }

    void handle(message const& m) {
        reader in{m.payload};
        if (m.type == frame::hello) return send(frame::hello, 0, {});
        if (m.type == frame::exec) return start(m.id, in);
        if (m.type == frame::reseed) return reseed(m.id, in);
        for (auto& [pid, c] : children_) {
            if (c.id != m.id) continue;
            if (m.type == frame::signal) kill(pid, static_cast<int>(in.number<std::uint32_t>()));
            else if (m.type == frame::input && c.in >= 0) feed(c, m.payload);
        }
    }

    static void feed(child& c, std::string_view bytes) {
        if (bytes.empty()) close(std::exchange(c.in, -1));
        while (!bytes.empty()) {
            auto const n = write(c.in, bytes.data(), bytes.size());
            if (n <= 0) return;
            bytes.remove_prefix(static_cast<std::size_t>(n));
        }
    }

    void start(std::uint32_t id, reader& in) {
        auto argv = in.list();
        auto env = in.list();
        auto const cwd = in.text();
        int to[2], from[2], complain[2];
        if (in.bad || argv.empty() || pipe2(to, O_CLOEXEC) || pipe2(from, O_CLOEXEC) || pipe2(complain, O_CLOEXEC)) {
            std::int32_t const code = 126;
            return send(frame::result, id, {reinterpret_cast<char const*>(&code), sizeof code});
        }
        pid_t const pid = fork();
        if (pid == 0) {
            setsid();
            dup2(to[0], 0);
            dup2(from[1], 1);
            dup2(complain[1], 2);
            sigset_t none;
            sigemptyset(&none);
            sigprocmask(SIG_SETMASK, &none, nullptr);
            signal(SIGPIPE, SIG_DFL);
            std::vector<char*> a, e;
            for (auto& s : argv) a.push_back(s.data());
            for (auto& s : env) e.push_back(s.data());
            a.push_back(nullptr);
            e.push_back(nullptr);
            if (!cwd.empty() && chdir(cwd.c_str()) != 0) _exit(126);
            environ = e.data();  // before the look-up: it uses the PATH of this process
            execvp(a[0], a.data());
            dprintf(2, "%s: %s\n", a[0], std::strerror(errno));
            _exit(127);
        }
        for (int fd : {to[0], from[1], complain[1]}) close(fd);
        for (int fd : {from[0], complain[0]}) fcntl(fd, F_SETFL, O_NONBLOCK);
        children_[pid] = {id, to[1], from[0], complain[0]};
    }

    // A guest started from a snapshot has the random state and the clock of the snapshot.
    void reseed(std::uint32_t id, reader& in) {
        timespec now{};
        now.tv_sec = in.number<std::int64_t>();
        now.tv_nsec = in.number<std::int64_t>();
        alignas(rand_pool_info) char pool[sizeof(rand_pool_info) + entropy_bytes]{};
        auto* const head = reinterpret_cast<rand_pool_info*>(pool);
        head->entropy_count = entropy_bytes * 8;
        head->buf_size = entropy_bytes;
        in.left.copy(pool + sizeof(rand_pool_info), entropy_bytes);
        int const random = open("/dev/urandom", O_RDWR | O_CLOEXEC);
        bool const ok = clock_settime(CLOCK_REALTIME, &now) == 0 && ioctl(random, RNDADDENTROPY, pool) == 0 &&
                        ioctl(random, RNDRESEEDCRNG) == 0;
        close(random);
        std::int32_t const code = ok ? 0 : 1;
        send(frame::result, id, {reinterpret_cast<char const*>(&code), sizeof code});
    }

    int channel_;
    std::string pending_;
    std::map<pid_t, child> children_;
};

}  // namespace

void serve(int channel) {
    session(channel).run();
}

}  // namespace guest
