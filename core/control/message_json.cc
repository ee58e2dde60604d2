#include "core/control/message_json.h"

#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <type_traits>
#include <vector>

#include "core/control/error_table.h"

namespace coffer::control {
namespace {

using Json = nlohmann::basic_json<std::map, std::vector, WipedString, bool, std::int64_t,
                                  std::uint64_t, double, WipingAllocator>;

// --- The fields of every message, in one list each, for encoder and decoder alike. ---

template <class V>
void Fields(V& v, WireError& m) {
  v("code", m.code);
  v("message", m.message);
  v("what", m.what);
  v("hint", m.hint);
  v("holders", m.holders);
}
template <class V>
void Fields(V& v, VersionInfo& m) {
  v("version", m.version);
  v("pid", m.pid);
}
template <class V>
void Fields(V& v, VaultInfo& m) {
  v("alias", m.alias);
  v("vault_id", m.vault_id);
  v("store", m.store);
  v("keys_held", m.keys_held);
}
template <class V>
void Fields(V& v, VaultList& m) {
  v("vaults", m.vaults);
}
template <class V>
void Fields(V& v, ProbeRequest& m) {
  v("store", m.store);
  v("alias", m.alias);
  v("volume", m.volume);
  v("replace", m.replace);
}
template <class V>
void Fields(V& v, ProbeReply& m) {
  v("holds_vault", m.holds_vault);
  v("keys_held", m.keys_held);
}
template <class V>
void Fields(V& v, StoreTestRequest& m) {
  v("store", m.store);
  v("vault", m.vault);
}
template <class V>
void Fields(V& v, StoreCheck& m) {
  v("check", m.check);
  v("outcome", m.outcome);
  v("detail", m.detail);
  v("code", m.code);
  v("hint", m.hint);
}
template <class V>
void Fields(V& v, StoreTestReply& m) {
  v("store", m.store);
  v("holds_vault", m.holds_vault);
  v("read_only", m.read_only);
  v("safe_for_two", m.safe_for_two);
  v("checks", m.checks);
  v("round_trip_us", m.round_trip_us);
  v("up_bytes_per_second", m.up_bytes_per_second);
  v("down_bytes_per_second", m.down_bytes_per_second);
  v("clock_difference_seconds", m.clock_difference_seconds);
}
template <class V>
void Fields(V& v, SettingValue& m) {
  v("key", m.key);
  v("value", m.value);
}
template <class V>
void Fields(V& v, InitRequest& m) {
  v("volume", m.volume);
  v("store", m.store);
  v("size_bytes", m.size_bytes);
  v("alias", m.alias);
  v("single_writer", m.single_writer);
  v("settings", m.settings);
  v("password", m.password);
}
template <class V>
void Fields(V& v, InitReply& m) {
  v("volume", m.volume);
  v("size_bytes", m.size_bytes);
  v("vault_created", m.vault_created);
  v("vault", m.vault);
}
template <class V>
void Fields(V& v, AddRequest& m) {
  v("store", m.store);
  v("alias", m.alias);
  v("single_writer", m.single_writer);
  v("replace", m.replace);
  v("password", m.password);
}
template <class V>
void Fields(V& v, AddedVolume& m) {
  v("name", m.name);
  v("size_bytes", m.size_bytes);
}
template <class V>
void Fields(V& v, AddReply& m) {
  v("vault", m.vault);
  v("volumes", m.volumes);
  v("needs", m.needs);
  v("hints", m.hints);
}
template <class V>
void Fields(V& v, TrustRequest& m) {
  v("password", m.password);
}
template <class V>
void Fields(V& v, TrustChain& m) {
  v("chain", m.chain);
  v("volume", m.volume);
  v("remembered", m.remembered);
  v("offered", m.offered);
  v("offered_by", m.offered_by);
  v("offered_unix", m.offered_unix);
  v("verdict", m.verdict);
  v("doubt", m.doubt);
}
template <class V>
void Fields(V& v, TrustInfo& m) {
  v("vault", m.vault);
  v("doubtful", m.doubtful);
  v("lost", m.lost);
  v("chains", m.chains);
  v("offer", m.offer);
  v("kept_path", m.kept_path);
}
template <class V>
void Fields(V& v, TrustAcceptRequest& m) {
  v("offer", m.offer);
  v("password", m.password);
}
template <class V>
void Fields(V& v, ForgetRequest& m) {
  v("force", m.force);
}
template <class V>
void Fields(V& v, Forgotten& m) {
  v("vault", m.vault);
  v("state_directory", m.state_directory);
}
template <class V>
void Fields(V& v, ExportRequest& m) {
  v("kind", m.kind);
  v("address", m.address);
}
template <class V>
void Fields(V& v, ExportInfo& m) {
  v("kind", m.kind);
  v("address", m.address);
  v("uri", m.uri);
  v("clients", m.clients);
}
template <class V>
void Fields(V& v, MountRequest& m) {
  v("directory", m.directory);
  v("way", m.way);
  v("mkfs", m.mkfs);
}
template <class V>
void Fields(V& v, MountInfo& m) {
  v("directory", m.directory);
  v("path", m.path);
  v("way", m.way);
  v("device", m.device);
  v("file_system", m.file_system);
  v("made", m.made);
  v("passed_over", m.passed_over);
  v("note", m.note);
  v("mounted", m.mounted);
  v("trouble", m.trouble);
}
template <class V>
void Fields(V& v, OpenRequest& m) {
  v("exports", m.exports);
  v("mount", m.mount);
  v("read_only", m.read_only);
  v("take_over", m.take_over);
  v("accept_damage", m.accept_damage);
  v("single_writer", m.single_writer);
  v("settings", m.settings);
  v("background", m.background);
  v("password", m.password);
}
template <class V>
void Fields(V& v, OpenReply& m) {
  v("volume", m.volume);
  v("vault", m.vault);
  v("size_bytes", m.size_bytes);
  v("read_only", m.read_only);
  v("already_open", m.already_open);
  v("uri", m.uri);
  v("exports", m.exports);
  v("mount", m.mount);
}
template <class V>
void Fields(V& v, VolumeStatus& m) {
  v("volume", m.volume);
  v("vault", m.vault);
  v("volume_id", m.volume_id);
  v("vault_id", m.vault_id);
  v("store", m.store);
  v("size_bytes", m.size_bytes);
  v("state", m.state);
  v("keys_held", m.keys_held);
  v("waiting_bytes", m.waiting_bytes);
  v("waiting_exact", m.waiting_exact);
  v("needs", m.needs);
  v("hints", m.hints);
  v("exports", m.exports);
  v("mount", m.mount);
  v("read_only", m.read_only);
  v("failed", m.failed);
  v("durability", m.durability);
  v("chunk_size", m.chunk_size);
  v("waiting_seconds", m.waiting_seconds);
  v("unsynced_bytes", m.unsynced_bytes);
  v("acknowledged", m.acknowledged);
  v("durable", m.durable);
  v("committed", m.committed);
  v("head_sequence", m.head_sequence);
  v("journal_bytes", m.journal_bytes);
  v("journal_bytes_max", m.journal_bytes_max);
  v("uploading", m.uploading);
  v("uploads_paused", m.uploads_paused);
  v("writers_waiting", m.writers_waiting);
  v("flushes_waiting", m.flushes_waiting);
  v("readers_waiting", m.readers_waiting);
  v("upload_seconds", m.upload_seconds);
  v("store_requests", m.store_requests);
  v("requests_per_day", m.requests_per_day);
  v("uploaded_bytes", m.uploaded_bytes);
  v("last_error", m.last_error);
  v("retry_seconds", m.retry_seconds);
}
template <class V>
void Fields(V& v, PauseInfo& m) {
  v("paused", m.paused);
  v("until_unix", m.until_unix);
}
template <class V>
void Fields(V& v, PauseRequest& m) {
  v("seconds", m.seconds);
}
template <class V>
void Fields(V& v, VolumeList& m) {
  v("uploads", m.uploads);
  v("volumes", m.volumes);
  v("vaults", m.vaults);
}
template <class V>
void Fields(V& v, CloseRequest& m) {
  v("no_wait", m.no_wait);
  v("force", m.force);
}
template <class V>
void Fields(V& v, StopRequest& m) {
  v("force", m.force);
}
template <class V>
void Fields(V& v, HolderInfo& m) {
  v("pid", m.pid);
  v("program", m.program);
  v("what", m.what);
  v("volume", m.volume);
}
template <class V>
void Fields(V& v, PasswdRequest& m) {
  v("password", m.password);
  v("new_password", m.new_password);
}
template <class V>
void Fields(V& v, PasswdReply& m) {
  v("vault", m.vault);
  v("volumes", m.volumes);
  v("header_sequence", m.header_sequence);
  v("note", m.note);
}
template <class V>
void Fields(V& v, KeysRequest& m) {
  v("password", m.password);
}
template <class V>
void Fields(V& v, KeyInfo& m) {
  v("slot", m.slot);
  v("kind", m.kind);
  v("created_unix", m.created_unix);
  v("host", m.host);
  v("label", m.label);
  v("memory_kib", m.memory_kib);
  v("iterations", m.iterations);
  v("parallelism", m.parallelism);
  v("opened", m.opened);
}
template <class V>
void Fields(V& v, KeyList& m) {
  v("vault", m.vault);
  v("header_sequence", m.header_sequence);
  v("keys", m.keys);
}
template <class V>
void Fields(V& v, RenameRequest& m) {
  v("name", m.name);
  v("password", m.password);
}
template <class V>
void Fields(V& v, ResizeRequest& m) {
  v("size_bytes", m.size_bytes);
  v("discard_tail", m.discard_tail);
  v("password", m.password);
}
template <class V>
void Fields(V& v, DeleteRequest& m) {
  v("confirm", m.confirm);
  v("password", m.password);
}
template <class V>
void Fields(V& v, Deleted& m) {
  v("volume", m.volume);
  v("vault", m.vault);
  v("discarded_bytes", m.discarded_bytes);
  v("gc_bytes", m.gc_bytes);
  v("gc_bytes_shared", m.gc_bytes_shared);
}
template <class V>
void Fields(V& v, RequestCounts& m) {
  v("creates", m.creates);
  v("gets", m.gets);
  v("range_gets", m.range_gets);
  v("lists", m.lists);
  v("deletes", m.deletes);
  v("failures", m.failures);
  v("bytes_up", m.bytes_up);
  v("bytes_down", m.bytes_down);
}
template <class V>
void Fields(V& v, SurveyRequest& m) {
  v("password", m.password);
}
template <class V>
void Fields(V& v, SurveyInfo& m) {
  v("taken_unix", m.taken_unix);
  v("head_sequence", m.head_sequence);
  v("head_created_unix", m.head_created_unix);
  v("head_host", m.head_host);
  v("head_released", m.head_released);
  v("size_bytes", m.size_bytes);
  v("chunk_size", m.chunk_size);
  v("data_bytes", m.data_bytes);
  v("chunks", m.chunks);
  v("patched_chunks", m.patched_chunks);
  v("frames", m.frames);
  v("frame_plain_bytes", m.frame_plain_bytes);
  v("frame_bytes", m.frame_bytes);
  v("dedup_saved_bytes", m.dedup_saved_bytes);
  v("pages", m.pages);
  v("page_bytes", m.page_bytes);
  v("deltas", m.deltas);
  v("delta_bytes", m.delta_bytes);
  v("lost_pages", m.lost_pages);
  v("lost_deltas", m.lost_deltas);
  v("lost_bytes_max", m.lost_bytes_max);
  v("lost_why", m.lost_why);
  v("packs", m.packs);
  v("pack_bytes", m.pack_bytes);
  v("heads", m.heads);
  v("heads_exact", m.heads_exact);
  v("head_bytes", m.head_bytes);
}
template <class V>
void Fields(V& v, VolumeInfo& m) {
  v("volume", m.volume);
  v("codec", m.codec);
  v("created_unix", m.created_unix);
  v("dedup", m.dedup);
  v("header_sequence", m.header_sequence);
  v("keys", m.keys);
  v("requests", m.requests);
  v("survey", m.survey);
}
template <class V>
void Fields(V& v, JobInfo& m) {
  v("id", m.id);
  v("kind", m.kind);
  v("volume", m.volume);
  v("state", m.state);
  v("done", m.done);
  v("total", m.total);
  v("unit", m.unit);
  v("message", m.message);
  v("notes", m.notes);
  v("waiting_bytes", m.waiting_bytes);
  v("error", m.error);
  v("holders", m.holders);
  v("opened", m.opened);
  v("deleted", m.deleted);
}
template <class V>
void Fields(V& v, JobList& m) {
  v("jobs", m.jobs);
}
template <class V>
void Fields(V& v, Event& m) {
  v("type", m.type);
  v("volume", m.volume);
  v("job", m.job);
}
template <class V>
void Fields(V& v, SettingInfo& m) {
  v("key", m.key);
  v("value", m.value);
  v("from", m.from);
}
template <class V>
void Fields(V& v, SettingList& m) {
  v("path", m.path);
  v("settings", m.settings);
}
template <class V>
void Fields(V& v, ConfigProblems& m) {
  v("path", m.path);
  v("problems", m.problems);
  v("notes", m.notes);
}
template <class V>
void Fields(V&, Empty&) {}

// --- Encoding ---

class Encoder {
 public:
  template <class T>
  void operator()(const char* name, T& field) {
    Put(object_[name], field);
  }
  void operator()(const char* name, SecretBytes& field) {
    if (field.empty()) return;
    static constexpr char kDigits[] = "0123456789abcdef";
    WipedString hex;
    hex.reserve(field.size() * 2);
    for (const std::byte byte : field.view()) {
      hex.push_back(kDigits[std::to_integer<unsigned>(byte) >> 4]);
      hex.push_back(kDigits[std::to_integer<unsigned>(byte) & 15]);
    }
    object_[WipedString(name) + "_hex"] = std::move(hex);
  }
  template <class T>
  void operator()(const char* name, std::optional<T>& field) {
    if (field) Put(object_[name], *field);
  }
  Json Take() { return std::move(object_); }

