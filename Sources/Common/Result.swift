import CPQ

/// What a statement gave: owns the `PGresult`.
final class Result {
    let pointer: OpaquePointer
    /// The names of the columns, in their order.
    private(set) lazy var columns: [String] = (0..<PQnfields(pointer)).map { column in
        PQfname(pointer, column).map { String(cString: $0) } ?? ""
    }

    init(pointer: OpaquePointer, columns: [String]?) {
        self.pointer = pointer
        if let columns { self.columns = columns }
    }

    /// The number of a column: of the few that there are, it is found faster by looking than by hashing.
    func column(_ name: String) -> Int32? { columns.firstIndex(of: name).map { Int32($0) } }

    /// How many rows there are.
    var count: Int32 { PQntuples(pointer) }

    deinit { PQclear(pointer) }

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

    func isNull(row: Int32, column: Int32) -> Bool { PQgetisnull(pointer, row, column) == 1 }

    /// A value's bytes, or nil for NULL. They live as long as the result.
    func bytes(row: Int32, column: Int32) -> UnsafeBufferPointer<UInt8>? {
        guard PQgetisnull(pointer, row, column) == 0, let value = PQgetvalue(pointer, row, column) else { return nil }
        let count = Int(PQgetlength(pointer, row, column))
        return UnsafeBufferPointer(start: UnsafeRawPointer(value).assumingMemoryBound(to: UInt8.self), count: count)
    }
}
