import Outbox
import Testing

@testable import Configuration

struct DSNTests {
  @Test(arguments: [
    ("sqlite:outbox.sqlite", StoreAddress.sqlite(path: "outbox.sqlite")),
    ("sqlite:/var/lib/app/*.db", .sqlite(path: "/var/lib/app/*.db")),
    ("sqlite:~/app/outbox.db", .sqlite(path: "/home/me/app/outbox.db")),
    ("SQLite:a b.db", .sqlite(path: "a b.db")),
    ("files:/srv/queue", .files(path: "/srv/queue")),
    ("files:~", .files(path: "/home/me")),
    ("postgres://u:p@h/db?sslmode=require", .postgresql(Secret("postgres://u:p@h/db?sslmode=require"))),
    ("postgresql:///db?host=/run/postgresql", .postgresql(Secret("postgresql:///db?host=/run/postgresql"))),
    ("host=h dbname=db", .postgresql(Secret("host=h dbname=db"))),
    ("service=shop", .postgresql(Secret("service=shop"))),
    ("host = h options='-c a=b:c'", .postgresql(Secret("host = h options='-c a=b:c'"))),
  ])
  func `a DSN names an address`(text: String, address: StoreAddress) throws {
    #expect(try DSN.parse(text, home: "/home/me") == address)
  }

  @Test(arguments: [
    ("mysql://root:hunter2@h/db", "`mysql:` is not supported", "postgresql://"),
    ("postgressql://u:hunter2@h/db", "unknown scheme", "did you mean `postgresql:`?"),
    ("postgresql+psycopg2://u:hunter2@h/db", "names a driver", "postgresql://"),
    ("jdbc:postgresql://h/db?password=hunter2", "`jdbc:` is not understood", "leave `jdbc:` away"),
    ("user:hunter2@h/db", "unknown scheme", "postgresql://"),
    ("/var/lib/outbox.sqlite", "a bare path", "sqlite:PATH"),
    ("outbox.DB", "a bare path", "sqlite:PATH"),
    ("/var/spool/queue", "a bare path", "files:DIR"),
    ("sqlite:///var/lib/outbox.db", "`sqlite://` is not understood", "without slashes"),
    ("sqlite:", "no path", "sqlite:PATH"),
    ("sqlite::memory:", "in memory", "name its file"),
    ("file:outbox.db", "`file:` is not understood", "sqlite:PATH"),
    ("files:~root/queue", "`~name`", "only `~/`"),
    ("hunter2", "not a DSN", "sqlite:PATH"),
    ("", "not a DSN", "sqlite:PATH"),
  ])
  func `a text that is no DSN is explained and not repeated`(text: String, message: String, hint: String) {
    let problem = #expect(throws: DSN.Problem.self) { try DSN.parse(text, home: nil) }
    #expect(problem?.message.contains(message) == true)
    #expect(problem?.hint?.contains(hint) == true)
    #expect(problem.map { "\($0)".contains("hunter2") } == false)
  }

  @Test func `a path in a home that nobody named is an error`() {
    let problem = #expect(throws: DSN.Problem.self) { try DSN.parse("sqlite:~/a.db", home: nil) }
    #expect(problem?.message.contains("HOME") == true)
  }

  @Test(arguments: [
    "postgres://u:p@h/db", "postgresql://u:p%40ss@h", "postgresql://u:p/w@h/db", "postgresql://u:p@ss@h/db",
    "postgresql://h/db?password=p", "postgresql://h/db?sslmode=require&sslpassword=p", "postgresql://h/db?%70assword=p",
    "host=h password=p", "host=h password = 'p q'", "PASSWORD=p", "host=h sslpassword=p", "host=h scram_client_key=p",
    "host=h dbname='postgresql://u:p@h/db'", "dbname='host=h password=p'", "postgresql://h/?dbname=password%3Dp",
    "host='h password=p", "mysql://u:p@h/db", "user='a\\'b' password=p",
  ])
  func `a password is found wherever libpq takes one`(text: String) {
    #expect(DSN.holdsPassword(text))
  }

  @Test(arguments: [
    "postgres://u@h:5432/db", "postgresql://u:@h/db", "postgresql://h1:1,h2:2/db?target_session_attrs=any",
    "postgresql:///db?host=/run/postgresql&user=a", "host=h passfile=/run/pass", "host=h sslkey=/run/key",
    "password=''",
    "sqlite:password=.db", "files:/srv/a@b", "user='password' host=h", "service=shop",
  ])
  func `a DSN without a password is let through`(text: String) {
    #expect(!DSN.holdsPassword(text))
  }
}
