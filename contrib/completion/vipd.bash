# bash completion for vipd(8); rewritten by: VIPD_REWRITE=1 build/san/tests/unit/test_completion

_vipd_words() {
  local name=${1#*.}
  name=${name%%.*}
  case $1 in
    etcd.discover=*) echo "no yes" ;;
    peer.hold=*) echo "no yes" ;;
    fence=*) echo "auto none" ;;
    vip.*.preempt=*) echo "yes no" ;;
    vip.*.source=*) echo "yes no" ;;
    vip.*.kill_connections=*) echo "yes no" ;;
    check.*.insecure=*) echo "yes no" ;;
    announce.form=*) echo "request reply both" ;;
    conflict=*) echo "defend release ignore" ;;
    conflict.probe=*) echo "no yes" ;;
    log.level=*) echo "error warn info debug" ;;
    log.target=*) echo "stderr syslog kmsg" ;;
    *=*) ;;
    vip.*.*) echo "vip.$name.address= vip.$name.link= vip.$name.routes= vip.$name.group= vip.$name.priority= vip.$name.preempt= vip.$name.preempt_delay= vip.$name.source= vip.$name.kill_connections= vip.$name.checks= vip.$name.notify= vip.$name.acquire=" ;;
    check.*.*) echo "check.$name.http= check.$name.tcp= check.$name.exec= check.$name.file= check.$name.arp= check.$name.link= check.$name.etcd= check.$name.status= check.$name.header_file= check.$name.interval= check.$name.timeout= check.$name.rise= check.$name.fall= check.$name.weight= check.$name.cacert= check.$name.cert= check.$name.key= check.$name.insecure=" ;;
    *) echo "node.name= etcd.endpoints= etcd.cluster= etcd.discover= etcd.cacert= etcd.cert= etcd.key= etcd.servername= etcd.user= etcd.password_file= etcd.prefix= session.timeout= session.heartbeat= peer.timeout= peer.hold= fence= vip. check. announce.form= announce.count= announce.interval= announce.refresh= announce.targets= conflict= conflict.probe= control.socket= http.listen= state.dir= log.level= log.target= user=" ;;
  esac
}

_vipd() {
  local line=${COMP_LINE:0:COMP_POINT} word before
  word=${line##*[[:blank:]]}
  local -a words
  read -ra words <<<"${line%"$word"}"
  before=${words[${#words[@]} - 1]}
  COMPREPLY=()
  case $before in
    -c|--config|-p|--pidfile) return ;;
    -o|--option)
      compopt -o nospace
      mapfile -t COMPREPLY < <(compgen -W "$(_vipd_words "$word")" -- "${word#*=}")
      return ;;
  esac
  if [[ $word == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "-c --config -o --option -n --check --online --print-config -d --daemonize -p --pidfile -v --verbose --ready-fd -V --version -h --help" -- "$word")
  fi
}
complete -o default -F _vipd vipd
