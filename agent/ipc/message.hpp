// A request and its response, as the transport moves them. It knows nothing of what they mean.
#pragma once

#include <sys/types.h>
#include <functional>
#include <string>

namespace scratchd::ipc {

// Who is at the other end, from SO_PEERCRED (unix(7)): uid and gid decide, the pid is for the log.
struct peer {
    uid_t uid = static_cast<uid_t>(-1);
    gid_t gid = static_cast<gid_t>(-1);
    pid_t pid = 0;
    std::string program;
};

struct request {
    std::string method;
    std::string path;  // without the query
    std::string query;
    std::string body;
    peer from;
};

struct response {
    int status = 200;
    std::string content_type = "application/json";
    std::string body;
};

// Answers a request; may be called once, from any thread, also long after the handler returned.
using reply = std::function<void(response)>;
using handler = std::function<void(request, reply)>;

}  // namespace scratchd::ipc
