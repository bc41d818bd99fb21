import PostgreSQLClient
import Testing

@Suite struct `The place of a database` {
  private func place(_ conninfo: String, _ environment: [String: String] = [:]) -> String {
    ConnectionString.place(conninfo, environment: environment)
  }

  @Test(arguments: [
    "postgresql://shop:hunter2@db:5433/orders", "host=db port=5433 dbname=orders password=hunter2 user=other",
    "dbname='postgresql://shop:hunter2@db:5433/orders'",
  ])
  func `is the same however it is written, and holds neither user nor password`(conninfo: String) {
    let place = place(conninfo)
    #expect(!place.contains("hunter2") && !place.contains("shop") && !place.contains("other"))
    #expect(
      [("host", "db"), ("port", "5433"), ("dbname", "orders")].allSatisfy { place.contains("\($0)=\($1)") }, "\(place)")
  }

  @Test func `differs where server, database or schema differ`() {
    let places = [
      place("postgresql://db/orders"), place("postgresql://db2/orders"), place("postgresql://db/mails"),
      place("postgresql://db:5433/orders"), place("orders"), place("service=orders"),
      place("postgresql://db/orders?options=-csearch_path%3Dshop"), place("postgresql://"),
      place("postgresql://", ["PGHOST": "db"]), place("postgresql://", ["PGDATABASE": "mails"]),
      place("postgresql://", ["PGSERVICE": "x"]),
    ]
    #expect(Set(places).count == places.count)
    #expect(place("postgresql://db/orders", ["PGDATABASE": "mails", "PGHOST": "x"]) == places[0])
  }
}
