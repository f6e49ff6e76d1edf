import Common
import TestSupport
import Testing

/// Whose address counts where proxies pass requests on.
@Suite(.threads)
struct TrustedProxiesTests {
    private static let trusted = "127.0.0.1, 10.0.0.0/8,2001:db8:1::/48"

    /// From where a request came, as the handler sees it.
    private func address(_ backend: Backend, from peer: String, forwardedFor header: String?) throws -> String? {
        let answer = try backend.call(
            "login", path: ["REMOTE_ADDR": peer],
            body: ["mobile": .string(Backend.mobile()), "password": "wrong horse"],
            headers: header.map { ["X-Forwarded-For": $0] } ?? [:])
        expectProblem(answer, 401, "credentials_invalid")
        return try backend.database.connect().row(
            String.self, "with event as (delete from unowned_events returning ip) select host(ip) from event")
    }

    @Test
    func `The header of trusted proxies is read from the right, past those that are trusted`() throws {
        let backend = try Backend(["TRUSTED_PROXIES": TrustedProxiesTests.trusted])
        for (peer, header, expected) in [
            ("127.0.0.1", nil, "127.0.0.1"),
            ("127.0.0.1", "203.0.113.7", "203.0.113.7"),
            // What stands left of it the client may have written.
            ("127.0.0.1", "198.51.100.9, 203.0.113.7,10.1.2.3", "203.0.113.7"),
            ("127.0.0.1", "127.0.0.1, 203.0.113.7", "203.0.113.7"),
            // Nobody who is not trusted is believed.
            ("203.0.113.50", "198.51.100.9", "203.0.113.50"),
            ("::1", "198.51.100.9", "::1"),
            ("11.0.0.1", "198.51.100.9", "11.0.0.1"),
            // All of them are trusted.
            ("10.9.9.9", "10.1.1.1, 10.2.2.2", "10.1.1.1"),
            ("2001:db8:1:ffff::5", "2001:db8:2::1", "2001:db8:2::1"),
            ("2001:db8:2::1", "198.51.100.9", "2001:db8:2::1"),
            ("::ffff:10.0.0.1", "203.0.113.7:4711", "203.0.113.7"),
            ("127.0.0.1", "[2001:db8:2::1]:443", "2001:db8:2::1"),
            ("127.0.0.1", "unknown", "127.0.0.1"),
            ("127.0.0.1", "198.51.100.9, nobody, 10.1.1.1", "10.1.1.1"),
            ("127.0.0.1", "", "127.0.0.1"),
        ] as [(String, String?, String)] {
            #expect(
                try address(backend, from: peer, forwardedFor: header) == expected, "\(peer) \(header ?? "none")")
        }
    }

    @Test
    func `Where none is trusted the header is nothing`() throws {
        #expect(try address(Backend(), from: "127.0.0.1", forwardedFor: "203.0.113.7") == "127.0.0.1")
    }

    @Test
    func `Limits by address are the client's behind a proxy`() throws {
        let backend = try Backend(["TRUSTED_PROXIES": "127.0.0.1", "OTP_PER_ADDRESS_HOUR": "1"])
        func send(for client: String) throws -> Int {
            try backend.call(
                "send-otp", body: ["mobile": .string(Backend.mobile())], headers: ["X-Forwarded-For": client]
            ).status
        }
        #expect(try ["203.0.113.7", "203.0.113.7", "203.0.113.8"].map(send) == [200, 429, 200])
    }

    @Test
    func `A proxy that is trusted is told no figures, as plain CGI neither`() throws {
        let backend = try Backend(["TRUSTED_PROXIES": "127.0.0.1,10.0.0.0/8"])
        for header in ["127.0.0.1", "203.0.113.7", "::1"] {
            let answer = try backend.call("metrics", headers: ["X-Forwarded-For": header])
            expectProblem(answer, 404, "not_found", header)
            let process = try Executable(
                "metrics",
                environment: backend.settings.merging(Backend.parameters(headers: ["X-Forwarded-For": header])) { $1 },
                folder: backend.folder.path)
            #expect(try process.wait() == .code(0))
            #expect(process.output.hasPrefix("Status: 404 "), "\(process.output)")
        }
        #expect(try backend.call("metrics").status == 200)
    }

    @Test(arguments: ["localhost", "10.0.0.0/33", "10.0.0.0/", "10.0.0", "::/129", "10.0.0.1;evil", "10.0.0.0/8/8"])
    func `A list that is none ends the process`(list: String) throws {
        let backend = try Backend(["TRUSTED_PROXIES": list])
        let process = try backend.endpoint("login").processes[0]
        #expect(try process.wait() == .code(78))
        #expect(process.error.contains("TRUSTED_PROXIES"))
    }
}
