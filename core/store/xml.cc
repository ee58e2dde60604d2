#include "core/store/xml.h"

#include "core/base/log.h"

namespace coffer::store {
namespace {

tl::unexpected<Error> FailXml(std::string_view why) {
  return Fail(ErrorCode::kUnavailable, Concat("the store's answer is no sound XML: ", why));
}

/// Takes "<…>" off the front of `rest`, which begins with '<'. Comments and CDATA end by marks of
/// their own; attribute values may hold '>'.
std::string_view TakeTag(std::string_view& rest) {
  std::string_view end = ">";
  if (rest.starts_with("<!--")) end = "-->";
  if (rest.starts_with("<![CDATA[")) end = "]]>";
  std::size_t stop = std::string_view::npos;
  if (end == ">") {
    char quote = 0;
    for (std::size_t i = 1; i < rest.size() && stop == std::string_view::npos; ++i) {
      if (quote != 0) {
        if (rest[i] == quote) quote = 0;
      } else if (rest[i] == '"' || rest[i] == '\'') {
        quote = rest[i];
      } else if (rest[i] == '>') {
        stop = i;
      }
    }
  } else {
    stop = rest.find(end, 4);
  }
  const std::string_view tag =
      stop == std::string_view::npos ? rest : rest.substr(0, stop + end.size());
  rest.remove_prefix(tag.size());
  return tag;
}

Status CheckShape(std::string_view text) {
  int depth = 0;
  while (true) {
    const std::size_t open = text.find('<');
    if (open == std::string_view::npos) break;
    text.remove_prefix(open);
    const std::string_view tag = TakeTag(text);
    if (tag.starts_with("<?") || tag.starts_with("<!--") || tag.starts_with("<![CDATA[")) continue;
    if (tag.starts_with("<!")) return FailXml("it has a document type");
    if (tag.starts_with("</")) {
      --depth;
    } else if (!tag.ends_with("/>") && ++depth > kXmlDepthMax) {
      return FailXml(Concat("elements lie more than ", kXmlDepthMax, " deep in each other"));
    }
  }
  return {};
}

}  // namespace

Result<XmlDocument> ParseXml(ByteView text, std::size_t bytes_max) {
  if (text.size() > bytes_max) return FailXml(Concat("it has ", text.size(), " bytes"));
  RETURN_IF_ERROR(CheckShape(AsText(text)));
  auto document = std::make_unique<pugi::xml_document>();
  const pugi::xml_parse_result parsed =
      document->load_buffer(text.data(), text.size(), pugi::parse_default, pugi::encoding_utf8);
  if (!parsed) return FailXml(parsed.description());
  return document;
}

std::string_view LocalName(const pugi::xml_node& node) {
  const std::string_view name = node.name();
  const std::size_t colon = name.rfind(':');
  return colon == std::string_view::npos ? name : name.substr(colon + 1);
}

pugi::xml_node ChildOf(const pugi::xml_node& node, std::string_view local_name) {
  for (const pugi::xml_node& child : node.children()) {
    if (LocalName(child) == local_name) return child;
  }
  return {};
}

std::string ChildText(const pugi::xml_node& node, std::string_view local_name) {
  return ChildOf(node, local_name).child_value();
}

}  // namespace coffer::store
