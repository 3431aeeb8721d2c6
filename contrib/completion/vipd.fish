# completion for vipd(8); rewritten by: VIPD_REWRITE=1 build/san/tests/unit/test_completion

function __vipd_keys
  set -l word (commandline -ct)
  set -l name (string split . -- $word)[2]
  switch $word
    case 'etcd.discover=*'
      printf '%s\n' (string replace -r '=.*' '=' -- $word){no,yes}
    case 'peer.hold=*'
      printf '%s\n' (string replace -r '=.*' '=' -- $word){no,yes}
    case 'fence=*'
      printf '%s\n' (string replace -r '=.*' '=' -- $word){auto,none}
    case 'vip.*.preempt=*'
      printf '%s\n' (string replace -r '=.*' '=' -- $word){yes,no}
    case 'vip.*.source=*'
      printf '%s\n' (string replace -r '=.*' '=' -- $word){yes,no}
    case 'vip.*.kill_connections=*'
      printf '%s\n' (string replace -r '=.*' '=' -- $word){yes,no}
    case 'check.*.insecure=*'
      printf '%s\n' (string replace -r '=.*' '=' -- $word){yes,no}
    case 'announce.form=*'
      printf '%s\n' (string replace -r '=.*' '=' -- $word){request,reply,both}
    case 'conflict=*'
      printf '%s\n' (string replace -r '=.*' '=' -- $word){defend,release,ignore}
    case 'conflict.probe=*'
      printf '%s\n' (string replace -r '=.*' '=' -- $word){no,yes}
    case 'log.level=*'
      printf '%s\n' (string replace -r '=.*' '=' -- $word){error,warn,info,debug}
    case 'log.target=*'
      printf '%s\n' (string replace -r '=.*' '=' -- $word){stderr,syslog,kmsg}
    case 'vip.*.*'
      printf '%s\n' vip.$name.address= vip.$name.link= vip.$name.routes= vip.$name.group= vip.$name.priority= vip.$name.preempt= vip.$name.preempt_delay= vip.$name.source= vip.$name.kill_connections= vip.$name.checks= vip.$name.notify= vip.$name.acquire=
    case 'check.*.*'
      printf '%s\n' check.$name.http= check.$name.tcp= check.$name.exec= check.$name.file= check.$name.arp= check.$name.link= check.$name.etcd= check.$name.status= check.$name.header_file= check.$name.interval= check.$name.timeout= check.$name.rise= check.$name.fall= check.$name.weight= check.$name.cacert= check.$name.cert= check.$name.key= check.$name.insecure=
    case '*'
      printf '%s\n' node.name= etcd.endpoints= etcd.cluster= etcd.discover= etcd.cacert= etcd.cert= etcd.key= etcd.servername= etcd.user= etcd.password_file= etcd.prefix= session.timeout= session.heartbeat= peer.timeout= peer.hold= fence= vip. check. announce.form= announce.count= announce.interval= announce.refresh= announce.targets= conflict= conflict.probe= control.socket= http.listen= state.dir= log.level= log.target= user=
  end
end

complete -c vipd -s c -l config -r -F -d 'configuration file, or a folder of *.conf files'
complete -c vipd -s o -l option -x -a '(__vipd_keys)' -d 'set a key, whatever the files say'
complete -c vipd -s n -l check -d 'check the configuration and exit'
complete -c vipd -l online -d 'with -n: ask each endpoint of etcd, too'
complete -c vipd -l print-config -d 'print the effective configuration and exit'
complete -c vipd -s d -l daemonize -d 'go to the background once ready'
complete -c vipd -s p -l pidfile -r -F -d 'write the pid there and lock the file'
complete -c vipd -s v -l verbose -d 'log.level = debug'
complete -c vipd -l ready-fd -x -d 'write a line to this descriptor once ready'
complete -c vipd -s V -l version -d 'print the version and exit'
complete -c vipd -s h -l help -d 'print this and exit'
