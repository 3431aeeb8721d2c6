// Where things are when nobody says otherwise. `make SYSCONFDIR=... RUNDIR=...` moves them.
#pragma once

#ifndef VIPD_SYSCONFDIR
#define VIPD_SYSCONFDIR "/etc"
#endif
#ifndef VIPD_RUNDIR
#define VIPD_RUNDIR "/run"
#endif

namespace vipd {

inline constexpr char kDefaultFile[] = VIPD_SYSCONFDIR "/vipd.conf";
inline constexpr char kDefaultFolder[] = VIPD_SYSCONFDIR "/vipd.d";
inline constexpr char kDefaultStateDir[] = VIPD_RUNDIR "/vipd";
inline constexpr char kDefaultSocket[] = VIPD_RUNDIR "/vipd/vipd.sock";

}  // namespace vipd
