"""The layers of coffer: who may include whom, and why. Read by layering_test.py.

A folder is a layer. An include of another folder needs a line in EDGES, a library one in LIBRARIES,
a header of the system one in SYSTEM_HEADERS, a call that goes around a seam one in CALLS. What is
not listed fails; so does a line that nothing needs any more. tests/ is free to include anything.
"""

# Bottom to top: a folder includes only folders that stand before it.
ORDER = [
    "core/base",
    "core/crypto",
    "core/compress",
    "core/db",
    "core/http",
    "core/block",
    "core/format",
    "core/store",
    "core/vault",
    "core/pack",
    "core/map",
    "core/cache",
    "core/volume",
    "core/control",
    "core/config",
    "core/mount",
    "core/daemon",
    "nbd",
    "fuse",
    "cli",
    "cli/daemon_main.cc",  # a layer of its own: the one place that builds the stack
    "gui",
]

_FOUNDATION = "errors, bytes, and the seams to clock, files, randomness and threads"

EDGES = {
    ("core/crypto", "core/base"): _FOUNDATION,
    ("core/compress", "core/base"): _FOUNDATION,
    ("core/db", "core/base"): _FOUNDATION,
    ("core/http", "core/base"): _FOUNDATION,
    ("core/block", "core/base"): _FOUNDATION,

    ("core/format", "core/base"): _FOUNDATION,
    ("core/format", "core/crypto"): "suite numbers and sizes of what it lays out; it seals nothing",

    ("core/store", "core/base"): _FOUNDATION,
    ("core/store", "core/crypto"): "hashes and MACs in the signatures of S3's requests",
    ("core/store", "core/http"): "kinds that are reached over HTTP ask through it",
    ("core/store", "core/format"): "names of objects: the marker that guards a directory",

    ("core/vault", "core/base"): _FOUNDATION,
    ("core/vault", "core/crypto"): "opens the key header, seals and opens chain records",
    ("core/vault", "core/format"): "key header, catalog, heads, trust file as structs",
    ("core/vault", "core/store"): "chains are objects",

    ("core/pack", "core/base"): _FOUNDATION,
    ("core/pack", "core/crypto"): "frames are sealed here",
    ("core/pack", "core/compress"): "and compressed before",
    ("core/pack", "core/format"): "layout of packs, names of objects",
    ("core/pack", "core/store"): "packs are uploaded as objects",
    ("core/pack", "core/vault"): "the keys of the epochs come from the key chest",

    ("core/map", "core/base"): _FOUNDATION,
    ("core/map", "core/compress"): "pages are written with a codec",
    ("core/map", "core/format"): "pages, deltas, pieces as structs",
    ("core/map", "core/pack"): "pages are frames in packs",

    ("core/cache", "core/base"): _FOUNDATION,
    ("core/cache", "core/format"): "journal records, references to frames",
    ("core/cache", "core/crypto"): "journal records are sealed; names in the disk cache are keyed",
    ("core/cache", "core/db"): "the disk cache's index",
    ("core/cache", "core/store"): "what no cache has comes from the store",
    ("core/cache", "core/pack"): "it is where sealed frames come from",

    ("core/volume", "core/base"): _FOUNDATION,
    ("core/volume", "core/block"): "a volume is a BlockDevice",
    ("core/volume", "core/compress"): "the codec that a volume's owner chose",
    ("core/volume", "core/format"): "the head that a commit makes",
    ("core/volume", "core/vault"): "commits are heads in a chain",
    ("core/volume", "core/pack"): "commits build and upload packs",
    ("core/volume", "core/map"): "where chunks are",
    ("core/volume", "core/cache"): "journal, dirty maps, decoded frames",

    ("core/control", "core/base"): _FOUNDATION,

    ("core/config", "core/base"): _FOUNDATION,
    ("core/config", "core/control"): "names and sizes as people type them",

    ("core/mount", "core/base"): _FOUNDATION,

    ("core/daemon", "core/base"): _FOUNDATION,
    ("core/daemon", "core/block"): "is given exporters, hands them volumes",
    ("core/daemon", "core/format"): "limits on what a request may ask for; the marker",
    ("core/daemon", "core/store"): "opens the store that a vault names",
    ("core/daemon", "core/vault"): "makes and opens vaults",
    ("core/daemon", "core/cache"): "one cache of decoded frames for all vaults",
    ("core/daemon", "core/volume"): "opens volumes",
    ("core/daemon", "core/config"): "what holds for a volume",
    ("core/daemon", "core/control"): "answers control requests",
    ("core/daemon", "core/mount"): "mounts what an exporter serves as a file",

    ("nbd", "core/base"): _FOUNDATION,
    ("nbd", "core/block"): "serves BlockDevices, is an Exporter",

    ("fuse", "core/base"): _FOUNDATION,
    ("fuse", "core/block"): "serves BlockDevices, is an Exporter",

    ("cli", "core/base"): _FOUNDATION,
    ("cli", "core/control"): "the client's whole world",
    ("cli", "core/config"): "config check: a file that keeps the daemon from starting",

    ("cli/daemon_main.cc", "core/base"): _FOUNDATION,
    ("cli/daemon_main.cc", "core/crypto"): "the self-test at start, the cost of key derivation",
    ("cli/daemon_main.cc", "core/http"): "the engine that asks stores over HTTP",
    ("cli/daemon_main.cc", "core/config"): "what config.toml says",
    ("cli/daemon_main.cc", "core/control"): "the control server",
    ("cli/daemon_main.cc", "core/daemon"): "what serves it",
    ("cli/daemon_main.cc", "core/mount"): "how file systems are mounted here",
    ("cli/daemon_main.cc", "nbd"): "an exporter to give to the daemon",
    ("cli/daemon_main.cc", "fuse"): "another one",
}

