import Common
import Foundation
import TestSupport
import Testing

@Suite(.threads)
struct EndedConnectionTests {
    @Test
    func `A connection that the server has said to end is not used again, though it is not closed yet`() throws {
        let test = try Postgres.shared().createDatabase(isEmpty: true)
        let relay = try Relay(to: test)
        let database = Database(relay.url, prepares: true, timeout: 30_000)
        let pid = try #require(try database.row(Int.self, "select pg_backend_pid()"))
        try test.connect().execute("select pg_terminate_backend(\(pid)::int)")
        try eventually("its last words") { relay.ended == 1 }
        // A connection that was in use a moment ago is not looked at before its next use.
        usleep(100_000)
        let next = try #require(try database.row(Int.self, "select pg_backend_pid()"))
        #expect(next != pid && relay.ended == 1)
    }
}

/// Stands between a client and Postgres, hands on what either says, and keeps from the client that Postgres has hung up.
private final class Relay: Sendable {
    let url: String
    private let folder: Folder
    private let listener: Listener
    private let counter = Counter()
    /// How many connections Postgres has ended; all that it said on them has been handed on.
    var ended: Int { counter.count }

    init(to test: TestDatabase) throws {
        folder = try Folder()
        url = "postgresql://postgres@/\(test.name)?host=\(folder.path)"
        listener = try Listener(path: "\(folder.path)/.s.PGSQL.5432")
        let (path, counter) = ("\(test.postgres.sockets)/.s.PGSQL.5432", counter)
        // The thread keeps the listener: the number of its descriptor may not become another's before.
        Thread.detachNewThread { [listener] in
            while true {
                let client = accept(listener.descriptor, nil, nil)
                guard client >= 0, let server = try? FastCGI(path) else { return }
                Thread.detachNewThread {
                    while let bytes = try? server.receive(seconds: 600) {
                        _ = send(client, bytes, bytes.count, Int32(MSG_NOSIGNAL))
                    }
                    _ = counter.next()
                }
                Thread.detachNewThread {
                    var buffer = [UInt8](repeating: 0, count: 65_536)
                    while true {
                        let count = read(client, &buffer, buffer.count)
                        // Said to nobody, it gets no answer.
                        guard count > 0, server.send(Array(buffer.prefix(count))) == count else { break }
                    }
                    server.hangUp()
                    close(client)
                }
            }
        }
    }

    deinit { shutdown(listener.descriptor, Int32(SHUT_RDWR)) }
}
