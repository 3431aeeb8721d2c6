// Where distributions keep the certificates of the authorities that everybody trusts, as one file
// in PEM form. Looked up at run time: what a TLS library was built with is another system's path,
// or none at all (the static build).
#pragma once

#include <array>
#include <span>
#include <string>

namespace vipd::web {

// In the order of Go's crypto/x509 (root_linux.go), which has them from the distributions.
inline constexpr std::array<const char*, 6> kBundles = {
    "/etc/ssl/certs/ca-certificates.crt",  // Debian, Ubuntu, Arch, Gentoo, NixOS, OpenWrt,
                                           // Buildroot
    "/etc/pki/tls/certs/ca-bundle.crt",    // Fedora to 42, RHEL, Rocky, Amazon
    "/etc/ssl/ca-bundle.pem",              // openSUSE, SLES
    "/etc/pki/tls/cacert.pem",             // OpenELEC
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  // Fedora from 43, RHEL from 7
    "/etc/ssl/cert.pem",                                  // Alpine
};

// The first that can be read; "", and a reason that names them all, when none can.
[[nodiscard]] std::string system_authorities(std::span<const char* const> bundles,
                                             std::string* reason);

}  // namespace vipd::web