# Part of a header's path -> the folders that may include it. One library, one folder.
LIBRARIES = {
    "cryptopp/": ["core/crypto"],
    "argon2.h": ["core/crypto"],
    "intel-ipsec-mb.h": ["core/crypto"],
    "sqlite3.h": ["core/db"],
    "curl/": ["core/http"],
    "pugixml.hpp": ["core/store"],
    "zstd": ["core/compress"],
    "lz4": ["core/compress"],
    "spdlog/": ["core/base/log.cc"],
    "tl/expected.hpp": ["core/base/result.h"],
    "toml++/": ["core/config/toml_reader.cc"],
    "nlohmann/": ["core/control"],
    "boost/": ["core/control"],
    "CLI/": ["cli"],
    "uninorm.h": ["cli"],
    "unistr.h": ["cli"],
    "gnutls/": ["nbd/tls.cc"],
    "fuse3/": ["fuse/low_level.h"],
    "sdbus-c++/": ["core/mount/udisks_bus.cc"],
}

# Headers that reach the system behind the seams of core/base -> where else they may be, and why.
SYSTEM_HEADERS = {
    "arpa/inet.h": {
        "nbd/sockets.cc": "the server's sockets",
        "nbd/address.cc": "addresses in numbers",
    },
    "netinet/in.h": {
        "nbd/sockets.cc": "the server's sockets",
        "nbd/address.cc": "addresses in numbers",
        "core/control/activation.cc": "whether a socket handed over leads off this machine",
    },
    "netinet/tcp.h": {"nbd/sockets.cc": "TCP_NODELAY"},
    "sys/socket.h": {
        "nbd/sockets.cc": "the server's sockets",
        "core/control": "the control socket, server and client; sockets handed over",
        "cli/relay.cc": "between a client that coffer open was given and cofferd",
        "fuse/kernel_mount.cc": "fusermount3 sends the connection",
    },
    "sys/un.h": {
        "nbd/sockets.cc": "the server's sockets",
        "core/control/unix_socket.cc": "the control socket",
        "core/control/activation.cc": "where a socket handed over is bound",
    },
    "sys/uio.h": {"nbd/sockets.cc": "a reply's header and data in one call"},
    "sys/epoll.h": {"nbd/sockets.cc": "the event loop"},
    "sys/eventfd.h": {
        "nbd/sockets.cc": "wakes the event loop",
        "core/control/server.cc": "wakes the server that it may stop",
        "core/daemon/signal_loop.cc": "a stop that is no signal",
        "fuse/session.cc": "ends the loops",
    },
    "poll.h": {
        "core/control": "waits on sockets with a timeout",
        "core/daemon/signal_loop.cc": "waits for signals",
        "cli": "waits for the terminal or the daemon, and for Ctrl-C",
        "fuse/session.cc": "waits for requests",
    },
    "fcntl.h": {
        "core/mount": "images and loop devices, with descriptors that its threads own; /proc, /sys",
        "core/control/unix_socket.cc": "close-on-exec, non-blocking",
        "core/control/activation.cc": "close-on-exec, non-blocking",
        "cli/foreground.cc": "standard streams that are an NBD client's",
        "cli/relay.cc": "non-blocking",
        "cli/daemon_main.cc": "the file that takes stderr in the background",
        "cli/daemon_start.cc": "what the daemon inherits",
        "cli/password.cc": "a password file is opened without waiting for a FIFO",
        "cli/terminal.cc": "the controlling terminal",
        "fuse": "flags of open(2) as the kernel passes them on; opens /dev/fuse",
    },
    "signal.h": {
        "core/http/multi_loop.cc": "signals are blocked in its thread and in those curl starts",
        "core/mount/way_fuse2fs.cc": "ends fuse2fs",
        "core/daemon/signal_loop.cc": "the signals that steer cofferd",
        "cli/session.cc": "Ctrl-C ends a wait",
        "cli/terminal.cc": "Ctrl-Z and fg at a password prompt",
    },
    "sys/signalfd.h": {
        "core/daemon/signal_loop.cc": "the signals that steer cofferd",
        "cli/session.cc": "Ctrl-C ends a wait",
    },
    "sys/syscall.h": {"cli/daemon_start.cc": "pidfd_open: glibc 2.36 declares it for C alone"},
    "sys/wait.h": {"cli/daemon_start.cc": "reaps the child between client and daemon"},
    "linux/loop.h": {"core/mount/loop_device.cc": "loop devices"},
    "linux/close_range.h": {"core/mount/own_descriptors.h": "descriptors of a thread's own"},
    "termios.h": {"cli/terminal.cc": "passwords are typed without echo"},
    "sys/stat.h": {
        "core/mount/growth.cc": "a look at an image, which renews its size for the kernel",
        "core/mount/mount_point.cc": "whose directory it is, before it is mounted at",
        "core/mount/mounter.cc": "the size of an image",
        "nbd/sockets.cc": "mode of the socket file",
        "core/control/unix_socket.cc": "mode of the socket file",
        "cli/password.cc": "owner, mode and kind of a password file",
        "cli/relay.cc": "socket or pipe",
        "fuse/name_operations.cc": "attributes that the kernel asks for",
        "fuse/mount_point.cc": "whether what is mounted still answers",
    },
    "sys/types.h": {
        "core/mount": "uid_t, gid_t, pid_t, mode_t",
        "core/control": "uid_t, to compare peers with",
        "core/config/config.h": "uid_t, whose file it must be",
        "core/daemon/instance.h": "uid_t and pid_t of the process",
        "fuse/operations.h": "uid_t and gid_t of the files",
    },
    "pwd.h": {"core/control/places.cc": "home directory of a user without HOME"},
    "sys/timerfd.h": {
        "core/daemon/signal_loop.cc": "the end's limit, on the clock that stands still in sleep",
    },
    "pthread.h": {
        "core/http/multi_loop.cc": "its thread has a name",
        "core/store/deadline_store.cc": "its threads have a name",
        "core/control/server.cc": "the server's thread has a name",
        "core/daemon/signal_loop.cc": "signals are blocked in every thread",
    },
    "thread": {
        "core/http/multi_loop.h": "one thread that polls all connections (core/README.md)",
        "core/store/deadline_store.cc": "a call that never returns keeps its thread, which nobody may wait for",
        "core/mount/own_descriptors.h": "a thread with descriptors of its own, for one call",
        "core/control/server.cc": "one I/O thread that polls (core/README.md)",
        "core/daemon/signal_loop.cc": "the guard that ends a daemon which hangs at its end",
    },
    "unistd.h": {
        "core/mount": "images, loop devices and mount points, past the FileSystem: they are the system's",
        "core/control": "close, read and write of sockets; the own uid",
        "core/daemon": "the own pid; descriptors of signals",
        "cli": "the terminal, descriptors, starting the daemon; its own uid, pid and host name",
        "nbd/address.cc": "the own uid",
        "nbd/sockets.cc": "close, read and write of sockets",
        "nbd/tls_files.cc": "the own uid",
        "core/store/secret_file.cc": "the own uid",
        "fuse": "the own uid; pipes to fusermount3; whence of lseek",
    },
    "sys/ioctl.h": {"cli/terminal.cc": "how wide the terminal is"},
    "sys/mman.h": {"core/crypto/kdf.cc": "Argon2's working memory is left out of dumps"},
    "sys/mount.h": {"fuse/kernel_mount.cc": "mount(2) and umount2(2)"},
    "linux/fuse.h": {"fuse/file_operations.cc": "flags of an open that libfuse 3.14 has no name for"},
    "linux/falloc.h": {"fuse/file_operations.cc": "modes of fallocate(2)"},
    "cstdarg": {"fuse/session.cc": "libfuse logs as printf does"},
    "sys/ioctl.h": {
        "cli/terminal.cc": "how wide the terminal is",
        "core/mount/loop_device.cc": "loop devices",
        "core/http/transfer.cc": "what the kernel has taken of an upload and not sent yet",
    },
    "linux/sockios.h": {
        "core/http/transfer.cc": "what the kernel has taken of an upload and not sent yet",
    },
    "sys/mman.h": {
        "core/crypto/kdf.cc": "Argon2's working memory is left out of dumps",
    },
    "dirent.h": {"core/mount/system_files.cc": "/proc and /sys"},
}

