// The helper process: takes orders from a socket, runs programs, tells how they ended. It has no
// descriptor but that socket and its standard ones (/dev/null), and ends, with all that it runs,
// when the other end of the socket is closed, however that came about.
//
// Each program has a process group of its own (which is killed when it takes too long, and whatever
// is left of it when the program has ended), a clean environment, default signals, /dev/null to
// read and a pipe to write to.
#pragma once

namespace vipd::run {

// Right after fork(2). Never returns.
[[noreturn]] void be_helper(int socket);

}  // namespace vipd::run
