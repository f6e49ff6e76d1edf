import Common

serveTogether { requests, database, answer in
    let sendings = requests.map { request in Result { try Sending(request) } }
    var rest = Set(sendings.indices)
    func give(_ number: Int, _ result: Result<Response, any Error>) {
        answer(number, result)
        rest.remove(number)
    }
    for (number, sending) in sendings.enumerated() {
        if case .failure(let error) = sending { give(number, .failure(error)) }
    }

    // Requests of one user come one after the other, and no two of one key: a repeat finds what comes of the other.
    var keys: Set<String> = []
    let together = rest.compactMap { number in (try? sendings[number].get()).map { (number, $0) } }
        .sorted { ($0.1.caller.user.text, $0.0) < ($1.1.caller.user.text, $1.0) }
        .filter { $0.1.attachments == nil && ($0.1.identity.map { keys.insert($0).inserted } ?? true) }
    if together.count > 1 {
        for ((number, _), result) in zip(together, Sending.send(together.map(\.1), database)) {
            if let result { give(number, result) }
        }
    }
    // Who may repeat what is being carried out, and waits for it, comes last.
    func mayRepeat(_ number: Int) -> Bool { (try? sendings[number].get())?.identity != nil }
    let alone = rest.sorted()
    for number in alone.filter({ !mayRepeat($0) }) + alone.filter(mayRepeat) {
        give(number, Result { try sendings[number].get().sendAlone(database) })
    }
}
