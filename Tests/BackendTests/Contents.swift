import Common
import Testing

/// The rows of all tables, each as how many there are and what is in them.
struct Contents {
    /// By their tables. What a later migration adds is not looked at.
    let columns: [String: [String]]

    private struct Column: Decodable {
        let table: String
        let name: String
    }

    init(_ database: Database) throws {
        let all = try database.rows(
            Column.self,
            """
            select c.table_name as table, c.column_name as name from information_schema.columns c
            join information_schema.tables t using (table_schema, table_name)
            where table_schema = 'public' and t.table_type = 'BASE TABLE' and table_name <> 'migrations'
            order by c.ordinal_position
            """)
        columns = Dictionary(grouping: all, by: \.table).mapValues { $0.map(\.name) }
    }

    func digests(in database: Database) throws -> [String: String] {
        try Dictionary(uniqueKeysWithValues: columns.keys.map { ($0, try digest(of: $0, in: database)) })
    }

    /// The sum of its rows' hashes, which does not depend on their order.
    private func digest(of table: String, in database: Database) throws -> String {
        let names = (columns[table] ?? []).map { "\"\($0)\"" }.joined(separator: ", ")
        let statement = """
            select count(*) || ' ' || coalesce(sum(hashtextextended(row(\(names))::text, 0)::numeric), 0) from "\(table)"
            """
        return try database.row(String.self, SQL(made: statement)) ?? ""
    }

    /// Shows that a row that is lost from any table would be noticed, and a character that is changed: undoes it each time.
    func noticeEverything(in database: Database) throws {
        func notice(_ change: String, in table: String) throws {
            let whole = try digest(of: table, in: database)
            #expect(!whole.hasPrefix("0 "), "\(table) is empty")
            // Without triggers and foreign keys, so that the one row is all.
            try database.script(
                """
                begin; set local session_replication_role = replica;
                \(change) where ctid = (select ctid from "\(table)" limit 1)
                """)
            #expect(try digest(of: table, in: database) != whole, "\(change) goes unnoticed")
            try database.script("rollback")
            #expect(try digest(of: table, in: database) == whole)
        }
        for table in columns.keys { try notice("delete from \"\(table)\"", in: table) }
        try notice("update messages set content = content || '.'", in: "messages")
    }
}
