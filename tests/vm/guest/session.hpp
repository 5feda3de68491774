// Serves the control channel: runs the host's commands as children of the agent, streams their output back.
#pragma once

namespace guest {

// Serves the byte stream `channel` until the host closes it. Reaps every child, also orphans when this is PID 1.
void serve(int channel);

}  // namespace guest
