// TlsSession and the files it comes from, over bytes: no socket, no clock.
#include "nbd/tls.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <ctime>
#include <filesystem>
#include <fstream>

#include "tests/nbd/test_server.h"
#include "tests/nbd/tls_client.h"
#include "tests/nbd/tls_files.h"

namespace coffer::nbd {
namespace {

using testing::FileText;
using testing::TemporaryDirectory;
using testing::TlsClient;

/// The same for all tests of this file: keys take a moment.
const std::string& Files() {
  static const TemporaryDirectory directory;
  static const bool written = [] {
    testing::WriteTlsFiles(directory.path());
    return true;
  }();
  EXPECT_TRUE(written);
  return directory.path();
}

std::string PskKeyOf(const std::string& user, const std::string& file = "keys.psk") {
  const std::string text = "\n" + FileText(Files() + "/" + file);
  const std::size_t at = text.find("\n" + user + ":") + user.size() + 2;
  return text.substr(at, text.find('\n', at) - at);
}

Result<std::shared_ptr<const TlsCredentials>> Open(const block::TlsFiles& files) {
  const auto fs = NewPosixFileSystem();
  ASSIGN_OR_RETURN(TlsMaterial material, ReadTlsFiles(*fs, files));
  return TlsCredentials::Open(std::move(material), std::time(nullptr));
}
Result<std::shared_ptr<const TlsCredentials>> OpenX509(const std::string& name) {
  return Open({.x509_directory = Files() + "/" + name});
}
Result<std::shared_ptr<const TlsCredentials>> OpenPsk() {
  return Open({.psk_file = Files() + "/keys.psk"});
}

/// A server's session and what it has received.
struct Server {
  explicit Server(Result<std::shared_ptr<const TlsCredentials>> credentials) {
    EXPECT_TRUE(credentials.has_value()) << credentials.error().message;
    auto opened = TlsSession::Open(*credentials);
    EXPECT_TRUE(opened.has_value()) << opened.error().message;
    session = std::move(*opened);
  }
  /// `first_room` of what comes goes to a place of its own, as a payload does.
  void Take(ByteView input, std::size_t first_room = 0) {
    Bytes first(first_room);
    Bytes second(input.size() + kTlsRecordBytesMax);
    const std::size_t got = session->Receive(input, first, second);
    const std::size_t direct = std::min(got, first.size());
    received.append(AsText(ByteView(first).first(direct)));
    received.append(AsText(ByteView(second).first(got - direct)));
  }
  std::unique_ptr<TlsSession> session;
  std::string received;
};

/// Carries bytes to and fro, `step` at a time, until neither has more to say.
void Carry(TlsClient& client, Server& server, std::size_t step = 1 << 20) {
  for (bool moved = true; moved;) {
    moved = false;
    client.Handshake();
    Bytes up = std::exchange(client.to_server(), Bytes());
    for (ByteView rest = up; !rest.empty();) {
      const std::size_t piece = std::min(step, rest.size());
      if (server.session->ended()) break;
      server.Take(rest.first(piece));
      rest = rest.subspan(piece);
      moved = true;
    }
    Bytes down = std::exchange(server.session->output(), Bytes());
    moved = moved || !down.empty();
    client.from_server().insert(client.from_server().end(), down.begin(), down.end());
  }
}

void ExpectTalk(TlsClient& client, Server& server) {
  ASSERT_EQ(client.state(), TlsClient::State::kOpen) << client.error();
  ASSERT_TRUE(server.session->open()) << server.session->end_reason();
  std::string large(300'000, 'x');
  for (std::size_t i = 0; i < large.size(); ++i) large[i] = static_cast<char>(i * 7 + i / 251);
  client.Send(AsBytes(large));
  Carry(client, server);
  EXPECT_TRUE(server.received == large) << server.received.size();
  server.session->Send(AsBytes(large));
  Carry(client, server);
  const std::string back = client.Receive();
  EXPECT_TRUE(back == large) << back.size() << " " << client.error();
}

TEST(Tls, ACertificateOfTheAuthorityLetsIn) {
  Server server(OpenX509("server"));
  auto client = TlsClient::WithX509(Files() + "/client");
  Carry(client, server);
  ExpectTalk(client, server);
  EXPECT_EQ(server.session->Describe(), "TLS1.3, certificate of CN=laptop");
}

TEST(Tls, APresharedKeyLetsIn) {
  Server server(OpenPsk());
  auto client = TlsClient::WithPsk("bob", PskKeyOf("bob"));
  Carry(client, server);
  ExpectTalk(client, server);
  EXPECT_EQ(server.session->Describe(), "TLS1.3, key of bob");
}

TEST(Tls, BytesMayComeOneByOne) {
  Server x509(OpenX509("server"));
  auto with_certificate = TlsClient::WithX509(Files() + "/client");
  Carry(with_certificate, x509, 1);
  EXPECT_TRUE(x509.session->open());
  Server psk(OpenPsk());
  auto with_key = TlsClient::WithPsk("alice", PskKeyOf("alice"));
  Carry(with_key, psk, 1);
  ExpectTalk(with_key, psk);
}

TEST(Tls, WhatArrivesIsSplitOverBothRooms) {
  Server server(OpenPsk());
  auto client = TlsClient::WithPsk("alice", PskKeyOf("alice"));
  Carry(client, server);
  client.Send(AsBytes("header and payload"));
  server.Take(client.to_server(), 6);
  EXPECT_EQ(server.received, "header and payload");
}

TEST(Tls, Version12IsSpokenOlderOnesAreNot) {
  Server fine(OpenX509("server"));
  auto client12 = TlsClient::WithX509(Files() + "/client", "NORMAL:-VERS-ALL:+VERS-TLS1.2");
  Carry(client12, fine);
  EXPECT_EQ(client12.version(), "TLS1.2");
  ExpectTalk(client12, fine);
  Server psk(OpenPsk());
  auto psk12 =
      TlsClient::WithPsk("alice", PskKeyOf("alice"), "NORMAL:-VERS-ALL:+VERS-TLS1.2:+ECDHE-PSK");
  Carry(psk12, psk);
  ExpectTalk(psk12, psk);
  Server refusing(OpenX509("server"));
  auto client11 = TlsClient::WithX509(Files() + "/client",
                                      "NORMAL:-VERS-ALL:+VERS-TLS1.1:+SHA1:%VERIFY_ALLOW_BROKEN");
  Carry(client11, refusing);
  EXPECT_TRUE(refusing.session->ended());
  EXPECT_NE(client11.state(), TlsClient::State::kOpen);
}

TEST(Tls, NobodyElseComesIn) {
  const struct {
    const char* who;
    const char* reason;
  } cases[] = {{"nocert", "ertificate"}, {"other", "issuer is unknown"}, {"posing", "purpose"}};
  for (const auto& [who, reason] : cases) {
    for (const char* priorities : {"NORMAL", "NORMAL:-VERS-ALL:+VERS-TLS1.2"}) {
      Server server(OpenX509("server"));
      auto client = TlsClient::WithX509(Files() + "/" + who, priorities);
      Carry(client, server);
      EXPECT_TRUE(server.session->ended()) << who;
      EXPECT_NE(server.session->end_reason().find(reason), std::string::npos)
          << who << ": " << server.session->end_reason();
      // A client of TLS 1.3 believes itself inside until it hears the alert.
      (void)client.Receive();
      EXPECT_NE(client.error(), "Success.") << who;
    }
  }
}

TEST(Tls, ARevokedCertificateIsRefused) {
  Server server(OpenX509("crl"));
  auto lost = TlsClient::WithX509(Files() + "/revoked");
  Carry(lost, server);
  EXPECT_TRUE(server.session->ended());
  EXPECT_NE(server.session->end_reason().find("revoked"), std::string::npos)
      << server.session->end_reason();
  Server again(OpenX509("crl"));
  auto client = TlsClient::WithX509(Files() + "/client");
  Carry(client, again);
  ExpectTalk(client, again);
}

TEST(Tls, WithoutVerificationAnyClientComesIn) {
  Server server(Open({.x509_directory = Files() + "/server", .verify_peer = false}));
  auto client = TlsClient::WithX509(Files() + "/nocert");
  Carry(client, server);
  ExpectTalk(client, server);
}

TEST(Tls, AWrongKeyAndAnUnknownUserAreToldApartByNobody) {
  for (const char* priorities :
       {"NORMAL:+ECDHE-PSK:+DHE-PSK", "NORMAL:-VERS-ALL:+VERS-TLS1.2:+ECDHE-PSK"}) {
    std::vector<std::string> alerts;
    for (const char* user : {"alice", "mallory"}) {
      Server server(OpenPsk());
      auto client = TlsClient::WithPsk(user, PskKeyOf("alice", "wrong.psk"), priorities);
      Carry(client, server);
      EXPECT_TRUE(server.session->ended());
      EXPECT_NE(client.state(), TlsClient::State::kOpen);
      alerts.push_back(client.alert());
    }
    EXPECT_EQ(alerts[0], alerts[1]);
  }
}

TEST(Tls, CertificatesDoNotOpenAPskListenerNorTheOtherWayRound) {
  Server psk(OpenPsk());
  auto with_certificate = TlsClient::WithX509(Files() + "/client");
  Carry(with_certificate, psk);
  EXPECT_TRUE(psk.session->ended());
  Server x509(OpenX509("server"));
  auto with_key = TlsClient::WithPsk("alice", PskKeyOf("alice"));
  Carry(with_key, x509);
  EXPECT_TRUE(x509.session->ended());
}

TEST(Tls, GarbageEndsItAtOnce) {
  for (const std::string& garbage :
       {std::string("IHAVEOPT\0\0\0\7\0\0\0\0", 16), std::string(200, '\xff'),
        std::string("\x16\x03\x01\xff\xff") + std::string(70'000, 'a'),
        std::string("GET / HTTP/1.1\r\n\r\n")}) {
    Server server(OpenX509("server"));
    server.Take(AsBytes(garbage));
    EXPECT_TRUE(server.session->ended());
    EXPECT_FALSE(server.session->end_reason().empty());
    EXPECT_TRUE(server.received.empty());
  }
}

TEST(Tls, AChangedRecordIsNotTaken) {
  Server server(OpenPsk());
  auto client = TlsClient::WithPsk("alice", PskKeyOf("alice"));
  Carry(client, server);
  client.Send(AsBytes("first"));
  client.Send(AsBytes("second"));
  client.to_server().back() ^= std::byte{1};
  Carry(client, server);
  EXPECT_EQ(server.received, "first");
  EXPECT_TRUE(server.session->ended());
  EXPECT_FALSE(server.session->end_reason().empty());
}

TEST(Tls, GoodbyesAreHeardAndSaid) {
  Server server(OpenPsk());
  auto client = TlsClient::WithPsk("alice", PskKeyOf("alice"));
  Carry(client, server);
  server.session->SayGoodbye();
  server.session->SayGoodbye();
  Carry(client, server);
  EXPECT_EQ(client.Receive(), "");
  EXPECT_TRUE(client.at_end());
  client.Send(AsBytes("last"));
  client.SayGoodbye();
  Carry(client, server);
  EXPECT_EQ(server.received, "last");
  EXPECT_TRUE(server.session->ended());
  EXPECT_EQ(server.session->end_reason(), "");
}

TEST(Tls, RenegotiationIsRefusedAndNewKeysAreTaken) {
  Server old(OpenX509("server"));
  auto client12 = TlsClient::WithX509(Files() + "/client", "NORMAL:-VERS-ALL:+VERS-TLS1.2");
  Carry(client12, old);
  ASSERT_TRUE(old.session->open());
  (void)client12.Rehandshake();
  Carry(client12, old);
  EXPECT_TRUE(old.session->ended());
  Server server(OpenPsk());
  auto client = TlsClient::WithPsk("alice", PskKeyOf("alice"));
  Carry(client, server);
  EXPECT_EQ(client.UpdateKeys(), 0);
  client.Send(AsBytes("under new keys"));
  server.Take(std::exchange(client.to_server(), Bytes()));
  EXPECT_EQ(std::exchange(server.received, ""), "under new keys");
  Carry(client, server);
  (void)client.Receive();
  ExpectTalk(client, server);
}

class TlsFilesRefused : public ::testing::Test {
 protected:
  TlsFilesRefused() {
    std::filesystem::copy(Files(), directory_ / "tls", std::filesystem::copy_options::recursive);
  }
  /// The message, which must name `file`; "" if it opens.
  std::string X509Error(const std::string& name, const std::string& file) {
    const auto opened = Open({.x509_directory = directory_ / ("tls/" + name)});
    if (opened.has_value()) return "";
    EXPECT_NE(opened.error().message.find(file), std::string::npos) << opened.error().message;
    return opened.error().message;
  }
  std::string PskError(const std::string& text) {
    const std::string path = directory_ / "made.psk";
    std::ofstream(path) << text;
    ::chmod(path.c_str(), 0600);
    const auto opened = Open({.psk_file = path});
    if (opened.has_value()) return "";
    EXPECT_EQ(opened.error().message.find("5ec2e7"), std::string::npos) << "a secret is told";
    return opened.error().message;
  }
  void SetMode(const std::string& file, mode_t mode) {
    ASSERT_EQ(::chmod((directory_ / ("tls/" + file)).c_str(), mode), 0);
  }
  static void ExpectIn(const std::string& message, const std::string& part) {
    EXPECT_NE(message.find(part), std::string::npos) << "\"" << message << "\" lacks " << part;
  }

  TemporaryDirectory directory_;
};

TEST_F(TlsFilesRefused, WhatNoClientWouldAccept) {
  ExpectIn(X509Error("expired", "server-cert.pem"), "has expired at ");
  ExpectIn(X509Error("future", "server-cert.pem"), "not valid before ");
  ExpectIn(X509Error("mismatch", "server-key.pem"), "not the key of server-cert.pem");
}

TEST_F(TlsFilesRefused, AKeyThatOthersMayRead) {
  SetMode("server/server-key.pem", 0640);
  ExpectIn(X509Error("server", "server-key.pem"), "others may read");
  SetMode("server/server-key.pem", 0600);
  EXPECT_EQ(X509Error("server", ""), "");
  SetMode("server/ca-cert.pem", 0666);
  ExpectIn(X509Error("server", "ca-cert.pem"), "others may change it");
  SetMode("keys.psk", 0604);
  const auto psk = Open({.psk_file = directory_ / "tls/keys.psk"});
  ASSERT_FALSE(psk.has_value());
  ExpectIn(psk.error().message, "others may read");
  EXPECT_EQ(psk.error().hint.substr(0, 10), "chmod 600 ");
}

TEST_F(TlsFilesRefused, MissingEmptyAndForeignFiles) {
  const std::string server = directory_ / "tls/server";
  std::filesystem::rename(server + "/server-key.pem", server + "/kept");
  ExpectIn(X509Error("server", "server-key.pem"), "");
  EXPECT_NE(X509Error("server", ""), "");
  std::filesystem::create_symlink(server + "/kept", server + "/server-key.pem");
  ExpectIn(X509Error("server", "server-key.pem"), "symbolic link");
  std::filesystem::remove(server + "/server-key.pem");
  std::filesystem::create_directory(server + "/server-key.pem");
  EXPECT_NE(X509Error("server", "server-key.pem"), "");
  std::filesystem::remove(server + "/server-key.pem");
  std::filesystem::copy_file(server + "/ca-cert.pem", server + "/server-key.pem");
  SetMode("server/server-key.pem", 0600);
  EXPECT_NE(X509Error("server", "server-key.pem"), "");
  std::ofstream(server + "/ca-cert.pem") << "no certificate\n";
  EXPECT_NE(X509Error("server", "ca-cert.pem"), "");
  std::ofstream(server + "/ca-cert.pem") << "";
  ExpectIn(X509Error("server", "ca-cert.pem"), "empty");
  std::ofstream(directory_ / "tls/crl/ca-crl.pem") << "no list\n";
  EXPECT_NE(X509Error("crl", "ca-crl.pem"), "");
  EXPECT_NE(X509Error("nowhere", "ca-cert.pem"), "");
}

TEST_F(TlsFilesRefused, LinesThatAreNoUserAndKey) {
  const std::string key = "5ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e7";
  EXPECT_EQ(PskError("alice:" + key + "\n\nbob:" + key + "\r\n"), "");
  EXPECT_EQ(PskError("alice:" + key), "");
  EXPECT_EQ(PskError("#616c:" + key), "");
  ExpectIn(PskError(""), "empty");
  ExpectIn(PskError("\n"), "no user");
  ExpectIn(PskError("alice:" + key + "\nbob\n"), "line 2: expected username:hexkey");
  ExpectIn(PskError(":" + key), "line 1: a username");
  ExpectIn(PskError("alice:" + key.substr(0, 30)), "16 to 64 bytes");
  ExpectIn(PskError("alice:" + key + std::string(200, 'a')), "16 to 64 bytes");
  ExpectIn(PskError("alice:" + key + "zz"), "no hex");
  ExpectIn(PskError("alice:" + key + "5"), "no hex");
  ExpectIn(PskError("#6z:" + key), "no hex");
  ExpectIn(PskError("alice:" + key + "\nalice:" + key + "\n"), "there already");
}

TEST_F(TlsFilesRefused, BothKindsAtOnceAndRelativePaths) {
  const auto both =
      Open({.x509_directory = Files() + "/server", .psk_file = Files() + "/keys.psk"});
  ASSERT_FALSE(both.has_value());
  ExpectIn(both.error().message, "both");
  const auto relative = Open({.psk_file = "keys.psk"});
  ASSERT_FALSE(relative.has_value());
  ExpectIn(relative.error().message, "absolute");
}

}  // namespace
}  // namespace coffer::nbd
