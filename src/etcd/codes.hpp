// The gRPC status codes that etcd's answers carry, as far as they mean something to us.
//
// Source: google.golang.org/grpc/codes; which error has which: etcd's api/v3rpc/rpctypes/error.go.
#pragma once

namespace vipd::etcd::code {

constexpr int kCancelled = 1;
constexpr int kUnknown = 2;  // raft's own errors
constexpr int kDeadlineExceeded = 4;
constexpr int kNotFound = 5;
constexpr int kPermissionDenied = 7;
constexpr int kResourceExhausted = 8;   // no space left, and also "too many requests"
constexpr int kFailedPrecondition = 9;  // of Authenticate: authentication is off
constexpr int kOutOfRange = 11;         // compacted, or of a cluster that is no more
constexpr int kUnimplemented = 12;
constexpr int kInternal = 13;
constexpr int kUnavailable = 14;  // no leader, timed out, stopping
constexpr int kDataLoss = 15;
constexpr int kUnauthenticated = 16;

}  // namespace vipd::etcd::code
