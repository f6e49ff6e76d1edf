/// What a PATCH says of a member: nothing, or its new value, which may be null.
public struct Change<Value: Decodable & SQLValue> {
    public let isNamed: Bool
    /// Nil where it is not named, too.
    public let value: Value?

    /// The new value, or what there was where it is not named.
    public func or(_ old: SQL) -> SQL { "case when \(isNamed)::bool then \(value) else \(old) end" }
}

extension KeyedDecodingContainer {
    /// What is said of a member that may be null.
    public func change<Value>(_ key: Key) throws -> Change<Value> {
        Change(isNamed: contains(key), value: try decodeIfPresent(Value.self, forKey: key))
    }

    /// What is said of a member that may not.
    public func changeOfRequired<Value>(_ key: Key) throws -> Change<Value> {
        Change(isNamed: contains(key), value: contains(key) ? try decode(Value.self, forKey: key) : nil)
    }
}
