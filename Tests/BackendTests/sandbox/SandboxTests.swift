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
}