# Headers that nobody but core/base includes.
BASE_HEADERS = {
    "condition_variable", "ctime", "dirent.h", "filesystem", "fstream", "future", "mutex", "random",
    "semaphore", "spawn.h", "sys/file.h", "sys/prctl.h", "sys/random.h", "sys/statvfs.h", "time.h",
}

# (file or folder, kind of call) -> why. The kinds are in layering_test.py.
CALLS = {
    ("core/http/multi_loop.h", "threads"): "one thread that polls all connections (core/README.md)",
    ("core/http/multi_loop.cc", "threads"): "one thread that polls all connections (core/README.md)",
    ("core/store/deadline_store.cc", "threads"): "threads that an executor's end would wait for",
    ("core/control/server.cc", "threads"): "one I/O thread that polls (core/README.md)",
    ("core/mount/own_descriptors.h", "threads"): "one with descriptors of its own, for one call",
    ("core/mount/mount_point.cc", "files"): "links and directories that are the user's, not coffer's",
    ("core/mount/file_systems.cc", "files"): "the prototype that mkfs.xfs reads",
    ("core/daemon/signal_loop.cc", "threads"): "the guard that ends a daemon which hangs",
    ("core/control/server.cc", "files"): "the socket's name, stale or its own",
    ("core/control/unix_socket.cc", "files"): "mode of the socket file",
    ("nbd/sockets.cc", "files"): "the socket's name, stale or its own, and its mode",
}
