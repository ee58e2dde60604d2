#include "tests/support/scripted_server.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>

#include "core/base/check.h"
#include "core/base/log.h"
#include "tests/support/scripted_socket.h"

namespace coffer {
namespace {

constexpr std::string_view kEndOfHead = "\r\n\r\n";

bool IsSameName(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](unsigned char x, unsigned char y) {
    return std::tolower(x) == std::tolower(y);
  });
}

std::uint64_t ParseNumber(std::string_view text, int base) {
  std::uint64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number, base);
  return number;
}

std::string HexOf(std::size_t number) {
  std::array<char, 20> text;
  const auto written = std::to_chars(text.data(), text.data() + text.size(), number, 16);
  return {text.data(), written.ptr};
}

ReceivedRequest ParseHead(std::string_view head) {
  ReceivedRequest request;
  const std::size_t line_end = head.find("\r\n");
  const std::string_view line = head.substr(0, line_end);
  const std::size_t first = std::min(line.find(' '), line.size());
  const std::size_t second = std::min(line.rfind(' '), line.size());
  request.method = line.substr(0, first);
  if (second > first) request.target = line.substr(first + 1, second - first - 1);
  while (!head.empty()) {
    head.remove_prefix(std::min(head.find("\r\n"), head.size() - 2) + 2);
    const std::string_view field = head.substr(0, head.find("\r\n"));
    const std::size_t colon = field.find(':');
    if (colon == std::string_view::npos) continue;
    std::string_view value = field.substr(colon + 1);
    while (value.starts_with(' ')) value.remove_prefix(1);
    request.headers.emplace_back(field.substr(0, colon), value);
  }
  return request;
}

/// h2 is not spoken here.
int ChooseProtocol(SSL*, const unsigned char** chosen, unsigned char* chosen_length,
                   const unsigned char* offered, unsigned int length, void*) {
  constexpr std::string_view kHttp11 = "http/1.1";
  for (unsigned int i = 0; i < length; i += 1U + offered[i]) {
    const std::string_view one(reinterpret_cast<const char*>(offered + i + 1), offered[i]);
    if (one != kHttp11) continue;
    *chosen = offered + i + 1;
    *chosen_length = offered[i];
    return SSL_TLSEXT_ERR_OK;
  }
  return SSL_TLSEXT_ERR_NOACK;
}

SSL_CTX* NewTls(const TestCertificate& certificate, int version_max) {
  SSL_CTX* const context = SSL_CTX_new(TLS_server_method());
  BIO* const key_text = BIO_new_mem_buf(certificate.key.data(), -1);
  BIO* const text = BIO_new_mem_buf(certificate.certificate.data(), -1);
  EVP_PKEY* const key = PEM_read_bio_PrivateKey(key_text, nullptr, nullptr, nullptr);
  X509* const own = PEM_read_bio_X509(text, nullptr, nullptr, nullptr);
  CHECK(SSL_CTX_use_certificate(context, own) == 1 && SSL_CTX_use_PrivateKey(context, key) == 1);
  if (version_max != 0) {
    SSL_CTX_set_security_level(context, 0);
    SSL_CTX_set_min_proto_version(context, 0);
    SSL_CTX_set_max_proto_version(context, version_max);
  }
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_alpn_select_cb(context, &ChooseProtocol, nullptr);
  EVP_PKEY_free(key);
  X509_free(own);
  BIO_free(key_text);
  BIO_free(text);
  return context;
}

int ListenOnLoopback(std::uint16_t* port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  CHECK(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
  CHECK(listen(fd, 256) == 0);
  socklen_t length = sizeof(address);
  CHECK(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) == 0);
  *port = ntohs(address.sin_port);
  return fd;
}

int ListenAt(const std::string& path) {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  CHECK(path.size() < sizeof(address.sun_path));
  std::copy(path.begin(), path.end(), address.sun_path);
  CHECK(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
  CHECK(listen(fd, 256) == 0);
  return fd;
}

}  // namespace

