#include "ctl/json_text.hpp"

#include <rapidjson/encodings.h>
#include <rapidjson/memorystream.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <algorithm>

namespace vipd::ctl {
namespace {

using Json = rapidjson::Writer<rapidjson::StringBuffer>;

void put(Json* json, std::string_view text) {
  const std::string valid = valid_utf8(text);
  json->String(valid.data(), static_cast<rapidjson::SizeType>(valid.size()));
}

}  // namespace

std::string object_json(Texts members) {
  rapidjson::StringBuffer buffer;
  Json json(buffer);
  json.StartObject();
  for (const auto& [name, value] : members) {
    put(&json, name);
    put(&json, value);
  }
  json.EndObject();
  return std::string(buffer.GetString(), buffer.GetSize());
}

std::string list_json(std::string_view name, std::span<const std::string> texts) {
  rapidjson::StringBuffer buffer;
  Json json(buffer);
  json.StartObject();
  put(&json, name);
  json.StartArray();
  for (const std::string& text : texts) put(&json, text);
  json.EndArray();
  json.EndObject();
  return std::string(buffer.GetString(), buffer.GetSize());
}

std::string error_json(std::string_view reason) {
  return object_json({{"error", reason}});
}

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

std::string valid_utf8(std::string_view text) {
  constexpr std::string_view kReplacement = "\xef\xbf\xbd";
  if (is_ascii(text)) return std::string(text);
  std::string valid;
  size_t at = 0;
  while (at < text.size()) {
    rapidjson::MemoryStream stream(text.data() + at, text.size() - at);
    unsigned code_point = 0;
    const bool is_valid = rapidjson::UTF8<>::Decode(stream, &code_point);
    // Decode() goes on past the end as if zeros came; a sequence cut short is not valid there
    // either.
    const size_t size = is_valid ? stream.Tell() : 1;
    if (is_valid) {
      valid += text.substr(at, size);
    } else {
      valid += kReplacement;
    }
    at += size;
  }
  return valid;
}

}  // namespace vipd::ctl
