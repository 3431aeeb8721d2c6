// Completion for shells, written from what the programs say of themselves (--help comes from the
// tables of options) and from the table of keys. What it needs of a language stands in one place.
#pragma once

#include <string>
#include <vector>

namespace completion {

struct Option {
  std::string letter;    // "-c", or empty
  std::string name;      // "--config"
  std::string argument;  // or empty
  std::string help;
};
struct Command {
  std::string name;
  std::vector<std::string> words;  // "[VIP...]", "NODE", "up|down|auto", "[--json]"
  std::string help;
};
struct Program {
  std::string name;
  std::vector<Option> options;
  std::vector<Command> commands;
};
// The possible values of a key are empty where there are too many.
struct Key {
  std::string name;
  std::vector<std::string> values;
};

std::string bash(const Program& program, const std::vector<Key>& keys);
std::string zsh(const Program& program, const std::vector<Key>& keys);
std::string fish(const Program& program, const std::vector<Key>& keys);

}  // namespace completion
