import Foundation
import TestSupport
import Testing

@Suite(.threads)
struct SandboxTests {
    @Test
    func `Google's own client finds the protocol that it knows, on v1 and v1beta`() throws {
        let folder = try Folder()
        let gemini = try Gemini(folder: folder)
        let run = try Python.run(["\(projectFolder)/Tests/Python/sandbox_gemini.py", gemini.url])
        #expect(run.exit == .code(0), "\(run.output.suffix(500)) \(run.error.suffix(3_000))")
        let passed = run.output.split(separator: "\n").filter { $0.hasPrefix("ok ") }
        #expect(passed.contains { $0.contains("v1: ") } && passed.contains { $0.contains("v1beta: ") })
        #expect(!run.output.contains("FAILED"))
    }

    @Test
    func `Stripe's own package finds the API that it knows`() throws {
        let folder = try Folder()
        let stripe = try Sandbox("sandbox-stripe", ["--period", "600"], folder: folder)
        let run = try Python.run(["\(projectFolder)/Tests/Python/sandbox_stripe.py", stripe.url])
        #expect(run.exit == .code(0), "\(run.output.suffix(1_500)) \(run.error.suffix(3_000))")
        #expect(run.output.split(separator: "\n").count { $0.hasPrefix("ok ") } >= 12)
    }

    @Test
    func
        `Stripe's sandbox goes on from its file, begins anew without one, and ends with a line on one that it cannot read`()
        throws
    {
        let folder = try Folder()
        let file = "\(folder.path)/books.json"
        for count in 1...2 {
            let stripe = try Sandbox("sandbox-stripe", ["--state", file], folder: folder)
            let key = [("Authorization", "Bearer \(Shop.key)")]
            _ = try stripe.http("POST", "/v1/customers", headers: key)
            #expect(try stripe.http("GET", "/v1/customers", headers: key)["data"].list.count == count)
        }
        let broken = "\(folder.path)/broken.json"
        try Data("{\"customers\":".utf8).write(to: URL(filePath: broken))
        for (path, reason) in [(folder.path, "Is a directory"), ("\(file)/none", "Not a directory"), (broken, "JSON")] {
            let sandbox = try Executable("sandbox-stripe", ["--port", "0", "--state", path], folder: folder.path)
            #expect(try sandbox.wait() == .code(1))
            let lines = sandbox.error.split(separator: "\n")
            #expect(lines.count == 1 && lines[0].contains("cannot read the state in \(path): "), "\(lines)")
            #expect(lines.first?.contains(reason) == true, "\(lines)")
        }
    }
}
