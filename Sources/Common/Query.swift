/// What an endpoint that only reads asks about a request, and the answer that it makes of what comes.
///
///     serve { request in
///         Query(Call("get_me", try request.caller())) { (user: JSONAnswer) in .json(user) }
///     }
///
/// Where several requests wait for one process, their calls go in one round trip (libpq's pipeline mode): the wake-ups and the
/// switches between processes, and the transaction, are shared, and each request gets what came for it. If one fails, each is asked by itself.
public struct Query {
    let call: Call
    let answer: (Result, Database) throws -> Response

    /// - Parameter answer: may ask more.
    public init<Row: Decodable>(_ call: Call, _ answer: @escaping (Row, Database) throws -> Response) {
        self.call = call
        self.answer = { result, database in try answer(try result.given(), database) }
    }

    /// The same for a call that gives any number of rows.
    public init<Row: Decodable>(all call: Call, _ answer: @escaping ([Row]) throws -> Response) {
        self.call = call
        self.answer = { result, _ in try answer(try result.allGiven()) }
    }

    /// The same, where the call is all that is asked.
    public init<Row: Decodable>(_ call: Call, _ answer: @escaping (Row) throws -> Response) {
        self.init(call) { (row: Row, _) in try answer(row) }
    }

    /// The answers to several requests, of each what `handler` asks about it.
    static func answers(
        to requests: [Request], from database: Database, _ handler: (Request) throws -> Query
    ) -> [Swift.Result<Response, any Error>] {
        let queries = requests.map { request in Swift.Result { try handler(request) } }
        var results = database.results(of: queries.compactMap { try? $0.get().call })[...]
        return queries.map { query in
            Swift.Result {
                let query = try query.get()
                let result = results.popFirst() ?? nil
                return try query.answer(try result?.get() ?? database.run(query.call.statement), database)
            }
        }
    }
}
