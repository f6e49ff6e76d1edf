import Common
import Foundation
import TestSupport
import Testing

/// Connection strings of several hosts, the first of which takes connections and never answers.
@Suite(.threads)
struct DatabaseHostsTests {
    let test: TestDatabase
    let folder: Folder
    let silent: Listener
    let silentPort: Relay
    let port: Relay

    init() throws {
        test = try Postgres.shared().createDatabase(isEmpty: true)
        folder = try Folder()
        silent = try Listener(path: "\(folder.path)/.s.PGSQL.5432")
        silentPort = try Relay(to: nil)
        port = try Relay(to: test.postgres)
    }

    @Test(arguments: ["any", "read-write", "primary", "prefer-standby"])
    func `A host that does not answer leaves the next one time, in every form of the address`(target: String) throws {
        let (sockets, name) = (test.postgres.sockets, test.name)
        let hosts = "\(folder.path),\(sockets)"
        let encoded = hosts.replacingOccurrences(of: "/", with: "%2F")
        let ports = "\(silentPort.port),\(port.port)"
        let services = "\(folder.path)/services"
        try "[chat]\nhost=\(hosts)\nport=5432,5432\ndbname=\(name)\nuser=postgres\n".write(
            toFile: services, atomically: true, encoding: .utf8)
        let forms: [(String, [String: String])] = [
            ("postgresql://postgres@\(encoded)/\(name)?target_session_attrs=\(target)", [:]),
            ("postgresql://postgres@/\(name)?host=\(hosts)&target_session_attrs=\(target)", [:]),
            (
                "postgres://postgres@127.0.0.1:\(silentPort.port),localhost:\(port.port)/\(name)"
                    + "?target_session_attrs=\(target)", [:]
            ),
            ("host=\(hosts) port=5432 user=postgres dbname=\(name) target_session_attrs=\(target)", [:]),
            (
                "host='\(hosts)' port=5432,5432 user=postgres dbname=\(name) connect_timeout=2",
                ["PGTARGETSESSIONATTRS": target]
            ),
            ("host=localhost,localhost port=\(ports) user=postgres dbname=\(name)", ["PGTARGETSESSIONATTRS": target]),
            (
                "hostaddr=127.0.0.1,127.0.0.1 port=\(ports) user=postgres dbname=\(name) target_session_attrs=\(target)",
                [:]
            ),
            (
                "host=a.example,b.example hostaddr=127.0.0.1,127.0.0.1 port=\(ports) user=postgres dbname=\(name)",
                ["PGTARGETSESSIONATTRS": target]
            ),
            ("service=chat target_session_attrs=\(target)", ["PGSERVICEFILE": services]),
            ("", ["PGSERVICE": "chat", "PGSERVICEFILE": services, "PGTARGETSESSIONATTRS": target]),
            ("", ["PGHOST": hosts, "PGDATABASE": name, "PGUSER": "postgres", "PGTARGETSESSIONATTRS": target]),
        ]
        for (address, variables) in forms {
            let settings = ["DATABASE_URL": address, "CONNECT_TIMEOUT_MS": "6000"].merging(variables) { $1 }
            let backend = try Backend(settings, database: test)
            // The database is an empty one: the schema is missing, but it was reached.
            try eventually("\(address) \(variables)", within: 30) {
                try backend.call("ready").json["missing"] == ["schema", "worker"]
            }
        }
    }

    @Test
    func `Hosts that do not answer take no more than the time for one`() throws {
        let address = "host=\(folder.path),\(folder.path),\(folder.path) user=postgres dbname=\(test.name)"
        let least = try quickest(below: 1.5) {
            try seconds {
                let database = Database(address, prepares: true, timeout: 5_000, connectTimeout: 900)
                #expect(throws: DatabaseError.self) { try database.row(Int.self, "select 1") }
            }
        }
        #expect(least < 1.5)
    }

    @Test
    func `What libpq does not understand is logged as libpq says it`() throws {
        for (address, reason) in [
            ("host=a,b port=1,2,3", "port"), ("service=none", "none"), ("nonsense", "nonsense"),
            ("host=a hostaddr=127.0.0.1,127.0.0.2", "host"), ("host=a frobnicate=1", "frobnicate"),
        ] {
            let backend = try Backend(["DATABASE_URL": address], database: test)
            #expect(try backend.call("ready").json["missing"] == ["database"])
            #expect(try backend.endpoint("ready").processes[0].error.contains(reason), "\(address)")
        }
    }
}
