// What tests with files share: a temporary folder, and goldens that VIPD_REWRITE=1 brings up to
// date.
#pragma once

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace fixture {

inline std::string read(const std::string& path) {
  std::string text;
  FILE* const file = fopen(path.c_str(), "rb");
  if (file == nullptr) return "cannot open " + path;
  char buffer[4096];
  for (size_t size; (size = fread(buffer, 1, sizeof buffer, file)) > 0;) text.append(buffer, size);
  fclose(file);
  return text;
}

inline void write(const std::string& path, const std::string& text) {
  FILE* const file = fopen(path.c_str(), "wb");
  if (file == nullptr) abort();
  fwrite(text.data(), 1, text.size(), file);
  fclose(file);
}

inline bool rewrites() {
  return getenv("VIPD_REWRITE") != nullptr;
}

// The golden's text; with VIPD_REWRITE it becomes `actual` first.
inline std::string golden(const std::string& path, const std::string& actual) {
  if (rewrites()) write(path, actual);
  return read(path);
}

// A folder that goes with the files in it.
class Folder {
 public:
  Folder() {
    char name[] = "/tmp/vipd-test-XXXXXX";
    path_ = mkdtemp(name);
    // Some tests read as another user.
    (void)chmod(path_.c_str(), 0755);
  }
  ~Folder() {
    DIR* const folder = opendir(path_.c_str());
    while (const dirent* entry = folder == nullptr ? nullptr : readdir(folder)) {
      (void)unlink((path_ + "/" + entry->d_name).c_str());  // "." and ".." stay
    }
    if (folder != nullptr) closedir(folder);
    rmdir(path_.c_str());
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  std::string file(const std::string& name, const std::string& text) {
    std::string path = path_ + "/" + name;
    write(path, text);
    return path;
  }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

inline std::string replaced(std::string text, const std::string& what, const std::string& by) {
  for (size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += by.size()) {
    text.replace(at, what.size(), by);
  }
  return text;
}

inline std::vector<std::string> lines(const std::string& text) {
  std::vector<std::string> result;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    result.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return result;
}

inline std::string joined(const std::vector<std::string>& texts) {
  std::string result;
  for (const std::string& text : texts) result += text + "\n";
  return result;
}

}  // namespace fixture