std::string ReceivedRequest::Header(std::string_view name) const {
  const auto found = std::find_if(headers.begin(), headers.end(), [name](const auto& header) {
    return IsSameName(header.first, name);
  });
  return found == headers.end() ? std::string() : found->second;
}

bool ReceivedRequest::Has(std::string_view name) const {
  return std::any_of(headers.begin(), headers.end(),
                     [name](const auto& header) { return IsSameName(header.first, name); });
}

/// A thread that reads one request after the other and does what is said of it.
class ScriptedServer::Connection {
 public:
  Connection(ScriptedServer& server, int fd, std::size_t number)
      : server_(server),
        number_(number),
        socket_(fd, server.wakeup_),
        thread_([this] { Live(); }) {}
  ~Connection() { thread_.join(); }

 private:
  enum class Next { kRequest, kEnd };

  void Live() {
    // OpenSSL writes to clients that have gone, too.
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
    if (server_.tls_ == nullptr || socket_.StartTls(server_.tls_)) {
      while (ServeOne() == Next::kRequest) {
      }
    }
    socket_.Close();
  }

  Next ServeOne() {
    std::size_t end = 0;
    while ((end = buffer_.find(kEndOfHead)) == std::string::npos) {
      if (!socket_.Read(&buffer_)) return Next::kEnd;
      if (buffer_.front() == '\x16') return RefuseTls();
    }
    ReceivedRequest request = ParseHead(std::string_view(buffer_).substr(0, end + 2));
    request.connection = number_;
    buffer_.erase(0, end + kEndOfHead.size());
    if (server_.options_.on_head) {
      const std::optional<Answer> early = server_.options_.on_head(request);
      if (early.has_value()) {
        server_.NoteRequest(request);
        if (Give(*early, request.method == "HEAD") == Next::kRequest) socket_.Stall();
        return Next::kEnd;  // what is left of the body would be taken for a request
      }
    }
    if (!ReadBody(&request)) return Next::kEnd;
    server_.NoteRequest(request);
    return Give(server_.handler_(request), request.method == "HEAD");
  }

  /// As other servers of http do.
  Next RefuseTls() {
    (void)socket_.Send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    return Next::kEnd;
  }

  bool ReadBody(ReceivedRequest* request) {
    const bool has_body =
        ParseNumber(request->Header("Content-Length"), 10) > 0 || request->Has("Transfer-Encoding");
    const bool is_asked = has_body && request->Has("Expect") && server_.options_.says_continue;
    if (is_asked && !socket_.Send("HTTP/1.1 100 Continue\r\n\r\n")) {
      return false;
    }
    if (request->Has("Transfer-Encoding")) return ReadChunks(&request->body);
    return Take(ParseNumber(request->Header("Content-Length"), 10), &request->body);
  }

  bool Take(std::size_t length, std::string* out) {
    while (buffer_.size() < length) {
      if (!socket_.Read(&buffer_)) return false;
    }
    out->append(buffer_, 0, length);
    buffer_.erase(0, length);
    return true;
  }

  bool ReadChunks(std::string* body) {
    for (;;) {
      std::size_t end = 0;
      while ((end = buffer_.find("\r\n")) == std::string::npos) {
        if (!socket_.Read(&buffer_)) return false;
      }
      const std::uint64_t size = ParseNumber(buffer_, 16);
      buffer_.erase(0, end + 2);
      std::string line_end;
      if (!Take(size, body) || !Take(2, &line_end)) return false;
      if (size == 0) return true;
    }
  }

