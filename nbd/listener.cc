#include "nbd/listener.h"

#include <utility>

namespace coffer::nbd {
namespace {

Export Described(const ServedExport& served) {
  return {.name = served.name,
          .description = served.description,
          .size = served.device->size(),
          .preferred_block_bytes = served.device->preferred_io_size(),
          .read_only = served.read_only};
}

}  // namespace

Status Listener::Start() {
  RETURN_IF_ERROR(poller_.Add(socket_, *this, {true, false}));
  watched_ = true;
  accepting_ = true;
  return {};
}

void Listener::Close() {
  exports_.clear();
  if (std::exchange(watched_, false)) poller_.Remove(socket_);
  socket_.Close();
}

void Listener::SetAccepting(bool accepting) {
  if (!watched_ || accepting == accepting_) return;
  accepting_ = accepting;
  poller_.Change(socket_, *this, {accepting, false});
}

void Listener::Add(std::shared_ptr<ServedExport> served) {
  const std::string& name = served->name;
  exports_.emplace(name, std::move(served));
}

std::shared_ptr<ServedExport> Listener::Lookup(std::string_view name) const {
  if (name.empty() && empty_name_ == EmptyName::kMeansTheExport && !exports_.empty()) {
    return exports_.begin()->second;
  }
  const auto found = exports_.find(name);
  return found == exports_.end() ? nullptr : found->second;
}

std::optional<Export> Listener::Find(std::string_view name) const {
  const auto served = Lookup(name);
  if (!served) return std::nullopt;
  return Described(*served);
}

std::vector<Export> Listener::List() const {
  std::vector<Export> list;
  list.reserve(exports_.size());
  for (const auto& [name, served] : exports_) list.push_back(Described(*served));
  return list;
}

}  // namespace coffer::nbd
