import Common

serve(readingBody: false) { request, database in
    let upload = try Upload(request)
    do {
        return try upload.store(database)
    } catch let error where error is Problem || error is Refusal {
        // Whatever is the matter with a repeat, it gets what came of it the first time.
        guard let kept = try upload.kept(database) else { throw error }
        return .json(kept, status: 201, headers: Response.replayHeaders("replayed"))
    }
}
