#!/usr/bin/env python3
"""Planted bugs: each must be caught by its test, and by that test's verdict.

  mutants.py list SOURCE             are the bugs in product code and those of the table the same?
  mutants.py absent SOURCE FILE…     does no FILE (a program) hold the name of one, or the switch?
  mutants.py targets                 the programs that `run` needs, as targets of the build
  mutants.py run BUILD               runs the table against a build with COFFER_PLANTED

See core/base/planted.h. `run` prints a table: bug, test, caught or survived, seconds. It first runs
the same tests with no bug, which must pass; a test that ends otherwise than by its own verdict (a
crash, a usage error, no test of that name) counts as survived.
"""

import os
import pathlib
import re
import subprocess
import sys
import time

SWITCH = "COFFER_BUG"
PLANT = re.compile(r'Planted\(\s*"([^"]*)"\s*\)')

# bug: (program under tests/ of the build, its test)
MUTANTS = {
    # The journal.
    "skip-journal-sync": ("volume/volume_test", "VolumeTest.APowerCutKeepsWhatWasFlushed"),
    "skip-directory-sync": ("cache/journal_test", "JournalFailure.OfADirectorySyncIsOneOfTheSync"),
    "retry-failed-sync": ("cache/journal_test", "JournalFailure.OfASyncIsAnsweredByWritingAgainElsewhere"),
    "flush-joins-earlier-sync":
        ("cache/journal_test", "JournalFlush.WaitsForASyncOfItsOwnWritesWhenAnotherBeganBeforeThem"),
    "acknowledge-before-append": ("volume/volume_test", "Durability.AKillTakesNoAcknowledgedWrite"),
    "publish-before-append": ("cache/journal_test", "JournalFailure.OfAWriteGoesOnElsewhere"),
    "replay-past-torn-record": ("cache/journal_test", "JournalDamage.AnyByteFlippedGivesAPrefixOrIsReported"),
    "replay-half-a-request": ("cache/journal_test", "JournalCrash.WhileAppendingAndSyncing"),
    "forget-trim-at-replay": ("volume/volume_test", "Durability.AKillTakesNoAcknowledgedTrim"),
    "trim-journal-before-head": ("volume/volume_test", "Durability.TheJournalKeepsWhatNoHeadCovers"),
    "answer-fua-before-flush": ("nbd/nbd_server_test", "NbdServer.ABatchWithBarriersIsOneWriteAndOneFlush"),
    # Stores over WebDAV.
    "claim-nothing": ("store/webdav_test", "WebDavStoreTest.OfTwoWritersAtOnceExactlyOneWins"),
    "take-any-range": ("store/webdav_test", "WebDavStoreTest.TakesNoOtherRangeThanWasAskedFor"),
    # Stores over SFTP.
    "name-unsynced-upload":
        ("store/sftp_test", "SftpStoreTest.AnObjectIsSyncedThenNamedThenItsDirectoryIsSynced"),
    "trust-any-place": ("store/sftp_test", "SftpStoreTest.ALostMountIsNotTakenForAnEmptyVault"),
    # Sealing.
    "reuse-journal-salt": ("cache/journal_test", "JournalSalts.DifferAlthoughRandomRepeatsItself"),
    "reuse-nonce": ("crypto/crypto_test", "OpenSslComparison.SealedBytesAgree"),
    "accept-any-tag": ("crypto/crypto_test", "Sealer.RefusesEveryFlippedBitOfEveryPart"),
    "drop-frame-number-from-aad": ("format/format_test", "Golden.AssociatedData"),
    "drop-volume-from-aad": ("vault/vault_test", "SealedRecord.OpensInItsPlaceOnly"),
    # The network.
    "redirect-with-credentials":
        ("http/http_engine_test", "HttpRedirects.TakeNoCredentialsToAnotherHost"),
    "trust-any-certificate":
        ("http/http_engine_test", "HttpTls.AnAuthorityThatIsNotKnownIsRefused"),
    "keep-any-body": ("http/http_engine_test", "HttpFaults.AnErrorsBodyWithoutAnEndIsNoAnswer"),
    "reads-among-uploads": ("http/http_parts_test", "RequestQueue.EachClassHasSlotsOfItsOwn"),
    # Commands.
    "flush-here-at-close":
        ("daemon/daemon_test", "CommandTest.AFlushWhileItClosesIsNeverSaidToBeUploadedWhenItIsNot"),
    "finish-resize-without-size":
        ("daemon/daemon_test", "CommandTest.ADiskThatTakesNoMoreRecordsLeavesNoOldSizeOrName"),
    # Commits and the chain of heads.
    "lose-map-on-failed-sync":
        ("volume/volume_test", "Durability.WhatAFailedSyncCouldNotUploadIsReadAndUploadedLater"),
    "head-without-packs": ("volume/volume_test", "Durability.NoHeadNamesAPackThatIsNotThere"),
    "upload-unverified":
        ("pack/pack_test", "PackBuilderTest.F82ABitFlippedInMemoryAfterCompressionStopsThePack"),
    "exists-is-success": ("vault/vault_test", "HeadChainTest.FencesTheSlowerOfTwoWriters"),
    "generation-beyond-a-delta":
        ("volume/commit_limits_test", "CommitLimits.SmallTrimsAreCutIntoCommitsThatFit"),
    "seal-head-again": ("vault/vault_test", "HeadChainTest.RepeatsTheVeryBytesThatItSpooled"),
    "trust-anew": ("vault/vault_test", "VaultState.TrustsOnFirstUseOnlyWhereNoVolumeWasOpened"),
    # Reads, caches, files.
    "read-error-into-zeros":
        ("volume/cached_volume_test", "CachedVolumeTest.AStoreThatSendsDamageAlwaysIsAnError"),
    "keep-damaged-window":
        ("volume/cached_volume_test", "CachedVolumeTest.DamageInTheCacheIsFoundAndFetchedAnew"),
    "answer-from-reused-slot":
        ("cache/disk_cache_test", "DiskCacheTest.ASlotGivenAwayWhileItIsReadIsAMiss"),
    "shrink-keeps-tail": ("volume/resize_test", "ResizeTest.WhatWasCutOffIsNeverSeenAgain"),
    "ignore-short-write": ("base/base_test", "PosixFileSystem.FullDiskIsNoSpace"),
}


