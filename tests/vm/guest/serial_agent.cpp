// The agent of the full test machine: serves the virtio-serial port named "agent", again after each restore.
#include "session.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>
#include <fstream>
#include <string>

namespace {

std::string find_port() {
    DIR* const folder = opendir("/sys/class/virtio-ports");
    std::string found;
    while (dirent const* const entry = folder != nullptr ? readdir(folder) : nullptr) {
        std::ifstream file(std::string("/sys/class/virtio-ports/") + entry->d_name + "/name");
        std::string name;
        if (std::getline(file, name) && name == "agent") found = std::string("/dev/") + entry->d_name;
    }
    if (folder != nullptr) closedir(folder);
    return found;
}

}  // namespace

int main() {
    int const port = open(find_port().c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (port < 0) return 1;
    for (;;) {
        // Without a host at the other end the port reports a hang-up and nothing else: there is no event to wait for.
        pollfd state{port, POLLIN | POLLOUT, 0};
        poll(&state, 1, -1);
        if ((state.revents & POLLHUP) != 0) usleep(2000);
        else guest::serve(port);
    }
}
