// The whole of cofferd but its main(): tests link it with a cheap key derivation, which no flag,
// variable or file can choose.
#pragma once

namespace coffer::crypto {
struct KdfPolicy;
struct KdfBounds;
}  // namespace coffer::crypto

namespace coffer::cli {

/// What the product runs. Returns the exit code: 0 after an ordinary end, 70 when the self-test of
/// the cryptography fails, else as interfaces.md says.
int DaemonMain(int argc, char** argv);

int DaemonMain(int argc, char** argv, const crypto::KdfPolicy& kdf_policy,
               const crypto::KdfBounds& kdf_bounds);

}  // namespace coffer::cli
