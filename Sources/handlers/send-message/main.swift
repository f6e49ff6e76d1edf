import Common

serveTogether { requests, database, answer in
    var sendings: [(number: Int, sending: Sending)] = []
    for (number, request) in requests.enumerated() {
        do { sendings.append((number, try Sending(request))) } catch { answer(number, .failure(error)) }
    }

    // Requests of one user come one after the other, and no two of one key: a repeat finds what comes of the other.
    var keys: Set<String> = []
    let together =
        sendings
        .sorted { ($0.sending.caller.user.text, $0.number) < ($1.sending.caller.user.text, $1.number) }
        .filter { $0.sending.attachments == nil && ($0.sending.identity.map { keys.insert($0).inserted } ?? true) }
    var answered: Set<Int> = []
    if together.count > 1 {
        for (one, result) in zip(together, Sending.send(together.map(\.sending), database)) {
            guard let result else { continue }
            answer(one.number, result)
            answered.insert(one.number)
        }
    }
    // Who may repeat what is being carried out, and waits for it, comes last.
    let alone = sendings.filter { !answered.contains($0.number) }
    for one in alone.filter({ $0.sending.identity == nil }) + alone.filter({ $0.sending.identity != nil }) {
        answer(one.number, Result { try one.sending.sendAlone(database) })
    }
}
