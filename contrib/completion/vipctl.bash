# bash completion for vipctl(8); rewritten by: VIPD_REWRITE=1 build/san/tests/unit/test_completion

_vipctl_ask() {  # SOCKET PATTERN
  vipctl ${1:+"-s$1"} status --json 2>/dev/null | grep -o "$2" |
    cut -d'"' -f4 | sort -u
}

_vipctl_words() {  # SOCKET COMMAND NUMBER
  case $2.$3 in
    *.0) echo "status resign transfer take pause resume check reload log-level history metrics version" ;;
    resign.*) _vipctl_ask "$1" '"name":"[^"]*","address"' ;;
    transfer.1) _vipctl_ask "$1" '"name":"[^"]*","address"' ;;
    transfer.2) _vipctl_ask "$1" '"node":"[^"]*","priority"' ;;
    take.1) _vipctl_ask "$1" '"name":"[^"]*","address"' ;;
    check.1) _vipctl_ask "$1" '"name":"[^"]*","state"' ;;
    check.2) echo "up down auto" ;;
    log-level.1) echo "error warn info debug" ;;
  esac
}

_vipctl() {
  local line=${COMP_LINE:0:COMP_POINT} word before
  word=${line##*[[:blank:]]}
  local -a words
  read -ra words <<<"${line%"$word"}"
  before=${words[${#words[@]} - 1]}
  COMPREPLY=()
  case $before in
    -s|--socket) return ;;
  esac
  if [[ $word == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "-s --socket --json --watch --persist -V --version -h --help" -- "$word")
    return
  fi
  local socket= command= number=0 i
  for ((i = 1; i < ${#words[@]}; i++)); do
    case ${words[i]} in
      -s|--socket) socket=${words[++i]} ;;
      -*) ;;
      *) command=${command:-${words[i]}} number=$((number + 1)) ;;
    esac
  done
  mapfile -t COMPREPLY < <(compgen -W "$(_vipctl_words "$socket" "$command" $number)" -- "$word")
}
complete -o default -F _vipctl vipctl
