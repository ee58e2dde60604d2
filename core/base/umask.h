// The umask as far as a program that keeps state can live with it.
#pragma once

namespace coffer {

/// Takes the bits out of the umask that would keep the owner from what the process makes: nobody
/// else gains by it, and a directory that nobody can enter is only debris. Once, while there is one
/// thread.
void KeepOwnersAccess();

}  // namespace coffer
