// The command line client: talks to one daemon over its control socket, and to nothing else.
#pragma once

namespace vipd::ctl {

// 0 done, 1 the daemon said no, 2 usage, 3 no daemon at that socket.
[[nodiscard]] int vipctl_main(int argc, char** argv);

}  // namespace vipd::ctl
