#include "core/format/fields.h"

#include "core/format/limits.h"
#include "core/format/pack.h"

namespace coffer::format {

void WriteFeatures(Writer& out, const Features& features) {
  out.U64(features.incompatible);
  out.U64(features.read_only_compatible);
  out.U64(features.compatible);
}

Features ReadFeatures(Reader& in) {
  Features features;
  features.incompatible = in.U64();
  features.read_only_compatible = in.U64();
  features.compatible = in.U64();
  if ((features.incompatible & ~kKnownIncompatibleFeatures) != 0) in.Newer("unknown feature");
  return features;
}

void WriteExtensions(Writer& out, const Extensions& extensions) {
  CHECK(extensions.size() <= kExtensionsMax);
  out.Varint(extensions.size());
  for (const Extension& extension : extensions) {
    out.U16(extension.tag);
    out.Varint(extension.value.size());
    out.Raw(extension.value);
  }
}

Extensions ReadExtensions(Reader& in) {
  Extensions extensions;
  const std::size_t count = in.Count(kExtensionsMax, kExtensionBytesMin);
  extensions.reserve(count);
  for (std::size_t i = 0; i < count && in.ok(); ++i) {
    const std::uint16_t tag = in.U16();
    in.Require(i == 0 || tag > extensions.back().tag, "extension tags do not ascend");
    const ByteView value = in.Take(in.Count(in.remaining(), 1));
    extensions.push_back({tag, ToBytes(value)});
  }
  return extensions;
}

void WriteChainPoint(Writer& out, const ChainPoint& point) {
  out.U64(point.seq);
  out.Id(point.hash);
}

ChainPoint ReadChainPoint(Reader& in) {
  ChainPoint point;
  point.seq = in.U64();
  point.hash = in.Id<ObjectHash>();
  in.Require((point.seq == 0) == point.hash.IsNull(), "a chain's sequence and hash disagree");
  return point;
}

bool IsPossibleLocation(const FrameRef& ref) {
  return ref.frame >= 1 && ref.frame <= kFramesPerPackMax && ref.codec <= kCodecMax &&
         ref.offset >= kPackFramesOffset && ref.plain_length >= 1 &&
         ref.stored_length > kFrameTagBytes &&
         ref.stored_length - kFrameTagBytes <= ref.plain_length && ref.offset <= kPackBytesMax &&
         ref.stored_length <= kPackBytesMax - ref.offset;
}

void WriteFullFrameRef(Writer& out, const FrameRef& ref) {
  out.Id(ref.pack);
  out.U32(ref.key_epoch);
  out.U8(ref.codec);
  out.Varint(ref.frame);
  out.Varint(ref.offset);
  out.Varint(ref.stored_length);
  out.Varint(ref.plain_length);
}

FrameRef ReadFullFrameRef(Reader& in, std::uint32_t plain_length_max) {
  FrameRef ref;
  ref.pack = in.Id<PackId>();
  ref.key_epoch = in.U32();
  ref.codec = in.U8();
  ref.frame = in.VarintIn<std::uint32_t>(1, kFramesPerPackMax);
  ref.offset = in.VarintIn<std::uint32_t>(0, kPackBytesMax);
  ref.stored_length = in.VarintIn<std::uint32_t>(0, kPackBytesMax);
  ref.plain_length = in.VarintIn<std::uint32_t>(1, plain_length_max);
  in.Require(!ref.pack.IsNull() && ref.key_epoch != 0 && IsPossibleLocation(ref),
             "a reference to a frame that no pack can hold");
  return ref;
}

}  // namespace coffer::format
