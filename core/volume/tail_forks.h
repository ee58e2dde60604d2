// TailForks: what this machine wrote and did not upload before another writer went on with the
// volume (its tail). It may go onto no newer head, so it becomes a volume of its own,
// recovered-HOST-TIME, forked from the head that it was written over (design.md section 7).
//
// Order, so that a crash anywhere leaves it done or to do: the journal directory is renamed to
// journal.tail-ID, durably, ID being the volume to come; that volume's first head; the tail through
// the ordinary way of a write, uploaded and released; the catalog names the volume; the directory
// goes. While the catalog doesn't name it the tail is forked anew, under another ID: what the
// broken attempt left in the store is litter that no catalog names.
//
// For the one who holds the volume's lock. All calls wait for the store.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/cache/journal.h"
#include "core/vault/head_chain.h"
#include "core/volume/settings.h"
#include "core/volume/vault_resources.h"

namespace coffer::volume {

class TailForks {
 public:
  /// `chain` has been loaded, and writes nothing while this is used. `directory` is the volume's.
  TailForks(VaultResources& resources, vault::HeadChain& chain, const VolumeId& volume,
            std::string directory, const Settings& settings)
      : resources_(resources),
        chain_(chain),
        volume_(volume),
        directory_(std::move(directory)),
        settings_(settings) {}

  /// Up to where this machine's own heads cover its journal; nothing if it never wrote one.
  Result<format::JournalPosition> OwnCover();
  /// The journal becomes a tail. REQUIRES: nobody has it open.
  Status SetAside();
  /// What becomes of a tail whose head the store does not have any more.
  enum class Baseless {
    kRefuse,     // ForkAll fails with DAMAGED-JOURNAL
    kKeepFiles,  // it is kept as journal.damaged-ID, and is no volume
  };
  /// Makes every tail that was set aside a volume; returns the names of these.
  Result<std::vector<std::string>> ForkAll(Baseless baseless);

  /// Opens the journal in `directory`/`name`.
  Result<std::unique_ptr<cache::Journal>> OpenJournal(const std::string& name) {
    return OpenJournal(name, {.segment_bytes = settings_.segment_bytes});
  }
  Result<std::unique_ptr<cache::Journal>> OpenJournal(const std::string& name,
                                                      const cache::Journal::Options& options);

 private:
  Result<vault::HeadChain::Newest> OwnHead();
  Result<std::optional<std::string>> Fork(const std::string& tail, Baseless baseless);
  Result<vault::HeadChain::Newest> BaseOf(const cache::Journal::Recovery& recovery);
  Status Upload(const VolumeId& fork, const std::string& tail);
  Result<std::string> Name(const VolumeId& fork, const format::ChainPoint& base);
  void Remove(const std::string& tail);
  Status Keep(const std::string& tail, const VolumeId& fork, const std::string& why);

  VaultResources& resources_;
  vault::HeadChain& chain_;
  const VolumeId volume_;
  const std::string directory_;
  const Settings& settings_;
  std::optional<vault::HeadChain::Newest> own_;  // once read
};

}  // namespace coffer::volume
