# completion for vipctl(8); rewritten by: VIPD_REWRITE=1 build/san/tests/unit/test_completion

function __vipctl_status
  set -l at
  for i in (seq (count (commandline -opc)))
    contains -- (commandline -opc)[$i] -s --socket
    and set at -s (commandline -opc)[(math $i + 1)]
  end
  command vipctl $at status --json 2>/dev/null | grep -o $argv[1] | cut -d'"' -f4 | sort -u
end

complete -c vipctl -f -n __fish_use_subcommand -a status -d 'what this node knows'
complete -c vipctl -f -n __fish_use_subcommand -a resign -d 'release VIPs (all of them) to the next in the queue'
complete -c vipctl -f -n __fish_use_subcommand -a transfer -d 'hand a VIP over to that node'
complete -c vipctl -f -n __fish_use_subcommand -a take -d 'say that whoever may still have it is off'
complete -c vipctl -f -n __fish_use_subcommand -a pause -d 'release all VIPs and stay out of every election'
complete -c vipctl -f -n __fish_use_subcommand -a resume -d 'take part again'
complete -c vipctl -f -n __fish_use_subcommand -a check -d 'override a health check, or let it judge again'
complete -c vipctl -f -n __fish_use_subcommand -a reload -d 'read the configuration again'
complete -c vipctl -f -n __fish_use_subcommand -a log-level -d 'error, warn, info or debug, until it is changed again'
complete -c vipctl -f -n __fish_use_subcommand -a history -d 'what changed last, and why'
complete -c vipctl -f -n __fish_use_subcommand -a metrics -d 'what the daemon counts, as Prometheus reads it'
complete -c vipctl -f -n __fish_use_subcommand -a version -d 'the versions of vipctl and of the daemon'
complete -c vipctl -f -n '__fish_seen_subcommand_from resign transfer take' -a "(__vipctl_status '\"name\":\"[^\"]*\",\"address\"')"
complete -c vipctl -f -n '__fish_seen_subcommand_from check' -a "(__vipctl_status '\"name\":\"[^\"]*\",\"state\"')"
complete -c vipctl -f -n '__fish_seen_subcommand_from transfer' -a "(__vipctl_status '\"node\":\"[^\"]*\",\"priority\"')"
complete -c vipctl -f -n '__fish_seen_subcommand_from check' -a 'up down auto'
complete -c vipctl -f -n '__fish_seen_subcommand_from log-level' -a 'error warn info debug'
complete -c vipctl -s s -l socket -r -F -d 'the daemons control socket'
complete -c vipctl -l json -d 'for programs, as JSON'
complete -c vipctl -l watch -d 'go on with every change'
complete -c vipctl -l persist -d 'also after a restart of the daemon'
complete -c vipctl -s V -l version -d 'print vipctls version and exit'
complete -c vipctl -s h -l help -d 'print this and exit'