  Next Give(const Answer& answer, bool is_head) {
    if (answer.before != nullptr) server_.WaitAt(answer.before);
    switch (answer.fault) {
      case Fault::kResetUnread:
      case Fault::kResetBeforeReply:
        socket_.Reset();
        return Next::kEnd;
      case Fault::kStallUnread:
      case Fault::kStallBeforeReply:
        socket_.Stall();
        return Next::kEnd;
      case Fault::kRaw:
        (void)socket_.Send(answer.body);
        return Next::kEnd;
      case Fault::kStallMidHead:
        (void)socket_.Send("HTTP/1.1 200 OK\r\nX-Half: ");
        socket_.Stall();
        return Next::kEnd;
      case Fault::kEndlessInterim:
        return Forever("HTTP/1.1 100 Continue\r\n\r\n");
      case Fault::kEndlessHeaders:
        return Forever("HTTP/1.1 200 OK\r\n", "X-More: of the same\r\n");
      case Fault::kEndlessLine:
        return Forever("HTTP/1.1 200 OK\r\nX-Long: ", "and so on ");
      default:
        return GiveBody(answer, is_head);
    }
  }

  Next Forever(std::string_view piece) { return Forever({}, piece); }
  Next Forever(std::string_view first, std::string_view piece) {
    std::string many;
    while (many.size() < (64 << 10)) many.append(piece);
    if (socket_.Send(first)) {
      while (socket_.Send(many)) {
      }
    }
    return Next::kEnd;
  }

  static std::string HeadOf(const Answer& answer) {
    std::string head = Concat("HTTP/1.1 ", answer.status, " Scripted\r\n");
    for (const auto& [name, value] : answer.headers) {
      head.append(name).append(": ").append(value).append("\r\n");
    }
    const bool bodyless = answer.status == 204 || answer.status == 304;
    switch (answer.framing) {
      case Framing::kLength:
        if (bodyless) break;
        head.append("Content-Length: ")
            .append(std::to_string(answer.length_said.value_or(answer.body.size())))
            .append("\r\n");
        break;
      case Framing::kChunked:
        head.append("Transfer-Encoding: chunked\r\n");
        break;
      case Framing::kUntilClose:
        head.append("Connection: close\r\n");
        break;
    }
    return head.append("\r\n");
  }

  bool SendPiece(const Answer& answer, std::string_view piece) {
    if (answer.framing != Framing::kChunked) return socket_.Send(piece);
    return piece.empty() ||
           socket_.Send(Concat(HexOf(piece.size()), "\r\n", std::string(piece), "\r\n"));
  }

  Next GiveBody(const Answer& answer, bool is_head) {
    if (!socket_.Send(HeadOf(answer))) return Next::kEnd;
    if (is_head) return Next::kRequest;
    const std::string_view body = answer.body;
    const std::size_t at = std::min(answer.fault_at.value_or(body.size() / 2), body.size());
    switch (answer.fault) {
      case Fault::kResetMidBody:
        (void)SendPiece(answer, body.substr(0, at));
        socket_.Reset();
        return Next::kEnd;
      case Fault::kCloseMidBody:
        (void)SendPiece(answer, body.substr(0, at));
        return Next::kEnd;
      case Fault::kStallMidBody:
        (void)SendPiece(answer, body.substr(0, at));
        socket_.Stall();
        return Next::kEnd;
      case Fault::kEndlessBody:
        return EndlessBody(answer);
      default:
        break;
    }
    if (!Drip(answer)) return Next::kEnd;
    if (answer.framing == Framing::kChunked && !socket_.Send("0\r\n\r\n")) return Next::kEnd;
    const bool ends = answer.framing == Framing::kUntilClose || answer.fault == Fault::kCloseUnsaid;
    return ends ? Next::kEnd : Next::kRequest;
  }

  bool Drip(const Answer& answer) {
    std::string_view rest = answer.body;
    for (const auto& gate : answer.drips) {
      server_.WaitAt(gate);
      if (rest.empty() || !SendPiece(answer, rest.substr(0, 1))) return false;
      rest.remove_prefix(1);
    }
    // In one piece, so that it is there when the client has read what was said.
    if (answer.fault == Fault::kOverlong)
      return socket_.Send(Concat(std::string(rest), "and more"));
    return SendPiece(answer, rest);
  }

