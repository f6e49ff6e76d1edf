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
}
