#include "core/cache/journal_replay.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "core/base/check.h"
#include "core/base/log.h"
#include "core/base/planted.h"
#include "core/cache/journal_group.h"

namespace coffer::cache {
namespace {

constexpr std::uint64_t kNoCut = std::numeric_limits<std::uint64_t>::max();
constexpr std::size_t kWindowBytes = 1 << 20;
constexpr std::size_t kSealedRecordBytesMax =
    format::kRecordOverheadBytes + format::kRecordDataBytesMax;
/// Groups, and the parts of groups, begin at multiples of this.
constexpr std::uint32_t kGroupAlignment = 4;
constexpr std::size_t kRangesNamed = 12;

}  // namespace

/// A segment's bytes through a window.
class Replayer::Reader {
 public:
  explicit Reader(const Segment& segment)
      : file_(*segment.slot.file),
        size_(std::min<std::uint64_t>(segment.slot.size,
                                      std::numeric_limits<std::uint32_t>::max())) {}

  [[nodiscard]] std::uint64_t size() const { return size_; }

  /// Bytes [offset, offset + length), fewer only at the end of the file; valid until the next call.
  Result<ByteView> View(std::uint64_t offset, std::size_t length) {
    if (offset >= size_) return ByteView{};
    length = std::min<std::size_t>(length, size_ - offset);
    if (offset < begin_ || offset + length > begin_ + window_.size()) {
      window_.resize(std::min<std::size_t>(std::max(kWindowBytes, length), size_ - offset));
      ASSIGN_OR_RETURN(const std::size_t got, file_.ReadAt(offset, window_));
      window_.resize(got);
      begin_ = offset;
      length = std::min(length, got);
    }
    return ByteView(window_).subspan(offset - begin_, length);
  }

  /// Moves `*offset` on to the next place where a group may begin; false if there is none.
  bool FindMagic(std::uint64_t* offset) {
    while (true) {
      const auto view = View(*offset, std::max<std::size_t>(4, Buffered(*offset)));
      if (!view.has_value() || view->size() < 4) return false;
      // Most of a segment are zeros: what looks for one byte of the magic is quickly past them.
      const std::byte* const data = view->data();
      const std::size_t size = view->size();
      for (std::size_t i = 0; i + 4 <= size;) {
        const void* const found = std::memchr(data + i, format::kGroupMagic & 0xff, size - i);
        if (found == nullptr) break;
        const auto at = static_cast<std::size_t>(static_cast<const std::byte*>(found) - data);
        if (at % kGroupAlignment == 0 && at + 4 <= size &&
            LoadLe<std::uint32_t>(data + at) == format::kGroupMagic) {
          *offset += at;
          return true;
        }
        i = (at / kGroupAlignment + 1) * kGroupAlignment;
      }
      *offset += view->size() / kGroupAlignment * kGroupAlignment;
    }
  }

 private:
  [[nodiscard]] std::size_t Buffered(std::uint64_t offset) const {
    const std::uint64_t end = begin_ + window_.size();
    return offset < begin_ || offset >= end ? 0 : end - offset;
  }

