import Configuration
import Testing

struct DatabaseShareSettingTests {
  @Test(arguments: [("1%", 0.01), ("0.5%", 0.005), ("0.005", 0.005), ("100%", 1), ("1", 1)])
  func `a share is a percentage or a fraction`(text: String, share: Double) throws {
    let configuration = try ConfigurationCase(file: "database_share: \(text)\n" + Self.outbox).configuration()
    #expect(abs(configuration.databaseShare - share) < 1e-12)
  }

  @Test func `without one it is a hundredth of the time, and a flag beats the variable beats the file`() throws {
    #expect(try ConfigurationCase(file: Self.outbox).configuration().databaseShare == 0.01)
    var both = ConfigurationCase(file: "database_share: 2%\n" + Self.outbox)
    both.environment["OUTBOX_DATABASE_SHARE"] = "3%"
    #expect(try both.configuration().databaseShare == 0.03)
    both.flags.databaseShare = "4%"
    #expect(try both.configuration().databaseShare == 0.04)
  }

  @Test(arguments: ["0", "0%", "-1%", "101%", "1.5", "much", "%", "nan"])
  func `what is no share is refused with its place`(text: String) throws {
    let problems = ConfigurationCase(file: "database_share: \"\(text)\"\n" + Self.outbox).problems()
    #expect(problems.count == 1 && problems[0].contains("outbox.yaml:1") && problems[0].contains("100%"), "\(problems)")
  }

  private static let outbox = "outboxes: [{dsn: \"sqlite:/data/a.db\", layout: shop}]\n"
}
