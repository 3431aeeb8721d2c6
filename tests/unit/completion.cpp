#include "completion.hpp"

#include <algorithm>

#include "fixture.hpp"

namespace completion {
namespace {

using Words = std::vector<std::string>;

std::string joined(const Words& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

std::string head(const Program& program, const char* comment) {
  return std::string(comment) + " completion for " + program.name +
         "(8); rewritten by: VIPD_REWRITE=1 build/san/tests/unit/test_completion\n\n";
}

bool is_file(const Option& option) {
  return option.argument == "FILE" || option.argument == "SOCKET";
}

// The commands that take such a word at that place.
Words taking(const Program& program, const std::string& word, size_t place) {
  Words names;
  for (const Command& command : program.commands) {
    Words words = command.words;
    std::erase_if(words, [](const std::string& w) { return w.starts_with("[--"); });
    const bool repeats = place == 0 && word == "VIP" && !words.empty() && words[0] == "[VIP...]";
    if (repeats || (words.size() > place && words[place] == word)) names.push_back(command.name);
  }
  return names;
}

// A word of a command's arguments, and where such names are in the status, for grep.
struct Kind {
  std::string word;
  std::string pattern;
};

std::vector<Kind> kinds() {
  return {{"VIP", R"("name":"[^"]*","address")"},
          {"NODE", R"("node":"[^"]*","priority")"},
          {"NAME", R"("name":"[^"]*","state")"}};
}

Words fixed_words(const Program& program) {
  Words all;
  for (const Command& command : program.commands) {
    for (const std::string& word : command.words) {
      if (word.find('|') != std::string::npos) all.push_back(word);
    }
  }
  return all;
}

Words command_names(const Program& program) {
  Words names;
  for (const Command& command : program.commands) names.push_back(command.name);
  return names;
}

Words options_of(const Program& program) {
  Words all;
  for (const Option& option : program.options) {
    if (!option.letter.empty()) all.push_back(option.letter);
    all.push_back(option.name);
  }
  return all;
}

const Key* find(const std::vector<Key>& keys, const std::string& name) {
  const auto found =
      std::find_if(keys.begin(), keys.end(), [&](const Key& key) { return key.name == name; });
  return found == keys.end() ? nullptr : &*found;
}

// "node.name= vip.": those with a name of their own begin by it.
Words plain_keys(const std::vector<Key>& keys) {
  Words all;
  for (const Key& key : keys) {
    const size_t name = key.name.find("NAME");
    const std::string word = name == std::string::npos ? key.name + "=" : key.name.substr(0, name);
    if (std::find(all.begin(), all.end(), word) == all.end()) all.push_back(word);
  }
  return all;
}

// Those of "vip.NAME.", with the shell's variable in the place of NAME.
Words named_keys(const std::vector<Key>& keys, const std::string& group, const std::string& by) {
  Words all;
  for (const Key& key : keys) {
    if (key.name.starts_with(group)) {
      all.push_back(fixture::replaced(key.name, "NAME", by) + "=");
    }
  }
  return all;
}

std::string case_pattern(const std::string& key) {
  return fixture::replaced(key, "NAME", "*") + "=*";
}

Words groups(const std::vector<Key>& keys) {
  Words all;
  for (const std::string& word : plain_keys(keys)) {
    if (word.ends_with(".")) all.push_back(word);
  }
  return all;
}

std::string key_function(const Program& program, const std::vector<Key>& keys) {
  std::string text = "_" + program.name + "_words() {\n  local name=${1#*.}\n  name=${name%%.*}\n";
  text += "  case $1 in\n";
  for (const Key& key : keys) {
    if (key.values.empty()) continue;
    text += "    " + case_pattern(key.name) + ") echo \"" + joined(key.values) + "\" ;;\n";
  }
  text += "    *=*) ;;\n";
  for (const std::string& group : groups(keys)) {
    text += "    " + group + "*.*) echo \"" + joined(named_keys(keys, group, "$name")) + "\" ;;\n";
  }
  text += "    *) echo \"" + joined(plain_keys(keys)) + "\" ;;\n  esac\n}\n\n";
  return text;
}

// Which word completes what: for bash and zsh alike, by the command and the number of words so far.
std::string command_function(const Program& program, const std::vector<Key>& keys) {
  std::string text = "_" + program.name + "_ask() {  # SOCKET PATTERN\n";
  text += "  " + program.name + " ${1:+\"-s$1\"} status --json 2>/dev/null | grep -o \"$2\" |\n";
  text += "    cut -d'\"' -f4 | sort -u\n}\n\n";
  text += "_" + program.name + "_words() {  # SOCKET COMMAND NUMBER\n  case $2.$3 in\n";
  text += "    *.0) echo \"" + joined(command_names(program)) + "\" ;;\n";
  for (const Command& command : program.commands) {
    size_t place = 0;
    for (std::string word : command.words) {
      if (word.starts_with("[--")) continue;
      const std::string number = word.ends_with("...]") ? "*" : std::to_string(++place);
      word = fixture::replaced(fixture::replaced(word, "[", ""), "...]", "");
      text += "    " + command.name + "." + number + ") ";
      for (const Kind& kind : kinds()) {
        if (kind.word != word) continue;
        text += "_" + program.name + "_ask \"$1\" '" + kind.pattern + "'";
      }
      const Key* levels = find(keys, "log.level");
      if (word == "LEVEL" && levels != nullptr) text += "echo \"" + joined(levels->values) + "\"";
      if (word.find('|') != std::string::npos) {
        text += "echo \"" + fixture::replaced(word, "|", " ") + "\"";
      }
      text += " ;;\n";
    }
  }
  return text + "  esac\n}\n\n";
}

std::string words_function(const Program& program, const std::vector<Key>& keys) {
  return program.commands.empty() ? key_function(program, keys) : command_function(program, keys);
}

std::string files_case(const Program& program) {
  std::string text;
  for (const Option& option : program.options) {
    if (!is_file(option)) continue;
    text += (text.empty() ? "" : "|") + option.letter + "|" + option.name;
  }
  return text;
}

}  // namespace

// The shell breaks words at '=' as well, so the line is looked at, and only what is after the last
// '=' is completed.
std::string bash(const Program& program, const std::vector<Key>& keys) {
  const std::string& name = program.name;
  std::string text = head(program, "# bash") + words_function(program, keys);
  text += "_" + name + "() {\n";
  text += "  local line=${COMP_LINE:0:COMP_POINT} word before\n";
  text += "  word=${line##*[[:blank:]]}\n";
  text += "  local -a words\n  read -ra words <<<\"${line%\"$word\"}\"\n";
  text += "  before=${words[${#words[@]} - 1]}\n  COMPREPLY=()\n";
  text += "  case $before in\n    " + files_case(program) + ") return ;;\n";
  if (program.commands.empty()) {
    text += "    -o|--option)\n      compopt -o nospace\n";
    text += "      mapfile -t COMPREPLY < <(compgen -W \"$(_" + name +
            "_words \"$word\")\" -- \"${word#*=}\")\n      return ;;\n";
  }
  text += "  esac\n  if [[ $word == -* ]]; then\n    mapfile -t COMPREPLY < <(compgen -W \"" +
          joined(options_of(program)) + "\" -- \"$word\")\n";
  if (!program.commands.empty()) {
    text += "    return\n  fi\n  local socket= command= number=0 i\n";
    text += "  for ((i = 1; i < ${#words[@]}; i++)); do\n    case ${words[i]} in\n";
    text += "      -s|--socket) socket=${words[++i]} ;;\n      -*) ;;\n";
    text +=
        "      *) command=${command:-${words[i]}} number=$((number + 1)) ;;\n    esac\n  done\n";
    text += "  mapfile -t COMPREPLY < <(compgen -W \"$(_" + name +
            "_words \"$socket\" \"$command\" $number)\" -- \"$word\")\n";
  } else {
    text += "  fi\n";
  }
  return text + "}\ncomplete -o default -F _" + name + " " + name + "\n";
}

namespace {

std::string zsh_text(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c == '\'') continue;
    if (c == '[' || c == ']' || c == ':' || c == '\\') result += '\\';
    result += c;
  }
  return result;
}

}  // namespace

std::string zsh(const Program& program, const std::vector<Key>& keys) {
  const std::string& name = program.name;
  std::string text = "#compdef " + name + "\n" + head(program, "#") + words_function(program, keys);
  if (program.commands.empty()) {
    text += "_" + name + "_key() {\n  local -a list\n  list=(${=$(_" + name +
            "_words \"$PREFIX\")})\n  if compset -P '*='; then compadd -a list\n"
            "  else compadd -S '' -a list\n  fi\n}\n\n";
  } else {
    text += "_" + name + "_word() {\n  local socket= command= number=0 i\n  local -a list\n";
    text += "  for ((i = 2; i < CURRENT; i++)); do\n    case $words[i] in\n";
    text += "      -s|--socket) ((i++)); socket=$words[i] ;;\n      -*) ;;\n";
    text += "      *) command=${command:-$words[i]}; ((number++)) ;;\n    esac\n  done\n";
    text += "  list=(${=$(_" + name + "_words \"$socket\" \"$command\" $number)})\n";
    text += "  compadd -a list\n}\n\n";
  }
  text += "_arguments -s";
  for (const Option& option : program.options) {
    std::string rest = "'[" + zsh_text(option.help) + "]";
    if (is_file(option)) rest += ":file:_files";
    if (option.argument == "KEY=VALUE") rest += ":key:_" + name + "_key";
    if (option.argument == "N") rest += ":number:";
    text += " \\\n  ";
    if (option.letter.empty()) {
      text += "'" + option.name + rest.substr(1);
    } else {
      text += "'*'{" + option.letter + "," + option.name + "}" + rest;
    }
    text += "'";
  }
  if (!program.commands.empty()) text += " \\\n  '*:word:_" + name + "_word'";
  return text + "\n";
}

namespace {

std::string fish_text(const std::string& text) {
  return fixture::replaced(text, "'", "");
}

std::string fish_keys(const std::vector<Key>& keys) {
  std::string text = "function __vipd_keys\n  set -l word (commandline -ct)\n";
  text += "  set -l name (string split . -- $word)[2]\n  switch $word\n";
  for (const Key& key : keys) {
    if (key.values.empty()) continue;
    text += "    case '" + case_pattern(key.name) + "'\n      printf '%s\\n' " +
            "(string replace -r '=.*' '=' -- $word){" +
            fixture::replaced(joined(key.values), " ", ",") + "}\n";
  }
  for (const std::string& group : groups(keys)) {
    text += "    case '" + group + "*.*'\n      printf '%s\\n' " +
            joined(named_keys(keys, group, "$name")) + "\n";
  }
  return text + "    case '*'\n      printf '%s\\n' " + joined(plain_keys(keys)) +
         "\n  end\nend\n\n";
}

std::string fish_commands(const Program& program, const std::vector<Key>& keys) {
  std::string text = "function __vipctl_status\n  set -l at\n";
  text += "  for i in (seq (count (commandline -opc)))\n";
  text += "    contains -- (commandline -opc)[$i] -s --socket\n";
  text += "    and set at -s (commandline -opc)[(math $i + 1)]\n  end\n";
  text +=
      "  command vipctl $at status --json 2>/dev/null | grep -o $argv[1] | cut -d'\"' -f4 | "
      "sort -u\nend\n\n";
  for (const Command& command : program.commands) {
    text += "complete -c vipctl -f -n __fish_use_subcommand -a " + command.name + " -d '" +
            fish_text(command.help) + "'\n";
  }
  for (size_t place = 0; place < 2; place++) {
    for (const Kind& kind : kinds()) {
      const Words names = taking(program, kind.word, place);
      if (names.empty()) continue;
      text += "complete -c vipctl -f -n '__fish_seen_subcommand_from " + joined(names) +
              "' -a \"(__vipctl_status '" + fixture::replaced(kind.pattern, "\"", "\\\"") +
              "')\"\n";
    }
  }
  for (const std::string& word : fixed_words(program)) {
    text += "complete -c vipctl -f -n '__fish_seen_subcommand_from " +
            joined(taking(program, word, 1)) + "' -a '" + fixture::replaced(word, "|", " ") + "'\n";
  }
  if (const Key* levels = find(keys, "log.level")) {
    text += "complete -c vipctl -f -n '__fish_seen_subcommand_from " +
            joined(taking(program, "LEVEL", 0)) + "' -a '" + joined(levels->values) + "'\n";
  }
  return text;
}

}  // namespace

std::string fish(const Program& program, const std::vector<Key>& keys) {
  std::string text = head(program, "#");
  text += program.commands.empty() ? fish_keys(keys) : fish_commands(program, keys);
  for (const Option& option : program.options) {
    text += "complete -c " + program.name;
    if (!option.letter.empty()) text += " -s " + option.letter.substr(1);
    text += " -l " + option.name.substr(2);
    if (is_file(option)) text += " -r -F";
    if (option.argument == "KEY=VALUE") text += " -x -a '(__vipd_keys)'";
    if (option.argument == "N") text += " -x";
    text += " -d '" + fish_text(option.help) + "'\n";
  }
  return text;
}

}  // namespace completion