  File& file_;
  const std::uint64_t size_;
  std::uint64_t begin_ = 0;
  Bytes window_;
};

Replayer::Replayer(const SecretBytes& journal_key,
                   std::span<const std::shared_ptr<Segment>> segments,
                   const format::JournalPosition& covered, const Sink& sink)
    : journal_key_(journal_key), segments_(segments), sink_(sink), cuts_(segments.size(), kNoCut) {
  for (std::size_t i = segments.size(); i-- > 1;) {
    cuts_[i - 1] = std::min(cuts_[i], segments[i]->header.first_seq);
  }
  cover_known_ = std::any_of(segments.begin(), segments.end(), [&](const auto& segment) {
    return segment->header.stream == covered.stream;
  });
  if (cover_known_) covered_seq_ = covered.seq;
  recovery_.cover_known = cover_known_;
}

std::size_t Replayer::FirstNeeded() const {
  std::size_t index = 0;
  // The last one has no cut: it always counts.
  while (CutOf(index) <= covered_seq_ + 1 || CutOf(index) <= segments_[index]->header.first_seq) {
    ++index;
  }
  return index;
}

Result<Journal::Recovery> Replayer::Run() {
  if (segments_.empty()) return recovery_;
  const std::size_t first = FirstNeeded();
  const format::SegmentHeader& header = segments_[first]->header;
  const std::uint64_t expected = cover_known_ ? covered_seq_ + 1 : header.stream_first_seq;
  if (header.first_seq > expected) {
    whole_seq_ = expected - 1;
    Conclude({.segment = first, .offset = 0, .reason = "the segments before it are missing"});
    return recovery_;
  }
  next_seq_ = header.first_seq;
  next_tag_ = chain_tag_ = header.chain_tag;
  whole_seq_ = next_seq_ - 1;
  whole_end_ = format::kSegmentHeaderBytes;
  ASSIGN_OR_RETURN(const Break at, FollowChain(first));
  Conclude(at);
  return recovery_;
}

Result<Replayer::Break> Replayer::FollowChain(std::size_t first) {
  for (std::size_t index = first;; ++index) {
    const format::SegmentHeader& header = segments_[index]->header;
    if (CutOf(index) <= header.first_seq) continue;
    // The segment before was read up to its cut, which is this one's beginning.
    CHECK(header.first_seq == next_seq_);
    if (header.chain_tag != next_tag_) {
      return Break{
          .segment = index, .offset = 0, .reason = "it does not continue the segment before"};
    }
    whole_end_ = format::kSegmentHeaderBytes;
    ASSIGN_OR_RETURN(std::optional<Break> broken, ReadSegment(index));
    if (broken.has_value()) return *std::move(broken);
    if (!request_.empty()) {
      return Break{.segment = index,
                   .offset = whole_end_,
                   .reason = "a request is cut in two",
                   .damaged = true};
    }
  }
}

Result<std::optional<Replayer::Break>> Replayer::ReadSegment(std::size_t index) {
  Reader reader(*segments_[index]);
  std::uint32_t offset = format::kSegmentHeaderBytes;
  while (next_seq_ < CutOf(index)) {
    ASSIGN_OR_RETURN(std::optional<Break> broken, ReadGroup(index, reader, &offset));
    if (broken.has_value()) return broken;
  }
  return std::optional<Break>();
}

Result<std::optional<Replayer::Break>> Replayer::ReadGroup(std::size_t index, Reader& reader,
                                                           std::uint32_t* offset) {
  const Segment& segment = *segments_[index];
  std::uint32_t at = *offset;
  const auto broken = [&](std::string reason, bool damaged = false) {
    return std::optional<Break>(Break{.segment = index,
                                      .offset = at,
                                      .reason = std::move(reason),
                                      .damaged = damaged,
                                      .group = *offset});
  };
  const auto header_view = reader.View(at, format::kGroupHeaderBytes);
  if (!header_view.has_value()) return broken(header_view.error().message, true);
  const auto header = format::DecodeGroupHeader(*header_view);
  if (!header.has_value()) return broken(header.error().message);
  if (header->segment != segment.number() || header->first_seq != next_seq_ ||
      header->chain_tag != next_tag_) {
    return broken("the group there does not follow");
  }
  const std::uint32_t end = at + header->total_bytes;
  const crypto::Sealer opener = OpenerOf(journal_key_, *header, *header_view);
  at += format::kGroupHeaderBytes;

  for (std::uint32_t number = 0; number < header->record_count; ++number) {
    if (next_seq_ >= CutOf(index)) return std::optional<Break>();
    const auto view = reader.View(at, kSealedRecordBytesMax);
    if (!view.has_value()) return broken(view.error().message, true);
    if (view->size() < 4) return broken("a record is cut off");
    const std::uint32_t length = LoadLe<std::uint32_t>(view->data());
    if (length > view->size() - 4 || length > end - at - 4) return broken("a record is cut off");
    const ByteView sealed = view->subspan(4, length);
    auto plain = std::make_shared<Bytes>();
    const auto opened = OpenRecord(opener, segment.header.stream, segment.number(), next_seq_,
                                   number, sealed, plain.get());
    if (!opened.has_value() && Planted("replay-past-torn-record")) {
      at += 4 + length;
      Follow(sealed);
      continue;
    }
    if (!opened.has_value()) {
      return broken(opened.error().message, opened.error().code == ErrorCode::kUnsupported);
    }
    auto record = std::make_shared<Record>();
    record->seq = next_seq_;
    record->header = *opened;
    record->location = {.segment = segment.number(),
                        .group_offset = *offset,
                        .record_offset = at + 4,
                        .number = number};
    if (DataBytes(*opened) != 0) {
      record->buffer = std::move(plain);
      record->buffer_offset = format::kRecordHeaderBytes;
    }
    at += 4 + length;
    RETURN_IF_ERROR(Take(segment, record, sealed, at));
  }
  if (at != end) return broken("a group is longer than its records", true);
  if (!request_.empty()) return broken("a request goes on beyond its group", true);
  *offset = end;
  return std::optional<Break>();
}

Status Replayer::Take(const Segment& segment, const RecordPtr& record, ByteView sealed,
                      std::uint32_t end_offset) {
  Follow(sealed);
  request_.push_back(record);
  if (record->header.continues && !Planted("replay-half-a-request")) return {};
  whole_seq_ = record->seq;
  chain_tag_ = next_tag_;
  whole_end_ = end_offset;
  recovery_.last_stream = segment.header.stream;
  const std::vector<RecordPtr> request = std::exchange(request_, {});
  if (record->seq <= covered_seq_) return {};
  recovery_.records += request.size();
  recovery_.base_head = segment.header.base_head;
  recovery_.volume_size = segment.header.volume_size;
  return sink_(request);
}

void Replayer::Follow(ByteView sealed) {
  const ByteView tag = sealed.last(next_tag_.size());
  std::copy(tag.begin(), tag.end(), next_tag_.begin());
  ++next_seq_;
}

void Replayer::Conclude(const Break& at) {
  recovery_.last_seq = whole_seq_;
  unreachable_from_ = at.segment + 1;
  for (std::size_t i = 0; i < segments_.size(); ++i) {
    Segment& segment = *segments_[i];
    const bool reached = i < at.segment && CutOf(i) > segment.header.first_seq;
    if (i < at.segment) {
      segment.last_seq = reached ? CutOf(i) - 1 : 0;
      segment.end = static_cast<std::uint32_t>(segment.slot.size);
    } else {
      const bool read = i == at.segment && at.offset != 0;
      segment.last_seq = read && whole_seq_ >= segment.header.first_seq ? whole_seq_ : 0;
      segment.end = read ? whole_end_ : 0;
    }
  }
  if (at.offset == 0) unreachable_from_ = at.segment;

  const std::uint64_t missing = std::max(whole_seq_, covered_seq_) + 1;
  const std::optional<Witness> witness = FindWitness(at, missing);
  if (!witness.has_value() && !at.damaged) return;
  recovery_.damaged = true;
  const Segment& segment = *segments_[at.segment];
  recovery_.damage = Concat(segment.slot.path, " (segment ", segment.number(), ") at byte ",
                            at.offset, ": ", at.reason, "; ", DescribeLoss(missing, witness));
}

std::string Replayer::DescribeLoss(std::uint64_t missing, const std::optional<Witness>& witness) {
  recovery_.lost = loss_.ranges();
  std::string text = Concat("records from ", missing);
  if (witness.has_value()) {
    recovery_.lost_unknown = loss_.CountUnknown(missing, witness->last_seq);
    text += Concat(" to ", witness->last_seq, " were durable and are lost");
  } else {
    text += " on cannot be read";
  }
  if (!recovery_.lost.empty())
    text += ", with them writes to " + DescribeRanges(recovery_.lost, kRangesNamed);
  if (loss_.resize()) text += ", and a change of its size";
  if (recovery_.lost_unknown > 0) {
    text += Concat("; where ", recovery_.lost_unknown,
                   recovery_.lost.empty() ? " of them" : " more", " wrote is not known");
  }
  return text;
}

std::optional<Replayer::Witness> Replayer::FindWitness(const Break& at, std::uint64_t missing) {
  std::optional<Witness> witness;
  for (std::size_t i = at.segment; i < segments_.size(); ++i) {
    const Segment& segment = *segments_[i];
    const format::SegmentHeader& header = segment.header;
    const bool begins_stream = header.first_seq == header.stream_first_seq;
    if ((i > at.segment || at.offset == 0) && begins_stream && header.first_seq > missing) {
      witness = Witness{std::max(header.first_seq - 1, witness ? witness->last_seq : 0)};
    }
    // The group that is broken may have whole records behind the break.
    const bool from_break = i == at.segment && at.offset != 0;
    const std::uint32_t broken = at.group != 0 ? at.group : at.offset;
    ScanGroups(segment, from_break ? broken : format::kSegmentHeaderBytes, missing, &witness);
  }
  return witness;
}

void Replayer::ScanGroups(const Segment& segment, std::uint32_t from, std::uint64_t missing,
                          std::optional<Witness>* witness) {
  Reader reader(segment);
  std::uint64_t last_seq = 0;
  bool vouched = witness->has_value();
  std::uint64_t at = from / kGroupAlignment * kGroupAlignment;
  while (reader.FindMagic(&at)) {
    const auto group = AuthenticGroup(segment, reader, at, missing);
    if (!group.has_value()) {
      at += kGroupAlignment;
      continue;
    }
    last_seq = std::max(last_seq, group->first_seq + group->record_count - 1);
    vouched = vouched || group->first_seq - 1 - group->not_durable >= missing;
    at += group->total_bytes;
  }
  if (!vouched) return;
  if (!witness->has_value()) *witness = Witness{.last_seq = missing};
  (*witness)->last_seq = std::max((*witness)->last_seq, last_seq);
}

std::optional<format::GroupHeader> Replayer::AuthenticGroup(const Segment& segment, Reader& reader,
                                                            std::uint64_t offset,
                                                            std::uint64_t missing) {
  const auto view = reader.View(offset, format::kGroupHeaderBytes);
  if (!view.has_value()) return std::nullopt;
  const auto header = format::DecodeGroupHeader(*view);
  if (!header.has_value() || header->segment != segment.number()) return std::nullopt;
  const crypto::Sealer opener = OpenerOf(journal_key_, *header, *view);
  const std::uint64_t end = offset + header->total_bytes;
  bool authentic = false;
  std::uint64_t at = offset + format::kGroupHeaderBytes;
  for (std::uint32_t number = 0; number < header->record_count; ++number) {
    const auto record = reader.View(at, std::min<std::uint64_t>(kSealedRecordBytesMax, end - at));
    if (!record.has_value() || record->size() < 4) break;
    const std::uint32_t length = LoadLe<std::uint32_t>(record->data());
    if (length > record->size() - 4) break;
    Bytes plain;
    const std::uint64_t seq = header->first_seq + number;
    const auto opened = OpenRecord(opener, segment.header.stream, segment.number(), seq, number,
                                   record->subspan(4, length), &plain);
    authentic = authentic || opened.has_value();
    // One may be the damaged one; bytes that only look like a group must not cost their length.
    if (!authentic && number > 0) return std::nullopt;
    if (opened.has_value() && seq >= missing) loss_.Add(seq, *opened);
    at += 4 + std::uint64_t{length};
  }
  if (!authentic) return std::nullopt;
  return *header;
}

}  // namespace coffer::cache
