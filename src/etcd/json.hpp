// The JSON of etcd's v3 gateway: request bodies out, answers in. Pure: text to structs and back.
// Accepts all dialects of 3.4 to 3.7: a missing field is zero, an int64 is a string or a number, an
// error has one of four shapes. Anything else is Error::kBadAnswer; no input is trusted.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "etcd/client.hpp"

namespace vipd::etcd {

[[nodiscard]] std::string write_grant(int64_t ttl_s);
[[nodiscard]] std::string write_lease(int64_t lease);  // keepalive and revoke
[[nodiscard]] std::string write_txn(const Txn& txn);
[[nodiscard]] std::string write_range(const std::string& key, const std::string& range_end,
                                      int64_t revision = 0);
[[nodiscard]] std::string write_watch(const std::string& key, const std::string& range_end,
                                      int64_t start_revision);
[[nodiscard]] std::string write_authenticate(const std::string& user, const std::string& password);

// Each parses `body` in place (its bytes are void afterwards). On false, `error` has code and text.
[[nodiscard]] bool read_granted(std::string& body, Granted& out, Error& error);
[[nodiscard]] bool read_kept_alive(std::string& body, KeptAlive& out, Error& error);
[[nodiscard]] bool read_header(std::string& body, Header& out, Error& error);
[[nodiscard]] bool read_txn(std::string& body, TxnAnswer& out, Error& error);
[[nodiscard]] bool read_range(std::string& body, RangeAnswer& out, Error& error);
// What is left of a txn of ranges when its keys have been cut out (splitter.hpp).
struct SnapshotFrame {
  Header header;
  size_t count = 0;  // of the keys in all ranges
};
[[nodiscard]] bool read_snapshot(std::string& body, size_t ranges, SnapshotFrame& out,
                                 Error& error);
[[nodiscard]] bool read_version(std::string& body, std::string& out, Error& error);
struct MemberInfo {  // etcdserverpb.Member
  uint64_t id = 0;
  std::string name;
  std::vector<std::string> client_urls;
};
struct MemberList {
  Header header;  // it names no revision
  std::vector<MemberInfo> members;
};
// Those that have started and may answer: a learner refuses most requests.
[[nodiscard]] bool read_members(std::string& body, MemberList& out, Error& error);
// A token of visible ASCII.
[[nodiscard]] bool read_token(std::string& body, std::string& out, Error& error);
// "exp" of a JWT's claims; false when there is none.
[[nodiscard]] bool read_expiry(std::string& claims, int64_t& out, Error& error);

struct WatchMessage {  // one line of the stream without its events: WatchResponse
  Header header;
  bool created = false;
  bool canceled = false;
  std::string cancel_reason;
  int64_t compact_revision = 0;
  bool fragment = false;  // the next message goes on within the last revision, perhaps
};

// All three: a NUL must stand at text[length].
[[nodiscard]] bool read_watch_line(char* line, size_t length, WatchMessage& out, Error& error);
[[nodiscard]] bool read_watch_event(char* text, size_t length, WatchEvent& out, Error& error);
[[nodiscard]] bool read_key_value(char* text, size_t length, KeyValue& out, Error& error);

// The text's first `limit` characters; what is not printable ASCII becomes a space.
[[nodiscard]] std::string printable(const char* text, size_t length, size_t limit);

}  // namespace vipd::etcd
