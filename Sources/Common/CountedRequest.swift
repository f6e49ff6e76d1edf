extension Request {
    /// What `body` answers to this request, which was counted on a limit by an earlier call: how the limit stands goes along, also with
    /// a problem that `body` throws.
    public func counted(_ standing: Standing?, _ body: () throws -> Response) throws -> Response {
        let headers = Standing.headers(standing)
        do {
            var response = try body()
            response.headers += headers
            return response
        } catch {
            var problem = Problem(telling: error, requestID: id)
            problem.headers += headers
            throw problem
        }
    }
}