def planted_in(source):
    """Names of all bugs in product code, once for each place."""
    names = []
    for folder in ["core", "nbd", "fuse", "cli", "gui"]:
        for path in sorted((source / folder).rglob("*")):
            if path.suffix in (".cc", ".h") and path.name != "planted.h":
                names += PLANT.findall(path.read_text())
    return names


def list_differs(source):
    planted = set(planted_in(source))
    for name in sorted(planted - MUTANTS.keys()):
        print(f"{name}: planted in product code, but no test is named for it in mutants.py")
    for name in sorted(MUTANTS.keys() - planted):
        print(f"{name}: in mutants.py, but planted nowhere")
    print(f"{len(planted)} planted bugs")
    return planted != MUTANTS.keys() or len(planted) < 12


def found_in(program):
    """Names of bugs, and the switch, in a program's bytes."""
    data = program.read_bytes()
    return [name for name in [SWITCH, *MUTANTS] if name.encode() in data]


def are_present(programs):
    bad = False
    for program in programs:
        found = found_in(program)
        bad = bad or bool(found)
        print(f"{program}: {'holds ' + ', '.join(found) if found else 'holds no planted bug'}")
    return bad or not programs


def run_test(build, program, test, bug):
    """(passed, failed by its verdict, output, seconds)"""
    environment = {name: value for name, value in os.environ.items() if name != SWITCH}
    # What the bug does may depend on chance; that a mutant is caught must not.
    environment.setdefault("COFFER_TEST_SEED", "1")
    if bug is not None:
        environment[SWITCH] = bug
    begin = time.monotonic()
    done = subprocess.run([build / "tests" / program, f"--gtest_filter={test}"], env=environment,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                          timeout=600)
    seconds = time.monotonic() - begin
    ran = f"[ RUN      ] {test}" in done.stdout
    passed = done.returncode == 0 and ran and "[  PASSED  ] 1 test." in done.stdout
    failed = done.returncode == 1 and ran and f"[  FAILED  ] {test}" in done.stdout
    return passed, failed, done.stdout, seconds


def run(build):
    bad = False
    begin = time.monotonic()
    for bug, (program, _) in MUTANTS.items():
        path = build / "tests" / program
        if not {SWITCH, bug} <= set(found_in(path)):
            print(f"{path} holds no {bug}: is it built with COFFER_PLANTED?")
            return True
    for program, test in sorted(set(MUTANTS.values())):
        passed, _, output, _ = run_test(build, program, test, None)
        if not passed:
            print(f"{program} {test} fails with no bug planted:\n{output}")
            bad = True
    if bad:
        return True
    print(f"# {len(set(MUTANTS.values()))} tests pass with no bug, "
          f"{time.monotonic() - begin:.1f} s")
    print("bug\ttest\tverdict\tseconds")
    caught = 0
    for bug, (program, test) in MUTANTS.items():
        _, failed, output, seconds = run_test(build, program, test, bug)
        print(f"{bug}\t{pathlib.Path(program).name} {test}\t{'caught' if failed else 'SURVIVED'}\t"
              f"{seconds:.2f}", flush=True)
        caught += failed
        if not failed:
            print(output[-3000:], file=sys.stderr)
    print(f"{caught} of {len(MUTANTS)} planted bugs caught, {time.monotonic() - begin:.0f} s")
    return caught != len(MUTANTS)


def main(arguments):
    match arguments:
        case ["list", source]:
            return list_differs(pathlib.Path(source))
        case ["absent", source, *programs] if programs:
            return list_differs(pathlib.Path(source)) or are_present([pathlib.Path(p) for p in programs])
        case ["targets"]:
            print("\n".join(sorted({pathlib.Path(program).name for program, _ in MUTANTS.values()})))
            return False
        case ["run", build]:
            return run(pathlib.Path(build))
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(int(main(sys.argv[1:])))
