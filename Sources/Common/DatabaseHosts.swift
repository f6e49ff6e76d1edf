import CPQ
import Glibc

/// The servers that a connection string names, directly, through the `PG…` variables or in a service file (libpq's
/// documentation, 34.1.1.3).
///
/// libpq tries them in turn too, but its non-blocking mode waits without limit for one that does not answer
/// (`connect_timeout` counts for `PQconnectdb` alone). So each server gets a connection attempt of its own, with a time limit.
struct DatabaseHosts {
    /// What was written in the connection string.
    private let given: [String: String]
    /// The same with what libpq adds to it.
    private let options: [String: String]
    /// The one that took the last connection, which is tried first.
    private var last: [String: String]?

    /// - Throws: `DatabaseError.unavailable` where libpq does not understand `conninfo`.
    init(_ conninfo: String) throws {
        var reason: UnsafeMutablePointer<CChar>?
        guard let parsed = PQconninfoParse(conninfo, &reason) else {
            defer { PQfreemem(reason) }
            throw DatabaseError.unavailable(reason.map { String(cString: $0) } ?? "out of memory")
        }
        defer { PQconninfoFree(parsed) }
        given = DatabaseHosts.values(parsed)
        // The defaults know of a service only by this variable.
        let variable = getenv("PGSERVICE").map { String(cString: $0) }
        if let service = given["service"] { setenv("PGSERVICE", service, 1) }
        let defaults = PQconndefaults()
        defer { PQconninfoFree(defaults) }
        if let variable { setenv("PGSERVICE", variable, 1) } else { unsetenv("PGSERVICE") }
        options = DatabaseHosts.values(defaults).merging(given) { $1 }
    }

    /// Connects to the first server that takes the connection. The servers share the time: one that does not answer leaves the
    /// others theirs, and what one does not need falls to the next.
    /// - Parameter deadline: monotonic milliseconds.
    /// - Throws: `DatabaseError.unavailable` with what each of them said.
    mutating func connect<Value>(
        until deadline: Int, _ attempt: (_ server: [String: String], _ deadline: Int) throws -> Value
    ) throws -> Value {
        var servers = self.servers
        if options["load_balance_hosts"] == "random" {
            servers.shuffle()
        } else if let last, let index = servers.firstIndex(of: last) {
            servers.swapAt(0, index)
        }
        var reasons: [String] = []
        for (index, server) in servers.enumerated() {
            let now = monotonicMilliseconds()
            do {
                let value = try attempt(server, now + (deadline - now) / (servers.count - index))
                last = server
                return value
            } catch DatabaseError.unavailable(let reason) {
                reasons.append(reason)
            }
        }
        throw DatabaseError.unavailable(reasons.joined(separator: "; "))
    }

    /// For each address of each host what is to be given to libpq.
    private var servers: [[String: String]] {
        var given = given
        given["target_session_attrs"] = options["target_session_attrs"]
        func list(_ name: String) -> [String] {
            (options[name] ?? "").split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        }
        let (hosts, addresses, ports) = (list("host"), list("hostaddr"), list("port"))
        let count = max(hosts.count, addresses.count)
        // libpq says what is wrong with lists that do not match.
        guard [1, count].contains(ports.count), hosts == [""] || hosts.count == count,
            addresses == [""] || addresses.count == count
        else { return [given] }
        return (0..<count).flatMap { index in
            var server = given
            if hosts.count == count { server["host"] = hosts[index] }
            if addresses.count == count { server["hostaddr"] = addresses[index] }
            server["port"] = ports[ports.count == 1 ? 0 : index]
            guard server["hostaddr"] ?? "" == "", let host = server["host"] else { return [server] }
            let found = DatabaseHosts.addresses(of: host)
            return found.isEmpty ? [server] : found.map { server.merging(["hostaddr": $0]) { $1 } }
        }
    }

    /// The addresses of a host; none of the folder of a Unix socket, and of a name that is unknown.
    private static func addresses(of host: String) -> [String] {
        guard !host.isEmpty, !host.hasPrefix("/"), !host.hasPrefix("@") else { return [] }
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var first: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, nil, &hints, &first) == 0 else { return [] }
        defer { freeaddrinfo(first) }
        return sequence(first: first, next: { $0?.pointee.ai_next }).compactMap { entry in
            guard let entry else { return nil }
            var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
            let failure = getnameinfo(
                entry.pointee.ai_addr, entry.pointee.ai_addrlen, &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST)
            guard failure == 0 else { return nil }
            return String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        }
    }

    private static func values(_ options: UnsafeMutablePointer<PQconninfoOption>?) -> [String: String] {
        var values: [String: String] = [:]
        guard var option = options else { return values }
        while let keyword = option.pointee.keyword {
            if let value = option.pointee.val { values[String(cString: keyword)] = String(cString: value) }
            option += 1
        }
        return values
    }
}
