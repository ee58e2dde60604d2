// Keys and certificates for tests, made anew each time: two authorities, servers and clients of
// both, and those that must not work. No secret of anybody's lies in the repository.
//
//   server/    ca-cert, server-cert, server-key: what a listener is given
//   client/    ca-cert, client-cert, client-key: who may come in
//   crl/       server/ with a revocation list that names revoked/
//   revoked/   a client's, revoked
//   other/     a client's of the other authority, which trusts the right one
//   doubter/   a client's of the right authority, which trusts the other one only
//   nocert/    ca-cert alone
//   posing/    the server's certificate as a client's
//   expired/ future/ mismatch/   a server's that must be refused
//   keys.psk   users alice and bob
//   wrong.psk  alice with another key
#pragma once

#include <string>

namespace coffer::nbd::testing {

/// `directory` exists.
void WriteTlsFiles(const std::string& directory);

}  // namespace coffer::nbd::testing
