#include "nbd/tls_files.h"

#include <unistd.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "core/base/log.h"

namespace coffer::nbd {
namespace {

enum class Readers {
  kAnybody,    // certificates: others may read them, not write
  kOwnerOnly,  // keys: ours, and nobody else's business
};

Error Refusal(const std::string& path, std::string_view why, std::string hint = {}) {
  return {ErrorCode::kInvalidArgument, Concat("TLS file ", EscapeForTerminal(path), ": ", why),
          std::move(hint)};
}

Status CheckOwnership(const FileInfo& info, const std::string& path, Readers readers) {
  const bool ours = info.owner_uid == ::geteuid();
  if (readers == Readers::kOwnerOnly) {
    if (!ours) {
      return Fail(Refusal(path,
                          Concat("it belongs to user ", info.owner_uid, ", not to ", ::geteuid()),
                          "a key is read only from a file of one's own"));
    }
    if ((info.mode & 0077) != 0) {
      return Fail(Refusal(path, "others may read or change it, and it holds a key",
                          "chmod 600 " + EscapeForTerminal(path)));
    }
    return {};
  }
  if (!ours && info.owner_uid != 0) {
    return Fail(Refusal(path, Concat("it belongs to user ", info.owner_uid)));
  }
  if ((info.mode & 0022) != 0) {
    return Fail(Refusal(path, "others may change it", "chmod go-w " + EscapeForTerminal(path)));
  }
  return {};
}

// `Buffer` is Bytes or SecretBytes.
template <class Buffer>
Result<Buffer> ReadChecked(FileSystem& fs, const std::string& path, Readers readers) {
  // Named before it is opened, since the open itself only says that it could not.
  ASSIGN_OR_RETURN(const FileInfo named, fs.Stat(path));
  if (named.is_symlink) return Fail(Refusal(path, "it is a symbolic link", "name the file itself"));
  ASSIGN_OR_RETURN(const auto file, fs.Open(path, FileSystem::OpenMode::kRead));
  ASSIGN_OR_RETURN(const FileInfo info, file->Info());
  RETURN_IF_ERROR(CheckOwnership(info, path, readers));
  if (info.size == 0) return Fail(Refusal(path, "it is empty"));
  if (info.size > kTlsFileBytesMax) {
    return Fail(Refusal(
        path, Concat("it has ", info.size, " bytes, at most ", kTlsFileBytesMax, " are read")));
  }
  Buffer bytes(info.size);
  MutableByteView room;
  if constexpr (std::is_same_v<Buffer, SecretBytes>) {
    room = bytes.mutable_view();
  } else {
    room = bytes;
  }
  ASSIGN_OR_RETURN(const std::size_t count, file->ReadAt(0, room));
  if (count != info.size) return Fail(Refusal(path, "it is being changed"));
  return bytes;
}

Result<TlsMaterial> ReadX509(FileSystem& fs, const block::TlsFiles& files) {
  const std::string& directory = files.x509_directory;
  if (directory.front() != '/') {
    return Fail(Refusal(directory, "the directory's path must be absolute"));
  }
  const auto in_directory = [&directory](const char* name) { return directory + "/" + name; };
  X509Material material;
  material.directory = directory;
  material.verify_peer = files.verify_peer;
  ASSIGN_OR_RETURN(material.ca,
                   ReadChecked<Bytes>(fs, in_directory("ca-cert.pem"), Readers::kAnybody));
  ASSIGN_OR_RETURN(material.certificate,
                   ReadChecked<Bytes>(fs, in_directory("server-cert.pem"), Readers::kAnybody));
  ASSIGN_OR_RETURN(material.key, ReadChecked<SecretBytes>(fs, in_directory("server-key.pem"),
                                                          Readers::kOwnerOnly));
  auto crl = ReadChecked<Bytes>(fs, in_directory("ca-crl.pem"), Readers::kAnybody);
  if (crl.has_value()) {
    material.crl = *std::move(crl);
  } else if (crl.error().code != ErrorCode::kNotFound) {
    return Fail(std::move(crl).error());
  }
  return TlsMaterial(std::move(material));
}

// "name:hex", or "#" and the name in hex, which is how psktool writes one with a colon in it.
Result<PskUser> ParsePskLine(std::string_view line, const std::string& path, int number) {
  const auto refused = [&](std::string_view why) {
    return Fail(Refusal(path, Concat("line ", number, ": ", why),
                        "psktool -u NAME -p FILE writes such lines"));
  };
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return refused("expected username:hexkey");
  std::string_view name = line.substr(0, colon);
  const std::string_view hex = line.substr(colon + 1);
  PskUser user;
  if (!name.empty() && name.front() == '#') {
    name.remove_prefix(1);
    Bytes decoded(name.size() / 2);
    if (!FromHex(name, decoded)) return refused("the username after # is no hex");
    user.name = AsText(decoded);
  } else {
    user.name = name;
  }
  if (user.name.empty() || user.name.size() > kPskUserBytesMax) {
    return refused(Concat("a username has 1 to ", kPskUserBytesMax, " bytes"));
  }
  if (hex.size() < 2 * kPskBytesMin || hex.size() > 2 * kPskBytesMax) {
    return refused(Concat("a key has ", kPskBytesMin, " to ", kPskBytesMax, " bytes, in hex"));
  }
  user.key = SecretBytes(hex.size() / 2);
  if (!FromHex(hex, user.key.mutable_view())) return refused("the key is no hex");
  return user;
}

Result<TlsMaterial> ReadPsk(FileSystem& fs, const std::string& path) {
  if (path.front() != '/') return Fail(Refusal(path, "the path must be absolute"));
  ASSIGN_OR_RETURN(const SecretBytes bytes,
                   ReadChecked<SecretBytes>(fs, path, Readers::kOwnerOnly));
  PskMaterial material{path, {}};
  std::string_view rest = AsText(bytes.view());
  for (int number = 1; !rest.empty(); ++number) {
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (line.empty()) continue;
    ASSIGN_OR_RETURN(PskUser user, ParsePskLine(line, path, number));
    const bool known =
        std::any_of(material.users.begin(), material.users.end(),
                    [&user](const PskUser& other) { return other.name == user.name; });
    if (known) {
      return Fail(Refusal(path, Concat("line ", number, ": user ", EscapeForTerminal(user.name),
                                       " is there already")));
    }
    material.users.push_back(std::move(user));
  }
  if (material.users.empty()) return Fail(Refusal(path, "it holds no user"));
  return TlsMaterial(std::move(material));
}

}  // namespace

Result<TlsMaterial> ReadTlsFiles(FileSystem& fs, const block::TlsFiles& files) {
  if (!files.x509_directory.empty() && !files.psk_file.empty()) {
    return Fail(ErrorCode::kInvalidArgument,
                "TLS with X.509 certificates and with pre-shared keys are both asked for",
                "choose one of tls_x509 and tls_psk, and set the other to \"\"");
  }
  return files.psk_file.empty() ? ReadX509(fs, files) : ReadPsk(fs, files.psk_file);
}

}  // namespace coffer::nbd
