// KeptObject: the exact stored bytes of the newest member of a chain that this machine has written,
// kept after it stands, so that it can be put back when the store has lost what it acknowledged (a
// power cut of the machine that holds it may leave the newest object empty). Files NAME.kept and
// NAME.put-back, as core/format/spool.h has them. One thread at a time.
//
// Put back is only what the trust file names as the newest that was seen, byte for byte: nobody can
// have written another one under that name, and nothing can stand above it. The damaged object must
// go before the whole one can be created; NAME.put-back says durably that this was begun, since a
// crash between the two leaves a store that looks older than it was. Without that file a member
// that is missing is never made again: it may be an older copy of the store, to which its packs
// have not come.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "core/base/bytes.h"
#include "core/base/file_system.h"
#include "core/base/result.h"
#include "core/format/trust.h"
#include "core/store/object_store.h"
#include "core/vault/chain.h"

namespace coffer::vault {

class KeptObject {
 public:
  /// `directory` exists.
  KeptObject(FileSystem& fs, const std::string& directory, const std::string& name)
      : fs_(fs),
        directory_(directory),
        kept_(directory + "/" + name + ".kept"),
        put_back_(directory + "/" + name + ".put-back") {}

  /// From here on this one is kept. Not to be able to is no error: nobody relies on it.
  void Keep(std::uint64_t seq, ByteView bytes);
  /// The same of a file that has the bytes already, and goes.
  void KeepFile(const std::string& path);

  struct Chain {
    store::ObjectStore& store;
    const std::string& prefix;
    std::uint64_t size_max;
    store::ObjectClass object_class;
    /// kCorruption for what is damaged: an authentic member is never replaced.
    std::function<Status(const ChainObject&)> open;
  };
  /// After the newest member of the chain was found damaged, or older than `seen`: whether it was
  /// put back. False where it is not the one kept, or not damaged. Fails when the store does.
  Result<bool> PutBack(const Chain& chain, const format::ChainPoint& seen);

 private:
  /// The bytes in `path` if they are those of `seen`; else none.
  [[nodiscard]] Bytes ReadIfOf(const std::string& path, const format::ChainPoint& seen);

  FileSystem& fs_;
  const std::string directory_;
  const std::string kept_;
  const std::string put_back_;
};

}  // namespace coffer::vault
