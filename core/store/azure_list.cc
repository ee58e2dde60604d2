#include "core/store/azure_list.h"

#include <algorithm>

#include "core/base/log.h"
#include "core/http/http_date.h"
#include "core/store/bucket_answers.h"
#include "core/store/xml.h"

namespace coffer::store {
namespace {

constexpr std::size_t kPlacesMax = 32;
constexpr std::size_t kMarkerBytesMax = 4096;

tl::unexpected<Error> FailList(std::string_view why) {
  return Fail(ErrorCode::kUnavailable, std::string(why));
}

}  // namespace

Result<AzureListPage> ParseAzureList(ByteView body) {
  ASSIGN_OR_RETURN(const XmlDocument document, ParseXml(body));
  const pugi::xml_node root = RootOf(document);
  if (LocalName(root) != "EnumerationResults") {
    return FailList(Concat("the store answered with '",
                           EscapeForTerminal(std::string(LocalName(root)).substr(0, 100)),
                           "' instead of a list"));
  }
  const pugi::xml_node blobs = ChildOf(root, "Blobs");
  const pugi::xml_node next = ChildOf(root, "NextMarker");
  // The last element: without it the list is cut short.
  if (!blobs || !next) return FailList("the store does not say whether its list goes on");
  AzureListPage page{.blobs = {}, .next_marker = next.child_value()};
  if (page.next_marker.size() > kMarkerBytesMax) {
    return FailList("the store's list goes on at a place that is too long to tell");
  }
  for (const pugi::xml_node& blob : blobs.children()) {
    if (LocalName(blob) != "Blob") continue;
    const pugi::xml_node properties = ChildOf(blob, "Properties");
    // Accounts with a hierarchical namespace list those too.
    if (ChildText(properties, "ResourceType") == "directory") continue;
    const pugi::xml_node name = ChildOf(blob, "Name");
    const auto size = NumberOf(ChildText(properties, "Content-Length"));
    if (!name || !size) return FailList("the store lists an object without a name or size");
    page.blobs.push_back(
        {name.child_value(), *size, http::ParseHttpDate(ChildText(properties, "Last-Modified"))});
  }
  return page;
}

std::string MarkerMemory::Nearest(const std::string& prefix, const std::string& name) const {
  const MutexLock lock(mutex_);
  const Place* nearest = nullptr;
  for (const Place& place : places_) {
    if (place.prefix != prefix || place.first > name) continue;
    if (nearest == nullptr || place.first > nearest->first) nearest = &place;
  }
  return nearest == nullptr ? "" : nearest->marker;
}

void MarkerMemory::Remember(const std::string& prefix, const std::string& marker,
                            const std::string& first) {
  const MutexLock lock(mutex_);
  std::erase_if(places_, [&](const Place& place) { return place.marker == marker; });
  places_.push_front({prefix, first, marker});
  if (places_.size() > kPlacesMax) places_.pop_back();
}

void MarkerMemory::Forget(const std::string& marker) {
  const MutexLock lock(mutex_);
  std::erase_if(places_, [&](const Place& place) { return place.marker == marker; });
}

}  // namespace coffer::store
