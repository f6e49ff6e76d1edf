/// What an endpoint does about a request: the statement that it begins with, and the answer that it makes of what comes.
///
///     serve { request in
///         let caller = try request.caller()
///         let user: SQL = "with caller as (\(caller.live)) select …"
///         return Query(user) { database in .json(try database.answer(user)) }
///     }
///
/// Where several requests wait for one process, their statements are run together, in one round trip and one transaction, and each
/// finds what came for its own when it runs it. The more there is to do, the less each costs: the wake-ups, the switches between
/// processes and the commit are shared. If one fails, all are run again, each by itself.
public struct Query {
    /// Nil where nothing can be run for others too.
    let statement: SQL?
    /// Whose rows it locks. Those who lock the same rows do it in the order of their owners, so that none wait for each other.
    let owner: ID?
    let answer: (Database) throws -> Response

    /// - Parameters:
    ///   - statement: run first by `answer`. It must bear being run in a transaction with those of others: what it waits for is waited
    ///     for by all, and what it locks is locked until all are done.
    ///   - owner: the user whose rows it locks, and it locks no others; nil where it locks none.
    public init(_ statement: SQL, locking owner: ID? = nil, answer: @escaping (Database) throws -> Response) {
        (self.statement, self.owner, self.answer) = (statement, owner, answer)
    }

    /// What is not to be done together with anything.
    public init(alone answer: @escaping (Database) throws -> Response) {
        (statement, owner, self.answer) = (nil, nil, answer)
    }
}
