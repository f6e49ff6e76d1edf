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
/// processes and the commit are shared. One that fails, or would have to wait, is run by itself when the others are answered.
public struct Query {
    /// Nil where nothing can be run for others too.
    let statement: SQL?
    /// Whose rows it locks. Those who lock the same rows do it in the order of their owners, so that none wait for each other.
    let owner: ID?
    /// What it has in common with its repeats.
    let key: String?
    let answer: (Database) throws -> Response

    /// - Parameters:
    ///   - statement: run first by `answer`. It must bear being run in a transaction with those of others: what it locks is locked
    ///     until all are done. It counts on no `RateLimit`, which would be heard of as another's.
    ///   - owner: the user whose rows it locks, and it locks no others; nil where it locks none.
    ///   - once: by what its repeats are known.
    public init(
        _ statement: SQL, locking owner: ID? = nil, once: Once? = nil, answer: @escaping (Database) throws -> Response
    ) {
        (self.statement, self.owner, key, self.answer) = (statement, owner, once?.identity, answer)
    }

    /// What is not to be done together with anything.
    public init(alone answer: @escaping (Database) throws -> Response) {
        (statement, owner, key, self.answer) = (nil, nil, nil, answer)
    }
}
