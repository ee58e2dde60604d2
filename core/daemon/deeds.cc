#include "core/daemon/deeds.h"

#include "core/base/bytes.h"
#include "core/base/log.h"

namespace coffer::daemon {
namespace {

std::string WhatWasBegun(const Deed& deed) {
  switch (deed.kind) {
    case Deed::Kind::kInit:
      return "making the volume " + deed.text;
    case Deed::Kind::kAdd:
      return "making its vault known on this machine";
    case Deed::Kind::kRename:
      return "renaming it to " + deed.text;
    case Deed::Kind::kResize:
      return "resizing it to " + deed.text + " bytes";
    case Deed::Kind::kPassword:
      return "changing the password of its vault";
    case Deed::Kind::kDelete:
    case Deed::Kind::kDeleted:
      break;
  }
  return "deleting it";
}

std::string WhatSettlesIt(const Deed& deed, const std::string& name) {
  switch (deed.kind) {
    case Deed::Kind::kInit:
    case Deed::Kind::kRename:
      return "coffer info " + name + " asks the store, and coffer list shows the names then";
    case Deed::Kind::kAdd:
      return "coffer open " + name + " goes on from there, coffer trust forget " +
             name.substr(0, name.find('/')) + " takes it back";
    case Deed::Kind::kResize:
      return "coffer open " + name + " shows the size that it has; coffer resize sets it again";
    case Deed::Kind::kPassword:
      return "coffer key list " + name + " takes the password that holds: try the new one first";
    case Deed::Kind::kDelete:
    case Deed::Kind::kDeleted:
      break;
  }
  return "coffer open " + name + " takes it back, coffer delete " + name + " finishes it";
}

}  // namespace

Error UnfinishedError(const Deed& deed, const std::string& name) {
  return {ErrorCode::kNeedsPerson,
          Concat("UNFINISHED: ", WhatWasBegun(deed),
                 " was broken off, and it is not known whether it has happened"),
          WhatSettlesIt(deed, name)};
}

Error UnknownEnd(const Error& why, const Deed& deed, const std::string& name) {
  return {why.code,
          Concat("it is not known whether ", WhatWasBegun(deed), " has happened: ", why.message),
          WhatSettlesIt(deed, name)};
}

bool Concerns(const Deed& deed, const KnownVolume& volume) {
  if (deed.kind == Deed::Kind::kPassword || deed.kind == Deed::Kind::kAdd) return true;
  if (deed.kind == Deed::Kind::kInit) return deed.text == volume.name;
  return deed.volume == volume.id;
}

}  // namespace coffer::daemon