 private:
  static void Put(Json& out, std::string& text) { out = WipedString(text.data(), text.size()); }
  static void Put(Json& out, Error& error) {
    WireError wire{std::string(ErrorCodeName(error.code)), error.message, "", error.hint};
    PutObject(out, wire);
  }
  template <class T>
  static void Put(Json& out, std::vector<T>& list) {
    out = Json::array();
    for (T& element : list) Put(out.emplace_back(), element);
  }
  template <class T>
  static void Put(Json& out, T& value) {
    if constexpr (std::is_arithmetic_v<T>) {
      out = value;
    } else {
      PutObject(out, value);
    }
  }
  template <class T>
  static void PutObject(Json& out, T& message) {
    Encoder inner;
    Fields(inner, message);
    out = inner.Take();
  }

  Json object_ = Json::object();
};

// --- Decoding ---

class Decoder {
 public:
  explicit Decoder(const Json& object) : object_(object) {}

  template <class T>
  void operator()(const char* name, T& field) {
    const auto found = object_.find(name);
    if (found == object_.end() || found->is_null()) return;
    if (!Get(*found, field)) Blame(name);
  }
  template <class T>
  void operator()(const char* name, std::optional<T>& field) {
    const auto found = object_.find(name);
    if (found == object_.end() || found->is_null()) return;
    if (!Get(*found, field.emplace())) Blame(name);
  }
  /// "password" as text, or "password_hex" for any bytes.
  void operator()(const char* name, SecretBytes& field) {
    const auto text = object_.find(name);
    if (text != object_.end() && !text->is_null()) {
      if (!GetSecretText(*text, field)) Blame(name);
      return;
    }
    const std::string hex_name = std::string(name) + "_hex";
    const auto hex = object_.find(hex_name.c_str());
    if (hex != object_.end() && !hex->is_null() && !GetSecretHex(*hex, field)) Blame(hex_name);
  }

