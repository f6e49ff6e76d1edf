import CPQ

/// What a statement gave: owns the `PGresult`, or is a part of one that does.
final class Result {
    let pointer: OpaquePointer
    private let whole: Result?
    private let rows: Range<Int32>
    /// The names of the columns, in their order.
    private(set) lazy var columns: [String] = (0..<PQnfields(pointer)).map { column in
        PQfname(pointer, column).map { String(cString: $0) } ?? ""
    }

    init(pointer: OpaquePointer, columns: [String]?) {
        self.pointer = pointer
        whole = nil
        rows = 0..<PQntuples(pointer)
        if let columns { self.columns = columns }
    }

    private init(of whole: Result, _ rows: Range<Int32>) {
        pointer = whole.pointer
        self.whole = whole
        self.rows = rows
        columns = whole.columns
    }

    /// What is whose, where several statements were merged: the row of each, if it has one.
    func split(into count: Int) -> [Result] {
        var parts = [Result](repeating: Result(of: self, 0..<0), count: count)
        guard let column = column("number") else { return parts }
        for row in rows {
            let number = bytes(row: row, column: column).flatMap { Int(String(decoding: $0, as: UTF8.self)) }
            if let number, parts.indices.contains(number - 1) { parts[number - 1] = Result(of: self, row..<row + 1) }
        }
        return parts
    }

    /// The number of a column: of the few that there are, it is found faster by looking than by hashing.
    func column(_ name: String) -> Int32? { columns.firstIndex(of: name).map { Int32($0) } }

    /// How many rows there are.
    var count: Int32 { Int32(rows.count) }

    deinit { if whole == nil { PQclear(pointer) } }

    var hasFailed: Bool {
        let status = PQresultStatus(pointer)
        return status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK
    }

    var error: DatabaseError {
        func field(_ code: Character) -> String? {
            code.asciiValue.flatMap { PQresultErrorField(pointer, Int32($0)) }.map { String(cString: $0) }
        }
        // PG_DIAG_SQLSTATE, PG_DIAG_CONSTRAINT_NAME
        return .refused(
            sqlState: field("C") ?? "", constraint: field("n"), message: String(cString: PQresultErrorMessage(pointer)))
    }

    func isNull(row: Int32, column: Int32) -> Bool { PQgetisnull(pointer, rows.lowerBound + row, column) == 1 }

    /// A value's bytes, or nil for NULL. They live as long as the result.
    func bytes(row: Int32, column: Int32) -> UnsafeBufferPointer<UInt8>? {
        let row = rows.lowerBound + row
        guard PQgetisnull(pointer, row, column) == 0, let value = PQgetvalue(pointer, row, column) else { return nil }
        let count = Int(PQgetlength(pointer, row, column))
        return UnsafeBufferPointer(start: UnsafeRawPointer(value).assumingMemoryBound(to: UInt8.self), count: count)
    }
}
