#include "fuse/operations.h"

#include "fuse/limits.h"

namespace coffer::fuse {
namespace {

void Init(void* userdata, fuse_conn_info* connection) {
  const Mounted& mounted = *static_cast<const Mounted*>(userdata);
  const auto want = [connection](unsigned capability) {
    connection->want |= connection->capable & capability;
  };
  connection->max_write = kRequestBytesMax;
  connection->max_background = kBackgroundMax;
  connection->congestion_threshold = kCongestedAt;
  // Bytes are sealed on their way in and opened on their way out, so they pass through memory here:
  // a pipe between would only be one more system call. Splicing is asked for by libfuse unless
  // told.
  connection->want &= ~static_cast<unsigned>(FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE |
                                             FUSE_CAP_SPLICE_MOVE | FUSE_CAP_AUTO_INVAL_DATA);
  // A changed time of modification drops no pages: the kernel is told when they are stale.
  want(FUSE_CAP_EXPLICIT_INVAL_DATA);
  want(FUSE_CAP_ATOMIC_O_TRUNC);  // an open that would truncate is refused as one
  want(FUSE_CAP_ASYNC_DIO);
  want(FUSE_CAP_PARALLEL_DIROPS);
  if (mounted.write_back) want(FUSE_CAP_WRITEBACK_CACHE);
}

fuse_lowlevel_ops MakeOperations() {
  fuse_lowlevel_ops operations{};
  operations.init = Init;
  AddFileOperations(operations);
  AddNameOperations(operations);
  return operations;
}

}  // namespace

OpenNodes::~OpenNodes() {
  for (const auto& [handle, node] : nodes_) Ended(*node);
}

void OpenNodes::Ended(const OpenNode& node) {
  if (node.image != nullptr) node.image->counters().open_files.fetch_sub(1);
}

std::uint64_t OpenNodes::Open(std::unique_ptr<OpenNode> node) {
  if (node->image != nullptr) node->image->counters().open_files.fetch_add(1);
  const auto handle = reinterpret_cast<std::uint64_t>(node.get());
  MutexLock lock(mutex_);
  nodes_.emplace(handle, std::move(node));
  return handle;
}

void OpenNodes::Close(std::uint64_t handle) {
  MutexLock lock(mutex_);
  const auto closed = nodes_.extract(handle);
  lock.Unlock();
  if (!closed.empty()) Ended(*closed.mapped());
}

const fuse_lowlevel_ops& Operations() {
  static const fuse_lowlevel_ops operations = MakeOperations();
  return operations;
}

}  // namespace coffer::fuse