  [[nodiscard]] const std::string& bad_field() const { return bad_field_; }

 private:
  void Blame(const std::string& name) {
    if (bad_field_.empty()) bad_field_ = name;
  }

  static bool GetSecretText(const Json& in, SecretBytes& out) {
    if (!in.is_string()) return false;
    const auto& text = in.get_ref<const WipedString&>();
    if (text.size() > kPasswordBytesMax) return false;
    out = SecretBytes::CopyOf(AsBytes({text.data(), text.size()}));
    return true;
  }
  static bool GetSecretHex(const Json& in, SecretBytes& out) {
    if (!in.is_string()) return false;
    const auto& text = in.get_ref<const WipedString&>();
    if (text.size() % 2 != 0 || text.size() / 2 > kPasswordBytesMax) return false;
    out = SecretBytes(text.size() / 2);
    return FromHex({text.data(), text.size()}, out.mutable_view());
  }
  static bool Get(const Json& in, std::string& out) {
    if (!in.is_string()) return false;
    const auto& text = in.get_ref<const WipedString&>();
    out.assign(text.data(), text.size());
    return true;
  }
  static bool Get(const Json& in, bool& out) {
    if (!in.is_boolean()) return false;
    out = in.get<bool>();
    return true;
  }
  static bool Get(const Json& in, Error& out) {
    WireError wire;
    if (!GetObject(in, wire)) return false;
    out =
        Error{ErrorCodeFromName(wire.code).value_or(ErrorCode::kIoError), wire.message, wire.hint};
    return true;
  }
  template <class T>
  static bool Get(const Json& in, std::vector<T>& out) {
    if (!in.is_array()) return false;
    for (const Json& element : in) {
      if (!Get(element, out.emplace_back())) return false;
    }
    return true;
  }
  template <class T>
  static bool Get(const Json& in, T& out) {
    if constexpr (std::is_integral_v<T>) {
      return GetInteger(in, out);
    } else {
      return GetObject(in, out);
    }
  }
  template <class T>
  static bool GetInteger(const Json& in, T& out) {
    if (in.is_number_unsigned()) {
      const auto value = in.get<std::uint64_t>();
      if (value > static_cast<std::uint64_t>(std::numeric_limits<T>::max())) return false;
      out = static_cast<T>(value);
      return true;
    }
    if constexpr (std::is_signed_v<T>) {
      if (!in.is_number_integer()) return false;
      const auto value = in.get<std::int64_t>();
      if (value < std::numeric_limits<T>::min()) return false;
      out = static_cast<T>(value);
      return true;
    }
    return false;
  }
  template <class T>
  static bool GetObject(const Json& in, T& message) {
    if (!in.is_object()) return false;
    Decoder inner(in);
    Fields(inner, message);
    return inner.bad_field_.empty();
  }