  Next EndlessBody(const Answer& answer) {
    const std::string piece(16 << 10, 'x');
    while (SendPiece(answer, piece)) {
    }
    return Next::kEnd;
  }

  ScriptedServer& server_;
  const std::size_t number_;
  ScriptedSocket socket_;
  std::string buffer_;
  std::thread thread_;
};

ScriptedServer::ScriptedServer(Handler handler, ScriptedServerOptions options)
    : handler_(std::move(handler)), options_(std::move(options)) {
  if (options_.tls.has_value()) {
    tls_ = NewTls(*options_.tls, options_.tls_version_max);
    SSL_CTX_set_client_hello_cb(
        tls_,
        [](SSL* tls, int*, void* self) {
          const unsigned char* data = nullptr;
          std::size_t length = 0;
          std::string offered;
          if (SSL_client_hello_get0_ext(tls, TLSEXT_TYPE_application_layer_protocol_negotiation,
                                        &data, &length) == 1) {
            offered.assign(reinterpret_cast<const char*>(data), length);
          }
          static_cast<ScriptedServer*>(self)->NoteProtocols(std::move(offered));
          return SSL_CLIENT_HELLO_SUCCESS;
        },
        this);
  }
  wakeup_ = eventfd(0, EFD_CLOEXEC);
  listener_ =
      options_.unix_socket.empty() ? ListenOnLoopback(&port_) : ListenAt(options_.unix_socket);
  acceptor_ = std::thread([this] { Accept(); });
}

ScriptedServer::~ScriptedServer() {
  {
    const std::lock_guard lock(mutex_);
    is_ending_ = true;
    for (const auto& gate : gates_) gate->Open();
  }
  const std::uint64_t one = 1;
  CHECK(write(wakeup_, &one, sizeof(one)) == sizeof(one));
  if (acceptor_.joinable()) acceptor_.join();
  connections_.clear();
  close(listener_);
  close(wakeup_);
  SSL_CTX_free(tls_);
}

std::string ScriptedServer::UrlOf(const std::string& host) const {
  return Concat(tls_ == nullptr ? "http" : "https", "://", host, ":", port_);
}

void ScriptedServer::Accept() {
  std::array<pollfd, 2> polled = {pollfd{listener_, POLLIN, 0}, pollfd{wakeup_, POLLIN, 0}};
  for (;;) {
    if (poll(polled.data(), polled.size(), -1) < 0) continue;
    if (polled[1].revents != 0) return;
    const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    const std::lock_guard lock(mutex_);
    if (is_ending_ || is_refusing_) {
      if (fd >= 0) close(fd);
      return;
    }
    if (fd < 0) continue;
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    connections_.push_back(std::make_unique<Connection>(*this, fd, ++accepted_));
  }
}

void ScriptedServer::StopListening() {
  const std::lock_guard lock(mutex_);
  is_refusing_ = true;
  shutdown(listener_, SHUT_RDWR);  // ends the accept
}

/// At the server's end all gates are open: a test that has failed still ends.
void ScriptedServer::WaitAt(const std::shared_ptr<Gate>& gate) {
  {
    const std::lock_guard lock(mutex_);
    gates_.push_back(gate);
    if (is_ending_) gate->Open();
  }
  gate->Wait();
}

void ScriptedServer::NoteRequest(const ReceivedRequest& request) {
  const std::lock_guard lock(mutex_);
  requests_.push_back(request);
  changed_.notify_all();
}

void ScriptedServer::NoteProtocols(std::string protocols) {
  const std::lock_guard lock(mutex_);
  protocols_.push_back(std::move(protocols));
}

std::vector<ReceivedRequest> ScriptedServer::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

void ScriptedServer::AwaitRequests(std::size_t count) const {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return requests_.size() >= count; });
}

std::size_t ScriptedServer::connections() const {
  const std::lock_guard lock(mutex_);
  return accepted_;
}

std::vector<std::string> ScriptedServer::offered_protocols() const {
  const std::lock_guard lock(mutex_);
  return protocols_;
}

}  // namespace coffer
