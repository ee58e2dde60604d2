// XML as stores answer with: parsed by pugixml, which knows no entities but the five of XML itself,
// and only after its size and depth have been found to be within bounds (faults.md A24). What comes
// from a store is looked at, never believed.
#pragma once

#include <memory>
#include <pugixml.hpp>
#include <string>
#include <string_view>

#include "core/base/bytes.h"
#include "core/base/result.h"

namespace coffer::store {

/// A listing of 1,000 objects has half a megabyte.
inline constexpr std::size_t kXmlBytesMax = 4 << 20;
inline constexpr int kXmlDepthMax = 16;

using XmlDocument = std::unique_ptr<pugi::xml_document>;

/// kUnavailable for what is no XML, cut short, too long, too deep, or has a document type: an
/// answer that makes no sense, and the next one may.
Result<XmlDocument> ParseXml(ByteView text, std::size_t bytes_max = kXmlBytesMax);

/// A node's name without a namespace's prefix.
[[nodiscard]] std::string_view LocalName(const pugi::xml_node& node);
/// The first child of that local name, or a null node.
[[nodiscard]] pugi::xml_node ChildOf(const pugi::xml_node& node, std::string_view local_name);
/// The text of that child, or "".
[[nodiscard]] std::string ChildText(const pugi::xml_node& node, std::string_view local_name);
/// The outermost element.
[[nodiscard]] inline pugi::xml_node RootOf(const XmlDocument& document) {
  return document->document_element();
}

}  // namespace coffer::store
