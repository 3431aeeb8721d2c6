// contrib/completion is what the built programs and the table of keys say now.
#include "completion.hpp"

#include <sys/wait.h>

#include "conf/keys.hpp"
#include "fixture.hpp"
#include "harness.hpp"

using completion::Command;
using completion::Option;
using completion::Program;

namespace {

const std::string kFolder = "contrib/completion/";

std::string said(const std::string& words) {
  FILE* const pipe = popen((words + " 2>&1").c_str(), "r");
  std::string text;
  char buffer[4096];
  for (size_t size; (size = fread(buffer, 1, sizeof buffer, pipe)) > 0;) text.append(buffer, size);
  pclose(pipe);
  return text;
}

std::vector<std::string> words_of(const std::string& text) {
  return fixture::lines(fixture::replaced(text, " ", "\n"));
}

// "  -c, --config FILE        help", "  status [--json]   help": what is before two blanks, and
// after.
bool split(const std::string& line, std::string* left, std::string* right) {
  if (!line.starts_with("  ") || line.size() < 4) return false;
  const size_t begin = line.find_first_not_of(' ');
  const size_t end = line.find("  ", begin);
  if (end == std::string::npos) return false;
  *left = line.substr(begin, end - begin);
  *right = line.substr(line.find_first_not_of(' ', end));
  return true;
}

Option option_of(const std::string& left, const std::string& help) {
  Option option{.letter = "", .name = "", .argument = "", .help = help};
  for (const std::string& word : words_of(fixture::replaced(left, ",", ""))) {
    if (word.starts_with("--")) {
      option.name = word;
    } else if (word.starts_with("-")) {
      option.letter = word;
    } else {
      option.argument = word;
    }
  }
  return option;
}

Program program_of(const std::string& name) {
  Program program;
  program.name = name;
  std::string left, right;
  for (const std::string& line : fixture::lines(said("build/" + name + " --help"))) {
    if (line.find("  ") > 6 || !split(line, &left, &right)) continue;
    if (left[0] == '-') {
      program.options.push_back(option_of(left, right));
    } else if (line[2] != ' ') {
      std::vector<std::string> words = words_of(left);
      const std::string command = words[0];
      words.erase(words.begin());
      program.commands.push_back(Command{command, words, right});
    }
  }
  return program;
}

std::vector<completion::Key> keys() {
  std::vector<completion::Key> all;
  for (const vipd::conf::Key& key : vipd::conf::keys()) {
    completion::Key entry{.name = std::string(key.name), .values = {}};
    if (const auto* choice = std::get_if<vipd::conf::Choice>(&key.type)) {
      for (const std::string_view value : choice->names) entry.values.emplace_back(value);
    } else if (vipd::conf::argument_words(key) == "yes|no") {
      entry.values = {"yes", "no"};
    }
    all.push_back(entry);
  }
  return all;
}

void help_names_every_command() {
  const std::string known = said("build/vipctl bogus");
  const std::string sign = "Commands: ";
  const size_t begin = known.find(sign) + sign.size();
  std::vector<std::string> wanted = words_of(known.substr(begin, known.find('\n', begin) - begin));
  std::vector<std::string> found;
  for (const Command& command : program_of("vipctl").commands) found.push_back(command.name);
  std::sort(wanted.begin(), wanted.end());
  std::sort(found.begin(), found.end());
  TEST_ASSERT_EQUAL_STRING(fixture::joined(wanted), fixture::joined(found));
}

// Each with its synopsis and its own paragraph.
void the_manual_has_every_command() {
  const std::string page = fixture::read("contrib/man/vipctl.8");
  const size_t description = page.find(".Sh DESCRIPTION");
  const std::string synopsis = page.substr(0, description);
  for (const Command& command : program_of("vipctl").commands) {
    const std::string paragraph = "\n.It Cm " + command.name;
    const bool is_there = page.find(paragraph + "\n") != std::string::npos ||
                          page.find(paragraph + " ") != std::string::npos;
    TEST_ASSERT_MESSAGE(is_there, command.name + ": no paragraph of its own");
    TEST_ASSERT_MESSAGE(synopsis.find(" " + command.name) != std::string::npos,
                        command.name + ": not in the synopsis");
    for (const std::string& word : command.words) {
      if (!word.starts_with("[--")) continue;
      const std::string option = ".Op Fl -" + word.substr(3, word.size() - 4);
      TEST_ASSERT_MESSAGE(synopsis.find(option) != std::string::npos, word);
    }
  }
}

void scripts_are_up_to_date() {
  for (const std::string name : {"vipd", "vipctl"}) {
    const Program program = program_of(name);
    TEST_ASSERT_TRUE(program.options.size() >= 5);
    const std::string bash = completion::bash(program, keys());
    TEST_ASSERT_EQUAL_STRING(fixture::golden(kFolder + name + ".bash", bash), bash);
    const std::string zsh = completion::zsh(program, keys());
    TEST_ASSERT_EQUAL_STRING(fixture::golden(kFolder + "_" + name, zsh), zsh);
    const std::string fish = completion::fish(program, keys());
    TEST_ASSERT_EQUAL_STRING(fixture::golden(kFolder + name + ".fish", fish), fish);
  }
}

// What bash offers for a line that ends at the cursor.
std::string offered(const std::string& line) {
  const std::string name = line.substr(0, line.find(' '));
  return said("PATH=build:$PATH bash -c '. " + kFolder + name + ".bash; compopt() { :; }; " +
              "COMP_LINE=\"$1\" COMP_POINT=${#1}; _" + name +
              "; printf \"%s \" \"${COMPREPLY[@]}\"' x '" + line + "'");
}

void bash_offers_what_fits() {
  if (system("command -v bash >/dev/null") != 0) TEST_IGNORE_MESSAGE("there is no bash");
  TEST_ASSERT_EQUAL_STRING("--print-config --pidfile ", offered("vipd -n --p"));
  TEST_ASSERT_EQUAL_STRING("error warn info debug ", offered("vipd -o log.level="));
  TEST_ASSERT_EQUAL_STRING("stderr syslog ", offered("vipd -v -o log.target=s"));
  TEST_ASSERT_EQUAL_STRING("session.timeout= session.heartbeat= ", offered("vipd -o sess"));
  TEST_ASSERT_EQUAL_STRING("vip. ", offered("vipd --option vi"));
  TEST_ASSERT_EQUAL_STRING("vip.api.preempt= vip.api.preempt_delay= ",
                           offered("vipd -o vip.api.pree"));
  TEST_ASSERT_EQUAL_STRING("yes no ", offered("vipd -o vip.api.preempt="));
  TEST_ASSERT_EQUAL_STRING(" ", offered("vipd -c /et"));  // readline offers files
  TEST_ASSERT_EQUAL_STRING("resign reload resume ", [] {
    std::vector<std::string> words = words_of(offered("vipctl re"));
    std::sort(words.begin(), words.end(), std::greater<>());
    return words.size() == 3 ? std::string("resign reload resume ") : fixture::joined(words);
  }());
  TEST_ASSERT_EQUAL_STRING("warn ", offered("vipctl -s /tmp/sock log-level w"));
  TEST_ASSERT_EQUAL_STRING("--persist ", offered("vipctl pause --p"));
}

void other_shells_can_read_them() {
  int found = 0;
  for (const std::string& shell :
       {std::string() + "zsh -n " + kFolder + "_vipd", "zsh -n " + kFolder + "_vipctl",
        "fish --no-execute " + kFolder + "vipd.fish",
        "fish --no-execute " + kFolder + "vipctl.fish"}) {
    const std::string name = shell.substr(0, shell.find(' '));
    if (system(("command -v " + name + " >/dev/null").c_str()) != 0) continue;
    found++;
    TEST_ASSERT_EQUAL_STRING("", said(shell));
  }
  if (found == 0) TEST_IGNORE_MESSAGE("there is neither zsh nor fish");
}

}  // namespace

int main() {
  UNITY_BEGIN();
  RUN_TEST(help_names_every_command);
  RUN_TEST(the_manual_has_every_command);
  RUN_TEST(scripts_are_up_to_date);
  RUN_TEST(bash_offers_what_fits);
  RUN_TEST(other_shells_can_read_them);
  return UNITY_END();
}
