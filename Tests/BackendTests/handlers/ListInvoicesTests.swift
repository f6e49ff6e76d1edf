import Common
import TestSupport
import Testing

@Suite(.threads)
struct ListInvoicesTests {
    @Test
    func `What was paid is listed, the newest first`() throws {
        let shop = try Shop(hears: false)
        let person = try shop.backend.signIn()
        let id = try shop.buy(person)
        try shop.control("subscriptions/\(id)", ["renew": "1"])
        let answer = try shop.backend.call("list-invoices", token: person.token)
        #expect(answer.status == 200 && answer.header("X-Cache") == "miss", "\(answer.text)")
        let invoices = answer.json["invoices"].list
        #expect(invoices.count == 2)
        #expect(invoices[0].names == ["id", "number", "status", "amount", "currency", "created_at", "hosted_url"])
        #expect(invoices[0]["amount"] == 900 && invoices[0]["currency"] == "usd" && invoices[0]["status"] == "paid")
        #expect(invoices[0]["number"] == "SANDBOX-0002" && invoices[1]["number"] == "SANDBOX-0001")
        #expect(invoices[0]["created_at"].text?.hasPrefix("20") == true)
        #expect(invoices[0]["hosted_url"].text?.hasPrefix("http") == true)
    }

    @Test
    func `They are kept for a while, and forgotten when there is news`() throws {
        let shop = try Shop()
        let worker = try shop.backend.worker()
        let (person, other) = (try shop.backend.signIn(), try shop.backend.signIn())
        let id = try shop.buy(person)
        try eventually("Pro") { try shop.tier(person) == "pro" }
        try eventually("no job") { try shop.database.row(Int.self, "select count(*) from jobs") == 0 }
        let first = try shop.backend.call("list-invoices", token: person.token)
        let second = try shop.backend.call("list-invoices", token: person.token)
        #expect(second.header("X-Cache") == "hit" && second.text == first.text)
        #expect(try shop.calls("GET", "/v1/invoices") == 1)
        #expect(try shop.backend.call("list-invoices", token: other.token).json["invoices"] == [])
        try shop.control("subscriptions/\(id)", ["renew": "1"])
        try eventually("the second invoice") {
            try shop.backend.call("list-invoices", token: person.token).json["invoices"].list.count == 2
        }
        withExtendedLifetime(worker) {}
    }

    @Test
    func `While Stripe is away it is 503, and what is kept is given all the same`() throws {
        let shop = try Shop(hears: false)
        let person = try shop.backend.signIn()
        try shop.buy(person)
        try shop.control("faults", ["kind": "error"])
        expectProblem(try shop.backend.call("list-invoices", token: person.token), 503, "stripe_unavailable")
        #expect(try shop.backend.call("list-invoices", token: person.token).status == 200)
        try shop.control("faults", ["kind": "down", "times": "50"])
        #expect(try shop.backend.call("list-invoices", token: person.token).status == 200)
    }
}
