extension Request {
    /// What `body` answers to this request, which is counted on a limit by another call: how the limit stands goes along, also with a
    /// problem that `body` throws.
    /// - Parameter standing: asked for when `body` has ended.
    public func counted(_ standing: @autoclosure () -> Standing?, _ body: () throws -> Response) throws -> Response {
        do {
            var response = try body()
            response.headers += Standing.headers(standing())
            return response
        } catch {
            var problem = Problem(telling: error, requestID: id)
            problem.headers += Standing.headers(standing())
            throw problem
        }
    }
}
