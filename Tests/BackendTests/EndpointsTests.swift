import Foundation
import TestSupport
import Testing

/// One name everywhere: whoever adds an endpoint is told here what was forgotten.
struct EndpointsTests {
    @Test
    func `Each endpoint has its folder, its line in Package swift, its route and its tests`() throws {
        let folders = try names("Sources/handlers").filter { !$0.hasPrefix(".") }
        #expect(folders.count >= 12)
        #expect(try listed() == folders)
        #expect(try routed() == folders)
        let tests = try names("Tests/BackendTests/handlers")
        #expect(tests == Set(folders.map { "\(typeName($0))Tests.swift" }))
    }

    private func names(_ folder: String) throws -> Set<String> {
        Set(try FileManager.default.contentsOfDirectory(atPath: "\(projectFolder)/\(folder)"))
    }

    private func listed() throws -> Set<String> {
        let text = try String(contentsOfFile: "\(projectFolder)/Package.swift", encoding: .utf8)
        let list = try #require(text.firstMatch(of: /let endpoints = \[(?<names>[^\]]*)\]/)).output.names
        return Set(list.matches(of: /"([a-z-]+)"/).map { String($0.output.1) })
    }

    private func routed() throws -> Set<String> {
        let text = try String(contentsOfFile: "\(projectFolder)/nginx/routes.conf", encoding: .utf8)
        return Set(text.matches(of: /(?m)^"[^"]*" +([a-z-]+);/).map { String($0.output.1) })
    }

    /// `send-otp` is `SendOTP`.
    private func typeName(_ endpoint: String) -> String {
        endpoint.split(separator: "-").map { ["otp", "jwks"].contains($0) ? $0.uppercased() : $0.capitalized }.joined()
    }
}
