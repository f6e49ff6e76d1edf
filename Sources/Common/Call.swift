/// A call of an endpoint's function (schema `api`) with its arguments.
///
/// The first column of what it gives is the `verdict`: NULL where all was done, `replayed` where it had been done before, or the word
/// of a problem (`Problem.of`).
///
///     let user: JSONAnswer = try database.call("get_me", caller)
public struct Call: Sendable {
    let statement: SQL

    /// - Parameter function: its name, without the schema.
    public init(_ function: StaticString, _ arguments: (any SQLValue)?...) { self.init(function, arguments) }

    /// - Parameter start: what the statement has before the function's name.
    init(_ function: StaticString, _ arguments: [(any SQLValue)?], after start: SQL = "select * from api.") {
        var sql = start
        sql.append(function)
        sql.append("(")
        for (index, argument) in arguments.enumerated() {
            if index > 0 { sql.append(", ") }
            sql.append(parameter: argument?.sqlText)
        }
        sql.append(")")
        statement = sql
    }
}

/// What a function gave instead of what was asked: a word for it, and whatever else is in its row.
public struct Refusal: Error {
    public let word: String
    let row: RowDecoder

    /// The row, as far as it is of interest beside the word.
    public func details<Details: Decodable>(_ type: Details.Type = Details.self) throws -> Details {
        try Details(from: row)
    }
}

/// What most functions give: an answer's JSON, and how the limit stands that the request was counted on.
public struct JSONAnswer: Decodable, Sendable {
    public let verdict: String?
    public let json: String
    public let standing: Standing?
}

/// What those give that have nothing to say.
public struct Done: Decodable, Sendable {
    public let standing: Standing?
}

extension Database {
    /// The row that a function gives; throws its `Refusal`.
    public func call<Row: Decodable>(_ function: StaticString, _ arguments: (any SQLValue)?...) throws -> Row {
        try run(Call(function, arguments).statement).given()
    }

    /// The same for a call that is made already.
    public func call<Row: Decodable>(_ call: Call) throws -> Row { try run(call.statement).given() }

    /// What came of each thing that a function did, in its rows.
    public func callEach<Row: Decodable>(
        _ function: StaticString, _ arguments: (any SQLValue)?...
    ) throws -> [Swift.Result<Row, any Error>] {
        let result = try run(Call(function, arguments).statement)
        return (0..<result.count).map { row in Swift.Result { try result.given(row: row) } }
    }

    /// The texts that a function of SQL's gives, a few at a time, as `body` takes them: Postgres makes no more of them before. In a
    /// transaction.
    public func callInPieces(
        _ function: StaticString, _ arguments: (any SQLValue)?..., body: ([String]) throws -> Void
    ) throws {
        // In the list of a select, not after its from, where Postgres would have all rows made first.
        let call = Call(function, arguments, after: "declare pieces no scroll cursor for select api.")
        try execute(call.statement)
        while true {
            let piece = try rows(String.self, "fetch 32 from pieces")
            if piece.isEmpty { break }
            try body(piece)
        }
    }

    /// All rows that a function gives.
    public func callAll<Row: Decodable>(_ function: StaticString, _ arguments: (any SQLValue)?...) throws -> [Row] {
        try run(Call(function, arguments).statement).allGiven()
    }
}

extension Result {
    /// The row of a function that gives one; its refusal is thrown.
    func given<Row: Decodable>(row: Int32 = 0) throws -> Row {
        guard row < count else { throw DatabaseError.mismatch("a function gave no row") }
        let decoder = RowDecoder(result: self, row: row)
        if columns.first == "verdict", let verdict = bytes(row: row, column: 0) {
            let word = String(decoding: verdict, as: UTF8.self)
            if word != "replayed" { throw Refusal(word: word, row: decoder) }
        }
        return try Row(from: decoder)
    }

    /// The rows of a function that gives any number.
    func allGiven<Row: Decodable>() throws -> [Row] { try (0..<count).map { try given(row: $0) } }
}

extension Response {
    /// What a function gave as JSON.
    public static func json(_ answer: JSONAnswer, status: Int = 200, headers: [(String, String)] = []) -> Response {
        .json(
            answer.json, status: status,
            headers: headers + replayHeaders(answer.verdict) + Standing.headers(answer.standing))
    }

    /// Nothing to say.
    public static func done(_ done: Done) -> Response {
        Response(status: 204, headers: Standing.headers(done.standing))
    }

    /// Of an answer that was given before.
    public static func replayHeaders(_ verdict: String?) -> [(String, String)] {
        verdict == "replayed" ? [("Idempotent-Replay", "true")] : []
    }
}