  const Json& object_;
  std::string bad_field_;
};

}  // namespace

template <class Message>
WipedString EncodeJson(const Message& message) {
  Encoder encoder;
  Fields(encoder, const_cast<Message&>(message));  // one field list for both ways; only read here
  // Text that is not UTF-8 (a path, say) is shown with replacement characters.
  return encoder.Take().dump(-1, ' ', false, Json::error_handler_t::replace);
}

template <class Message>
Result<Message> DecodeJson(std::string_view text) {
  // Without exceptions: nlohmann's messages quote the input, which may hold a password.
  const Json json =
      text.empty() ? Json::object() : Json::parse(text.begin(), text.end(), nullptr, false);
  if (json.is_discarded() || !json.is_object()) {
    return Fail(ErrorCode::kInvalidArgument, "the body is not a JSON object");
  }
  Message message;
  Decoder decoder(json);
  Fields(decoder, message);
  if (!decoder.bad_field().empty()) {
    return Fail(ErrorCode::kInvalidArgument,
                "field \"" + decoder.bad_field() + "\" has the wrong type or is out of range");
  }
  return message;
}

#define COFFER_BODY(Message)                                \
  template WipedString EncodeJson<Message>(const Message&); \
  template Result<Message> DecodeJson<Message>(std::string_view);
COFFER_BODY(WireError)
COFFER_BODY(VersionInfo)
COFFER_BODY(VaultList)
COFFER_BODY(ProbeRequest)
COFFER_BODY(ProbeReply)
COFFER_BODY(StoreTestRequest)
COFFER_BODY(StoreTestReply)
COFFER_BODY(InitRequest)
COFFER_BODY(InitReply)
COFFER_BODY(AddRequest)
COFFER_BODY(AddReply)
COFFER_BODY(TrustRequest)
COFFER_BODY(TrustInfo)
COFFER_BODY(TrustAcceptRequest)
COFFER_BODY(ForgetRequest)
COFFER_BODY(Forgotten)
COFFER_BODY(OpenRequest)
COFFER_BODY(OpenReply)
COFFER_BODY(VolumeStatus)
COFFER_BODY(VolumeList)
COFFER_BODY(PauseInfo)
COFFER_BODY(PauseRequest)
COFFER_BODY(CloseRequest)
COFFER_BODY(StopRequest)
COFFER_BODY(PasswdRequest)
COFFER_BODY(PasswdReply)
COFFER_BODY(KeysRequest)
COFFER_BODY(KeyList)
COFFER_BODY(RenameRequest)
COFFER_BODY(ResizeRequest)
COFFER_BODY(DeleteRequest)
COFFER_BODY(Deleted)
COFFER_BODY(SurveyRequest)
COFFER_BODY(VolumeInfo)
COFFER_BODY(JobInfo)
COFFER_BODY(JobList)
COFFER_BODY(Event)
COFFER_BODY(SettingList)
COFFER_BODY(ConfigProblems)
COFFER_BODY(Empty)
#undef COFFER_BODY

}  // namespace coffer::control
