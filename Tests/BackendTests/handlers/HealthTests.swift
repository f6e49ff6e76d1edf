import TestSupport
import Testing

@Suite(.threads)
struct HealthTests {
    @Test
    func `The process answers`() throws {
        let answer = try Backend().call("health")
        #expect(answer.status == 200)
        #expect(answer.json == ["status": "ok"])
    }

    @Test
    func `It answers without Postgres too`() throws {
        let backend = try Backend(["DATABASE_URL": "postgresql:///x?host=/nonexistent"])
        #expect(try backend.call("health").status == 200)
    }
}
