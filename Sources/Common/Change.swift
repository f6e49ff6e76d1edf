/// What a PATCH says of a member: nothing, or its new value, which may be null.
public struct Change<Value: Decodable & SQLValue> {
    public let isNamed: Bool
    /// Nil where it is not named, too.
    public let value: Value?
}

extension KeyedDecodingContainer {
    /// What is said of a member that may be null.
    public func change<Value>(_ key: Key) throws -> Change<Value> {
        Change(isNamed: contains(key), value: try decodeIfPresent(Value.self, forKey: key))
    }
}
