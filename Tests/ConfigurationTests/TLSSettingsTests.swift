import Configuration
import Outbox
import TestSupport
import Testing

/// Certificates and keys that openssl made, damaged in every way that is found at the start.
struct TLSSettingsTests {
  private static let prefix = "OTEL_EXPORTER_OTLP_"
  private static let client = [prefix + "CLIENT_CERTIFICATE": "client.pem", prefix + "CLIENT_KEY": "client.key"]
  private let authority: TestAuthority
  private let files: [String: String]

  init() throws {
    authority = try TestAuthority()
    let client = try authority.identity("client")
    let other = try authority.identity("other")
    let paths = [
      "ca.pem": authority.file, "client.pem": client.certificate, "client.key": client.key, "other.key": other.key,
      "encrypted.key": try authority.encrypted(client.key, passphrase: "hunter2"),
    ]
    files = try paths.mapValues { try #require(contents(of: $0)) }
  }

  private func input(_ environment: [String: String], _ files: [String: String] = [:]) -> ConfigurationCase {
    var input = ConfigurationCase(watching: environment)
    input.files = self.files.merging(files) { $1 }
    return input
  }

  @Test func `files that fit are taken, those of metrics first`() throws {
    var environment = Self.client
    environment[Self.prefix + "CERTIFICATE"] = "nowhere.pem"
    environment[Self.prefix + "METRICS_CERTIFICATE"] = "ca.pem"
    let destination = try #require(try input(environment).configuration().destinations.first)
    #expect(destination.certificate == "ca.pem")
    #expect(destination.clientCertificate == "client.pem" && destination.clientKey == "client.key")
  }

  @Test func `a chain with several certificates, and a key in the same file, are taken`() throws {
    let chain = files["client.pem"]! + files["ca.pem"]! + files["client.key"]!
    let environment = [Self.prefix + "CLIENT_CERTIFICATE": "all.pem", Self.prefix + "CLIENT_KEY": "all.pem"]
    #expect(input(environment, ["all.pem": chain]).problems() == [])
  }

  @Test(arguments: [
    ("encrypted.key", "the private key is encrypted"), ("other.key", "does not belong to the client certificate"),
    ("ca.pem", "does not hold a private key"), ("nowhere", "cannot be read: No such file"),
  ])
  func `a key that cannot be used is a mistake with its place [111]`(key: String, message: String) {
    let problems = input(Self.client.merging([Self.prefix + "CLIENT_KEY": key]) { $1 }).problems()
    #expect(problems.count == 1)
    #expect(problems.first?.hasPrefix("OTEL_EXPORTER_OTLP_CLIENT_KEY: ") == true)
    #expect(problems.first?.contains(message) == true, "\(problems)")
    #expect(problems.first?.contains("hunter2") == false)
  }

  @Test func `only one of certificate and key is a mistake [111]`() {
    for (name, other) in [("CLIENT_CERTIFICATE", "CLIENT_KEY"), ("CLIENT_KEY", "CLIENT_CERTIFICATE")] {
      let file = name == "CLIENT_KEY" ? "client.key" : "client.pem"
      #expect(
        input([Self.prefix + name: file]).problems() == [
          "OTEL_EXPORTER_OTLP_\(name): is set without its other half (set OTEL_EXPORTER_OTLP_\(other) too)"
        ])
    }
  }

  @Test func `a certificate that cannot be read is a mistake`() throws {
    let damaged = files["ca.pem"]! + String(files["client.pem"]!.dropLast(80)) + "\n-----END CERTIFICATE-----\n"
    for text in ["hunter2", "", files["client.key"]!, damaged, "-----BEGIN CERTIFICATE-----\n"] {
      for name in ["CERTIFICATE", "METRICS_CERTIFICATE"] {
        let problems = input([Self.prefix + name: "x.pem"], ["x.pem": text]).problems()
        #expect(problems.count == 1)
        #expect(
          problems.first?.hasPrefix("OTEL_EXPORTER_OTLP_\(name): the file does not hold certificates in PEM form")
            == true)
        #expect(problems.first?.contains("hunter2") == false)
      }
    }
  }

  @Test func `the file's mistakes have their lines`() {
    var input = ConfigurationCase(
      file: """
        export:
          - endpoint: "https://c:4317"
            protocol: grpc
            certificate: client.key
            client_certificate: client.pem
            client_key: other.key
        """, ConfigurationCase.watched)
    input.files.merge(files) { $1 }
    #expect(
      input.problems() == [
        "outbox.yaml:4:18: the file does not hold certificates in PEM form, or one of them is damaged (each begins with "
          + "`-----BEGIN CERTIFICATE-----`)",
        "outbox.yaml:6:17: the private key does not belong to the client certificate (the certificate that comes first "
          + "in its file has to be the one that the key was made for)",
      ])
  }
}
