import Common

extension TestDatabase {
    /// The tables of the schema, or those that have this column.
    public func tables(with column: String? = nil) throws -> [String] {
        try connect().rows(
            String.self,
            """
            select t.table_name from information_schema.tables t
            where t.table_schema = 'public' and t.table_type = 'BASE TABLE' and (\(column)::text is null or exists (
                select from information_schema.columns c
                where c.table_schema = 'public' and c.table_name = t.table_name and c.column_name = \(column)
            ))
            order by 1
            """)
    }

    /// Every row of every table, as text that begins with the table's name.
    public func dump() throws -> [String] {
        let database = connect()
        return try tables().flatMap { table in
            try database.rows(String.self, SQL(made: "select '\(table) ' || t::text from \"\(table)\" t"))
        }
    }
}
